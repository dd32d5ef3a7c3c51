"""Flask-AppBuilder's configuration, which it executes as a file ([fab] config_file)."""

from __future__ import annotations

from cityledger.airflow.login.configuration import options
from cityledger.settings import get_settings

globals().update(options(get_settings()))
