"""The DuckDB session of a dbt build: extensions, secrets and the pseudonym key.

dbt-duckdb loads this module by its name in ``dbt_project/profiles.yml``. Secrets go from the
settings straight into DuckDB's secret manager and session variables, so neither the profile nor
compiled SQL nor a log of dbt ever holds one.
"""

from __future__ import annotations

from typing import Any

# dbt-duckdb asks for a subclass of its own base; only dbt itself ever imports this module.
from dbt.adapters.duckdb.plugins import BasePlugin  # noqa: TID253
from duckdb import DuckDBPyConnection

from cityledger.lifecycle.pseudonyms import hmac_pads
from cityledger.settings import Settings, stack_file
from cityledger.storage import duck


class Plugin(BasePlugin):
    """What dbt-duckdb calls when it opens the connection and each cursor."""

    def update_connection_config(self, creds: Any, config: dict[str, Any]) -> None:  # noqa: ARG002
        """Open the session with the same options as every other one."""
        config.update(duck.session_config(_settings()))

    def configure_connection(self, conn: DuckDBPyConnection) -> None:
        """Load the extensions and create the secrets, once per DuckDB instance."""
        duck.prepare(conn, _settings(), lake=True)

    def configure_cursor(self, cursor: DuckDBPyConnection) -> None:
        """Give a cursor the pads of the pseudonym key; without a key there are none."""
        key = _settings().pseudonym_key
        if key is not None:
            for name, pad in hmac_pads(key).items():
                cursor.execute(f"SET VARIABLE {name} = unhex('{pad.hex()}')")


def _settings() -> Settings:
    """Read anew: the environment that `standardise` prepared counts, not this process's cache."""
    return Settings(_env_file=stack_file())
