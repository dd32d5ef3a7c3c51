"""The ledger's DAGs do by the clock what the commands do by hand."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import pytest
from cityledger.airflow.ledger_dag import CheckpointOperator, IndexOperator, VerifyOperator
from cityledger.errors import CityLedgerError
from cityledger.settings import Settings
from cityledger.storage.database import Database
from cityledger.storage.tables import lineage_event
from sqlalchemy import insert, text

from tests.dags.conftest import Parse

pytestmark = pytest.mark.usefixtures("no_parsing_context")


def test_the_ledger_is_signed_hourly_and_examined_nightly(parse: Parse) -> None:
    """A log that is signed only when somebody thinks of it leaves days in which it can be bent."""
    dags = parse().dags
    assert {task.task_id for task in dags["ledger"].tasks} == {"index", "checkpoint"}
    assert dags["ledger"].timetable.expression == "17 * * * *"
    assert dags["ledger_verify"].timetable.expression == "47 4 * * *"


def test_a_bent_event_fails_the_nightly_examination(ready_settings: Settings) -> None:
    """Somebody who changes an event as the database's owner must be found out the next night."""
    database = Database.from_settings(ready_settings)
    raw = b'{"eventTime": "2026-03-31T08:00:00Z"}'
    with database.begin() as connection:
        connection.execute(insert(lineage_event).values(sha256=sha256(raw).hexdigest(), raw=raw))
    context: Any = {}
    IndexOperator(task_id="index").execute(context)
    assert CheckpointOperator(task_id="checkpoint").execute(context)["tree_size"] == 1
    assert VerifyOperator(task_id="verify").execute(context) == {"tree_size": 1}
    with database.begin() as connection:
        connection.execute(text("ALTER TABLE cityledger.lineage_event DISABLE TRIGGER USER"))
        connection.execute(text("UPDATE cityledger.lineage_event SET raw = raw || ' '::bytea"))
    with pytest.raises(CityLedgerError, match="not what was signed"):
        VerifyOperator(task_id="verify").execute(context)
