"""Arrays as text: whatever goes in comes out of PostgreSQL again."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from cityledger.storage.address import DatabaseAddress
from cityledger.storage.arrays import array_text
from cityledger.storage.database import Database
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

# PostgreSQL's text holds neither NUL nor half a surrogate pair; `clean` takes them out before.
TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
KINDS: dict[str, st.SearchStrategy[Any]] = {
    "text": TEXTS,
    "bytea": st.binary(max_size=20),
    "bigint": st.integers(-(2**63), 2**63 - 1),
    "boolean": st.booleans(),
    "uuid": st.uuids(),
    "timestamptz": st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC)),
}


@pytest.fixture(scope="module")
def database(postgres_url: str) -> Database:
    return Database(DatabaseAddress.parse(postgres_url))


@pytest.mark.parametrize("kind", KINDS)
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_round_trip(database: Database, kind: str, data: st.DataObject) -> None:
    """Prevents a name with quotes, braces, commas or NULL in it from becoming another one."""
    values = data.draw(st.lists(st.none() | KINDS[kind], min_size=1, max_size=8))
    with database.begin() as connection:
        query = text(f"SELECT * FROM unnest(CAST(:many AS {kind}[]))")
        found = list(connection.scalars(query, {"many": array_text(values)}))
    assert found == values


def test_hostile_texts(database: Database) -> None:
    """Prevents an element from ending early and adding others."""
    values = ['","', "}", "{", "NULL", "null", "", " ", '\\"', "\\", "a\nb", "'; DROP TABLE x; --"]
    with database.begin() as connection:
        query = text("SELECT * FROM unnest(CAST(:many AS text[]))")
        assert list(connection.scalars(query, {"many": array_text(values)})) == values


def test_other_types_are_refused() -> None:
    """Prevents a value from being written in a form that nobody has thought about."""
    with pytest.raises(KeyError):
        array_text([1.5])
    assert array_text([UUID(int=1), None]) == "{00000000-0000-0000-0000-000000000001,NULL}"
