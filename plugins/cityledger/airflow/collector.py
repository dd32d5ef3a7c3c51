"""The lineage collector inside Airflow's api-server, behind its own tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import ASGIApp

#: Clients are given ``http[s]://<api-server>/openlineage`` as their URL.
PREFIX = "/openlineage"


def build() -> ASGIApp:
    """The collector; from its first request on it indexes and forwards beside answering.

    Airflow does not run the start of a mounted application, so that is done here.
    """
    from cityledger.collector.app import create_app
    from cityledger.collector.service import Background, Collector
    from cityledger.settings import get_settings

    settings = get_settings()
    Background(Collector(settings)).start()
    return create_app(settings)
