"""Keeps what taking stock found, for the pages and for comparison over time."""

from __future__ import annotations

from sqlalchemy import ColumnElement, insert, select

from cityledger.profiling.records import Inventory, Profile
from cityledger.storage.database import Database
from cityledger.storage.tables import profiles as tables


class ProfileStore:
    """Profiles and inventories in the database; nothing is ever rewritten."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def save(self, profile: Profile) -> None:
        """Keep a profile, unless the same bytes have been profiled to the same end."""
        if self.find(profile.dataset, profile.partition) == profile:
            return
        with self._database.begin() as connection:
            connection.execute(
                insert(tables.profile).values(
                    dataset=profile.dataset,
                    partition=profile.partition,
                    delivery=profile.delivery,
                    validated_sha256=profile.validated_sha256,
                    record=profile.model_dump(mode="json"),
                )
            )

    def find(self, dataset: str, partition: str) -> Profile | None:
        """The newest profile of a partition."""
        return self._newest(dataset, tables.profile.c.partition == partition)

    def latest(self, dataset: str) -> Profile | None:
        """The newest profile of a dataset, whatever its partition."""
        return self._newest(dataset)

    def save_inventory(self, inventory: Inventory) -> None:
        """Keep an inventory."""
        with self._database.begin() as connection:
            connection.execute(
                insert(tables.inventory).values(
                    root=inventory.root, record=inventory.model_dump(mode="json")
                )
            )

    def latest_inventory(self) -> Inventory | None:
        """The newest inventory."""
        query = select(tables.inventory.c.record).order_by(tables.inventory.c.id.desc()).limit(1)
        with self._database.begin() as connection:
            found = connection.scalar(query)
        return None if found is None else Inventory.model_validate(found)

    def _newest(self, dataset: str, *conditions: ColumnElement[bool]) -> Profile | None:
        table = tables.profile
        query = (
            select(table.c.record)
            .where(table.c.dataset == dataset, *conditions)
            .order_by(table.c.id.desc())
            .limit(1)
        )
        with self._database.begin() as connection:
            found = connection.scalar(query)
        return None if found is None else Profile.model_validate(found)
