"""The lineage graph: an index over ``lineage_event``, made anew from it at any time.

Nothing here is evidence: rows are merged and overwritten as events come in, and `reindex` empties
all of it. What people declare beside events (`lineage_declaration`) is evidence and append-only.

Names come from outside and may be longer than a PostgreSQL index entry (2704 bytes), so what is
looked up by name is found by the SHA-256 of the name (``digest``). There are no foreign keys: rows
are written in bulk by one indexer at a time, from the events alone.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from cityledger.storage.tables.base import (
    id_column,
    metadata,
    record_column,
    saved_at_column,
    text_column,
)

#: Marks tables that are not journals, with the reason why their rows may change.
_INDEX = {"mutable": "an index, made from lineage_event"}
_POSITION = {"mutable": "a position in a journal, not a record of anything"}


def _time(name: str, *, nullable: bool = False) -> Column[object]:
    return Column(name, DateTime(timezone=True), nullable=nullable)


def _reference(name: str) -> Column[int]:
    return Column(name, BigInteger, nullable=False)


namespace = Table(
    "graph_namespace",
    metadata,
    id_column(),
    Column("digest", LargeBinary, nullable=False, unique=True),
    text_column("name"),
    _time("first_at"),
    _time("last_at"),
    info=_INDEX,
)

node = Table(
    "graph_node",
    metadata,
    id_column(),
    Column("digest", LargeBinary, nullable=False, unique=True),
    Column("kind", SmallInteger, nullable=False, comment="0 job, 1 dataset"),
    _reference("namespace"),
    text_column("name"),
    _time("first_at"),
    _time("last_at"),
    Column("lifecycle", Text, comment="newest lifecycleStateChange, e.g. DROP"),
    _time("lifecycle_at", nullable=True),
    Index("graph_node_namespace", "namespace", "kind"),
    info=_INDEX,
)

edge = Table(
    "graph_edge",
    metadata,
    _reference("source"),
    _reference("target"),
    _time("first_at"),
    _time("last_at"),
    PrimaryKeyConstraint("source", "target"),
    Index("graph_edge_target", "target", "source"),
    info=_INDEX,
)

run = Table(
    "graph_run",
    metadata,
    id_column(),
    Column("run_id", Text, nullable=False, unique=True),
    _reference("job"),
    Column("state", Text, nullable=False, server_default=text("'NEW'")),
    _time("state_at", nullable=True),
    _time("first_at"),
    _time("started_at", nullable=True),
    _time("ended_at", nullable=True),
    _time("nominal_start", nullable=True),
    _time("nominal_end", nullable=True),
    Column("parent_run", Text),
    Column("parent_job", BigInteger),
    Column("gaps", JSONB, nullable=False, server_default=text("'[]'::jsonb")),
    Index("graph_run_job", "job", "first_at"),
    Index("graph_run_parent", "parent_run"),
    Index("graph_run_gaps", "job", postgresql_where=text("gaps <> '[]'::jsonb")),
    info=_INDEX,
)

run_dataset = Table(
    "graph_run_dataset",
    metadata,
    _reference("run"),
    _reference("node"),
    Column("direction", SmallInteger, nullable=False, comment="0 read, 1 written"),
    Column("version", BigInteger, nullable=False, comment="0: the event named none"),
    _time("first_at"),
    _time("last_at"),
    Column("event", BigInteger, nullable=False, comment="newest event that says so"),
    PrimaryKeyConstraint("run", "node", "direction", "version"),
    Index("graph_run_dataset_node", "node", "version", "direction"),
    info=_INDEX,
)

version = Table(
    "graph_version",
    metadata,
    id_column(),
    Column("uuid", Uuid, nullable=False, unique=True),
    _reference("node"),
    text_column("version"),
    _time("first_at"),
    Column("event", BigInteger, nullable=False, comment="newest event that describes it"),
    _time("event_at"),
    Index("graph_version_node", "node", "first_at"),
    info=_INDEX,
)

facet = Table(
    "graph_facet",
    metadata,
    _reference("node"),
    text_column("name"),
    _time("at"),
    _reference("event"),
    Column("deleted", Boolean, nullable=False),
    PrimaryKeyConstraint("node", "name"),
    info=_INDEX,
)

column = Table(
    "graph_column",
    metadata,
    id_column(),
    Column("digest", LargeBinary, nullable=False, unique=True),
    _reference("node"),
    text_column("name"),
    Column("whole", Boolean, nullable=False, comment="stands for every column of the dataset"),
    _time("first_at"),
    _time("last_at"),
    Index("graph_column_node", "node"),
    info=_INDEX,
)

column_edge = Table(
    "graph_column_edge",
    metadata,
    _reference("source"),
    _reference("target"),
    _reference("job"),
    _time("first_at"),
    _time("last_at"),
    Column("transformations", JSONB, nullable=False),
    PrimaryKeyConstraint("source", "target", "job"),
    Index("graph_column_edge_target", "target", "source"),
    info=_INDEX,
)

declared = Table(
    "graph_declared",
    metadata,
    _reference("run"),
    Column("digest", LargeBinary, nullable=False),
    Column("direction", SmallInteger, nullable=False, comment="0 reads, 1 writes, 2 has child"),
    text_column("namespace"),
    text_column("name"),
    PrimaryKeyConstraint("run", "digest"),
    info=_INDEX,
)

remark = Table(
    "graph_remark",
    metadata,
    Column("event", BigInteger, primary_key=True, autoincrement=False),
    text_column("severity"),
    Column("reasons", JSONB, nullable=False),
    info=_INDEX,
)

position = Table(
    "graph_position",
    metadata,
    Column("reader", Text, primary_key=True),
    Column("event", BigInteger, nullable=False),
    Column("failures", Integer, nullable=False, server_default=text("0")),
    Column("refused", BigInteger, nullable=False, server_default=text("0")),
    Column("error", Text),
    _time("moved_at", nullable=True),
    info=_POSITION,
)

declaration = Table(
    "lineage_declaration",
    metadata,
    id_column(),
    text_column("kind"),
    Column("digest", LargeBinary, nullable=False),
    text_column("name"),
    record_column(),
    saved_at_column(),
    Index("lineage_declaration_latest", "kind", "digest", "id"),
)
