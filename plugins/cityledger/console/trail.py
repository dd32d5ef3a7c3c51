"""The audit trail: what people decided and looked at, and when the log was signed, in one list."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time
from enum import StrEnum

from sqlalchemy import text

from cityledger.storage.database import Database


class Kind(StrEnum):
    """What happened."""

    RELEASE = "release"
    WAIVER = "waiver"
    REVOCATION = "revocation"
    CORRECTION = "correction"
    ORDER = "order"
    ACCESS = "access"
    KEY = "key"
    CHECKPOINT = "checkpoint"


# One shape for all journals. ``what`` is a word of the journal's own vocabulary.
_ALL = """
    SELECT saved_at AS at, 'release' AS kind, dataset, partition, delivery,
           record -> 'decision' ->> 'decided_by' AS person,
           CASE WHEN released THEN 'released' ELSE 'held' END AS what,
           record -> 'decision' ->> 'reason' AS reason, NULL AS number, rows_ AS rows
    FROM (SELECT *, (record ->> 'rows')::bigint AS rows_ FROM cityledger.release) release
    WHERE jsonb_typeof(record -> 'decision') = 'object'
    UNION ALL
    SELECT saved_at, 'waiver', dataset, partition, delivery, approved_by, rule, reason, id::text,
           nullif(cardinality(row_ids), 0)
    FROM cityledger.waiver
    UNION ALL
    SELECT r.saved_at, 'revocation', w.dataset, w.partition, w.delivery, r.revoked_by, w.rule,
           r.reason, w.id::text, NULL
    FROM cityledger.waiver_revocation r JOIN cityledger.waiver w ON w.id = r.waiver_id
    UNION ALL
    SELECT saved_at, 'correction', dataset, partition, delivery, submitted_by,
           record -> 'file' ->> 'name', NULL, NULL, rows
    FROM cityledger.correction
    UNION ALL
    SELECT saved_at, 'order', dataset, partition, record ->> 'delivery', record ->> 'by', kind,
           record ->> 'note', number, NULL
    FROM cityledger.rectification_event
    UNION ALL
    SELECT saved_at, 'access', dataset, partition, delivery, person, action, reason, NULL, rows
    FROM cityledger.quarantine_access
    UNION ALL
    SELECT saved_at, 'key', NULL, NULL, NULL, declared_by, state, reason, key_id, NULL
    FROM cityledger.log_key
    UNION ALL
    SELECT saved_at, 'checkpoint', NULL, NULL, NULL, NULL, tree_size::text, root, key_id, NULL
    FROM cityledger.log_checkpoint
"""
_PAGE = text(
    f"""
    SELECT * FROM ({_ALL}) trail
    WHERE (CAST(:kind AS text) IS NULL OR kind = :kind)
      AND (CAST(:person AS text) IS NULL OR person = :person)
      AND (CAST(:dataset AS text) IS NULL OR dataset = :dataset)
      AND (CAST(:department AS text) IS NULL OR starts_with(dataset, :department || '.'))
      AND at >= coalesce(CAST(:since AS timestamptz), '-infinity')
      AND at <= coalesce(CAST(:until AS timestamptz), 'infinity')
    ORDER BY at DESC, kind, number LIMIT :limit OFFSET :offset
    """
)
_PEOPLE = text(
    f"SELECT DISTINCT person FROM ({_ALL}) trail WHERE person IS NOT NULL ORDER BY person LIMIT 500"
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened.

    Attributes:
        person: None where nobody in particular did it.
        what: The journal's own word: ``released``, a rule's key, ``download``.
        number: Of the order, the waiver or the key.
        rows: How many rows it is about, where that was kept.
    """

    at: datetime
    kind: Kind
    dataset: str | None
    partition: str | None
    delivery: str | None
    person: str | None
    what: str | None
    reason: str | None
    number: str | None
    rows: int | None


@dataclass(frozen=True, slots=True)
class Filter:
    """Which entries; None for all."""

    kind: Kind | None = None
    person: str | None = None
    department: str | None = None
    dataset: str | None = None
    since: date | None = None
    until: date | None = None


class Trail:
    """Reads all journals of decisions and accesses."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def entries(self, wanted: Filter, *, limit: int, offset: int = 0) -> list[Entry]:
        """The newest first; days are the server's."""
        bounds = {
            "kind": wanted.kind,
            "person": wanted.person,
            "department": wanted.department,
            "dataset": wanted.dataset,
            "since": _moment(wanted.since, time.min),
            "until": _moment(wanted.until, time.max),
            "limit": limit,
            "offset": offset,
        }
        with self._database.begin() as connection:
            rows = connection.execute(_PAGE, bounds).all()
        return [Entry(row.at, Kind(row.kind), *row[2:]) for row in rows]

    def people(self) -> list[str]:
        """Everybody who appears in it."""
        with self._database.begin() as connection:
            return list(connection.scalars(_PEOPLE))


def _moment(day: date | None, at: time) -> datetime | None:
    if day is None:
        return None
    try:
        return datetime.combine(day, at).astimezone()
    except (ValueError, OverflowError):  # the first and last days of the calendar
        return None
