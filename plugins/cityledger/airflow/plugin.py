"""What CityLedger registers with Airflow (entry point ``airflow.plugins``)."""

from __future__ import annotations

from airflow.plugins_manager import AirflowPlugin

from cityledger.airflow import collector, console, pools, preload
from cityledger.airflow.collect import CollectReleases
from cityledger.airflow.mounted import BuiltWhenAsked
from cityledger.airflow.timetable import DeliveryTimetable


class CityLedgerPlugin(AirflowPlugin):
    """Classes that Airflow may load from a stored DAG (it refuses others), and listeners."""

    name = "cityledger"
    timetables = [DeliveryTimetable]  # noqa: RUF012  the base class declares instance lists
    partition_mappers = [CollectReleases]  # noqa: RUF012  the base class declares instance lists
    listeners = [pools, preload]  # noqa: RUF012  the base class declares instance lists
    fastapi_apps = [  # noqa: RUF012  the base class declares instance lists
        {
            "app": BuiltWhenAsked(console.build),
            "url_prefix": console.PREFIX,
            "name": "CityLedger console",
        },
        {
            "app": BuiltWhenAsked(collector.build),
            "url_prefix": collector.PREFIX,
            "name": "CityLedger lineage collector",
        },
    ]
    external_views = [  # noqa: RUF012  the base class declares instance lists
        {
            "name": "CityLedger",
            "href": f"{console.PREFIX}/",
            "destination": "nav",
            "url_route": "cityledger-console",
            "nav_top_level": True,
        }
    ]
