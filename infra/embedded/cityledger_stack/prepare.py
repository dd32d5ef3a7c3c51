"""What CityLedger needs on a database and an object store, embedded or not.

``python -m cityledger_stack.prepare`` does it with the settings of the environment; the compose
file's ``init`` service runs that.
"""

from __future__ import annotations

from cityledger.settings import Settings, get_settings
from cityledger.storage.database import Database
from cityledger.storage.objects import ObjectStore
from cityledger.storage.privileges import grant


def prepare(settings: Settings) -> None:
    """Create or migrate the tables, grant rights on them, create the buckets; may be repeated.

    Raises:
        UnavailableError: The database or the object store does not answer.
    """
    database = Database.from_settings(settings)
    database.migrate()
    grant(database)
    ObjectStore.from_settings(settings).ensure_buckets()


if __name__ == "__main__":
    prepare(get_settings())
