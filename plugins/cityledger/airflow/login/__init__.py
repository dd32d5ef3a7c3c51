"""People log in to Airflow with the city's own roles: Flask-AppBuilder accounts, or OIDC.

``AIRFLOW__CORE__AUTH_MANAGER=cityledger.airflow.login.CityAuthManager`` switches it on. Accounts
are in Airflow's database then; with ``CITYLEDGER_OIDC_ISSUER`` set, the city's identity provider
logs people in and its groups say their roles. docs/security.md tells the rest.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from airflow.providers.fab.auth_manager.fab_auth_manager import FabAuthManager

#: A working day, as in the console that runs alone. FAB's own default is thirty days.
_SESSION_MINUTES = 12 * 60
_DEFAULTS = {
    "AIRFLOW__FAB__CONFIG_FILE": str(Path(__file__).with_name("flask_config.py")),
    "AIRFLOW__FAB__SESSION_MAX_LIFETIME_MINUTES": str(_SESSION_MINUTES),
    "AIRFLOW__FAB__SESSION_LIFETIME_MINUTES": str(_SESSION_MINUTES),
    "AIRFLOW__FAB__COOKIE_SAMESITE": "Lax",
    "AIRFLOW__API_AUTH__JWT_EXPIRATION_TIME": str(_SESSION_MINUTES * 60),
}


class CityAuthManager(FabAuthManager):
    """FAB's auth manager with our configuration; what the environment says already wins."""

    def __init__(self, *arguments: Any) -> None:
        for name, value in _DEFAULTS.items():
            os.environ.setdefault(name, value)
        super().__init__(*arguments)  # type: ignore[no-untyped-call]  # untyped base
