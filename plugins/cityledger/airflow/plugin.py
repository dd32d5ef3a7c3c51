"""What CityLedger registers with Airflow (entry point ``airflow.plugins``)."""

from __future__ import annotations

from airflow.plugins_manager import AirflowPlugin

from cityledger.airflow.collect import CollectReleases
from cityledger.airflow.timetable import DeliveryTimetable


class CityLedgerPlugin(AirflowPlugin):
    """Classes that Airflow may load from a stored DAG; it refuses any that no plugin names."""

    name = "cityledger"
    timetables = [DeliveryTimetable]  # noqa: RUF012  Airflow's own declaration
    partition_mappers = [CollectReleases]  # noqa: RUF012
