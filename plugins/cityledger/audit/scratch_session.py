"""The DuckDB session of a re-derivation: a lake in a folder, no server, no secret.

dbt-duckdb loads this module by its name in the scratch project's profile.
"""

from __future__ import annotations

from typing import Any

# dbt-duckdb asks for a subclass of its own base; only dbt itself ever imports this module.
from dbt.adapters.duckdb.plugins import BasePlugin  # noqa: TID253
from duckdb import DuckDBPyConnection

from cityledger.lifecycle.pseudonyms import hmac_pads
from cityledger.settings import Settings
from cityledger.storage import duck


class Plugin(BasePlugin):
    """What dbt-duckdb calls when it opens the connection and each cursor."""

    def update_connection_config(self, creds: Any, config: dict[str, Any]) -> None:  # noqa: ARG002
        """Open the session with the same options as every other one."""
        config.update(duck.session_config(_settings()))

    def configure_connection(self, conn: DuckDBPyConnection) -> None:
        """Load the lake's extension."""
        conn.execute(f"LOAD '{duck.extension_file('ducklake')}'")

    def configure_cursor(self, cursor: DuckDBPyConnection) -> None:
        """Give a cursor the pads of the pseudonym key."""
        key = _settings().pseudonym_key
        if key is not None:
            for name, pad in hmac_pads(key).items():
                cursor.execute(f"SET VARIABLE {name} = unhex('{pad.hex()}')")


def _settings() -> Settings:
    """Only what the environment says: `rederive` prepared it."""
    return Settings(_env_file=None)
