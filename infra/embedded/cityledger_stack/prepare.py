"""What CityLedger needs on a database and an object store, embedded or not.

``python -m cityledger_stack.prepare`` does it with the settings of the environment; the compose
file's ``init`` service runs that.
"""

from __future__ import annotations

from cityledger.settings import Settings, get_settings
from cityledger.storage.database import Database
from cityledger.storage.objects import ObjectStore


def prepare(settings: Settings) -> None:
    """Create or migrate the tables and create the buckets; harmless when done already.

    Raises:
        UnavailableError: The database or the object store does not answer.
    """
    Database.from_settings(settings).migrate()
    ObjectStore.from_settings(settings).ensure_buckets()


if __name__ == "__main__":
    prepare(get_settings())
