"""What CityLedger registers with Airflow (entry point ``airflow.plugins``)."""

from __future__ import annotations

from airflow.plugins_manager import AirflowPlugin

from cityledger.airflow import pools, preload
from cityledger.airflow.collect import CollectReleases
from cityledger.airflow.timetable import DeliveryTimetable


class CityLedgerPlugin(AirflowPlugin):
    """Classes that Airflow may load from a stored DAG (it refuses others), and listeners."""

    name = "cityledger"
    timetables = [DeliveryTimetable]  # noqa: RUF012  the base class declares instance lists
    partition_mappers = [CollectReleases]  # noqa: RUF012  the base class declares instance lists
    listeners = [pools, preload]  # noqa: RUF012  the base class declares instance lists
