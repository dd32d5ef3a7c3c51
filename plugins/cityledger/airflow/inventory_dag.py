"""The DAG ``inventory``: what is there, taken stock of every night (数据资产梳理)."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import DAG, BaseOperator

from cityledger.airflow.city_dag import city_dag

if TYPE_CHECKING:
    from airflow.sdk import Context

DAG_ID = "inventory"
# Before people come to work, after the night's deliveries.
SCHEDULE = "0 6 * * *"

DOCUMENT = """\
### What data there is 数据资产梳理

* `files`: counts the files in the drop folder by department, kind and size, and those that no
  contract takes in
* `profiles`: types, gaps, ranges, frequent values, likely keys and suspected personal data of each
  dataset's newest validated delivery; what has been profiled before is not read again

The console shows both; `cityledger inventory` and `cityledger profile` do the same by hand.
"""


class InventoryOperator(BaseOperator):
    """Count the files below the drop folder."""

    def execute(self, context: Context) -> dict[str, Any]:  # noqa: ARG002  Airflow's signature
        """Take the inventory and keep it."""
        from cityledger.contracts.registry import load_contracts
        from cityledger.profiling.inventory import take_inventory
        from cityledger.profiling.store import ProfileStore
        from cityledger.settings import get_settings
        from cityledger.storage.database import Database

        settings = get_settings()
        contracts = load_contracts(settings.contracts_dir).values()
        taken = take_inventory(settings.drop_dir, contracts)
        ProfileStore(Database.from_settings(settings)).save_inventory(taken)
        covered = sum(group.covered for group in taken.groups)
        return {
            "files": taken.files,
            "bytes": taken.size,
            "without_contract": taken.files - covered,
        }


class ProfileOperator(BaseOperator):
    """Profile the newest validated delivery of every dataset."""

    def execute(self, context: Context) -> dict[str, Any]:  # noqa: ARG002  Airflow's signature
        """Profile what has not been profiled yet."""
        from cityledger.profiling.delivery import newest_validated, profile_delivery
        from cityledger.runner import Runner

        runner = Runner.from_settings()
        profiles = [profile_delivery(runner, *place) for place in newest_validated(runner.journal)]
        for profile in profiles:
            if profile.suspected:
                self.log.warning(
                    "%s: %s look personal, but are not classified so",
                    profile.dataset,
                    ", ".join(profile.suspected),
                )
        return {profile.dataset: profile.rows for profile in profiles}


def inventory_dag() -> DAG:
    """The DAG; its tasks don't depend on each other."""
    description = "Files and datasets: what is there, and what nobody governs yet"
    with city_dag(DAG_ID, SCHEDULE, description=description, document=DOCUMENT) as dag:
        InventoryOperator(task_id="files", execution_timeout=timedelta(hours=2))
        ProfileOperator(task_id="profiles", execution_timeout=timedelta(hours=6))
    return dag
