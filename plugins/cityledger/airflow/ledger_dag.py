"""The DAGs that keep the ledger: hourly indexed and signed, nightly examined."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import DAG, BaseOperator

from cityledger.airflow.city_dag import city_dag
from cityledger.errors import CityLedgerError

if TYPE_CHECKING:
    from airflow.sdk import Context

DAG_ID, VERIFY_DAG_ID = "ledger", "ledger_verify"
# At odd minutes: full hours are when everything else starts.
SCHEDULE, VERIFY_SCHEDULE = "17 * * * *", "47 4 * * *"
_NAMED = 20  # findings that an error text lists; the command line shows all of them

DOCUMENT = """\
### The ledger is kept 账本维护

* `index`: the lineage graph catches up with the events received
* `checkpoint`: all events go into the transparency log, and its root is signed

Both are also done when they are needed (a page is asked for, something is published); every hour
they are done whether anybody asks or not, so that nobody can wait for a quiet moment.
"""
VERIFY_DOCUMENT = """\
### The ledger is examined 账本核验

Recomputes the transparency log from the database and the bucket. A failed run means that an event,
a file of the log or a checkpoint is not what was signed: the log of the task names it. Keep both as
they are and compare with a checkpoint that somebody outside has kept (`cityledger ledger verify`).
"""


class IndexOperator(BaseOperator):
    """Bring the lineage graph up to the events received."""

    def execute(self, context: Context) -> dict[str, Any]:  # noqa: ARG002  Airflow's signature
        """Catch up."""
        from cityledger.ledger.indexer import Indexer
        from cityledger.settings import get_settings
        from cityledger.storage.database import Database

        Indexer(Database.from_settings(get_settings())).catch_up()
        return {}


class CheckpointOperator(BaseOperator):
    """Take the events into the transparency log and sign its root."""

    def execute(self, context: Context) -> dict[str, Any]:  # noqa: ARG002  Airflow's signature
        """Sign."""
        from cityledger.ledger.log import checkpoint
        from cityledger.settings import get_settings

        made = checkpoint(get_settings())
        return {"tree_size": made.tree_size, "root": made.root, "key": made.key_id}


class VerifyOperator(BaseOperator):
    """Recompute the transparency log."""

    def execute(self, context: Context) -> dict[str, Any]:  # noqa: ARG002  Airflow's signature
        """Compare.

        Raises:
            CityLedgerError: something is not what was signed.
        """
        from cityledger.ledger.log.examined import save_examination
        from cityledger.ledger.log.verify import verify
        from cityledger.settings import get_settings
        from cityledger.storage.database import Database
        from cityledger.storage.objects import ObjectStore

        settings = get_settings()
        database = Database.from_settings(settings)
        report = verify(settings, database=database, store=ObjectStore.from_settings(settings))
        save_examination(database, report)
        if not report.clean:
            named = "\n".join(
                f"{one.kind} {one.subject}: {one.what}" for one in report.findings[:_NAMED]
            )
            raise CityLedgerError(
                f"the log is not what was signed, {len(report.findings)} finding(s):\n{named}",
                where=f"log {report.origin}",
                fix="keep database and bucket as they are; run `cityledger ledger verify`",
                code="log_damaged",
            )
        return {"tree_size": report.tree_size}


def ledger_dag() -> DAG:
    """Every hour: index and sign."""
    description = "Lineage graph and transparency log are kept"
    with city_dag(DAG_ID, SCHEDULE, description=description, document=DOCUMENT) as dag:
        IndexOperator(task_id="index", execution_timeout=timedelta(hours=1))
        CheckpointOperator(task_id="checkpoint", execution_timeout=timedelta(hours=1))
    return dag


def ledger_verify_dag() -> DAG:
    """Every night: recompute."""
    with city_dag(
        VERIFY_DAG_ID,
        VERIFY_SCHEDULE,
        description="Is the log what was signed?",
        document=VERIFY_DOCUMENT,
    ) as dag:
        VerifyOperator(task_id="verify", execution_timeout=timedelta(hours=6))
    return dag
