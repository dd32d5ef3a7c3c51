"""Where Airflow keeps its own data, for those who back it up."""

from __future__ import annotations

import os

from cityledger.settings import home_dir

from cityledger_stack.credentials import load_or_create
from cityledger_stack.layout import Layout
from cityledger_stack.plan import AIRFLOW_DATABASE
from cityledger_stack.ports import LOOPBACK
from cityledger_stack.state import StackState

_FERNET = "AIRFLOW__CORE__FERNET_KEY"


def airflow_database() -> tuple[str, str | None] | None:
    """URL of Airflow's database and its Fernet key: the environment's, else the embedded stack's.

    None when neither is there.
    """
    if url := os.environ.get(AIRFLOW_DATABASE):
        return url, os.environ.get(_FERNET)
    layout = Layout(home_dir())
    port = StackState.load(layout.state.with_name("ports.json")).ports.get("postgres")
    if port is None or not layout.secrets.exists():
        return None
    known = load_or_create(layout.secrets)
    url = f"postgresql://airflow:{known.airflow_database}@{LOOPBACK}:{port}/airflow"
    return url, os.environ.get(_FERNET) or known.airflow_fernet
