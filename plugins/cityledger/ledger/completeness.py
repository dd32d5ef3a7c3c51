"""Whether a run's lineage is all there: what it declared against what came in.

A run declares what it will touch in the run facet ``cityledger_declares`` (`facts.DECLARES`):
``inputs``, ``outputs`` and ``children`` (jobs whose runs name it as their parent), each a list of
``{"namespace": …, "name": …}``. A name that ends in ``*`` stands for at least one with that
beginning; a namespace ``*`` for any. A run that declares nothing cannot be found wanting.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, text

from cityledger.ledger.facts import Direction

# One pass over the touched runs' events: a run's state is what its events say, in whatever order
# they came. An end outranks a start; of two ends, the later counts.
_STATES = text(
    """
    WITH said AS (
        SELECT e.run_id, e.id, e.event_type, r.severity,
               CASE WHEN e.event_time > e.received_at + interval '5 minutes'
                    THEN e.received_at ELSE coalesce(e.event_time, e.received_at) END AS at,
               CASE WHEN e.event_type IN ('COMPLETE', 'FAIL', 'ABORT') THEN 2
                    WHEN e.event_type IN ('START', 'RUNNING') THEN 1 ELSE 0 END AS rank
        FROM cityledger.lineage_event e
        LEFT JOIN cityledger.graph_remark r ON r.event = e.id AND r.severity = 'invalid'
        WHERE e.run_id = ANY(CAST(:runs AS text[])) AND e.id <= :upto
    ), came_to AS (
        SELECT run_id,
               min(at) FILTER (WHERE event_type = 'START') AS started_at,
               max(at) FILTER (WHERE rank = 2) AS ended_at,
               (array_agg(event_type ORDER BY rank DESC, at DESC, id DESC))[1] AS newest,
               (array_agg(at ORDER BY rank DESC, at DESC, id DESC))[1] AS state_at
        FROM said WHERE severity IS NULL GROUP BY run_id
    )
    UPDATE cityledger.graph_run run
    SET state = CASE came_to.newest WHEN 'COMPLETE' THEN 'COMPLETED' WHEN 'FAIL' THEN 'FAILED'
                    WHEN 'ABORT' THEN 'ABORTED' WHEN 'START' THEN 'RUNNING'
                    WHEN 'RUNNING' THEN 'RUNNING' ELSE 'NEW' END,
        state_at = came_to.state_at,
        started_at = came_to.started_at,
        ended_at = came_to.ended_at
    FROM came_to WHERE run.run_id = came_to.run_id
    """
)
_RUNS = text(
    """
    SELECT run.id, run.run_id, run.state, run.started_at IS NULL AS no_start,
           EXISTS (SELECT FROM cityledger.lineage_event e
                   JOIN cityledger.graph_remark r ON r.event = e.id AND r.severity = 'invalid'
                   WHERE e.run_id = run.run_id AND e.id <= :upto) AS broken_event
    FROM cityledger.graph_run run WHERE run.run_id = ANY(CAST(:runs AS text[]))
    """
)
_DECLARED = text(
    """
    SELECT run, direction, namespace, name FROM cityledger.graph_declared
    WHERE run = ANY(CAST(:runs AS bigint[])) ORDER BY run, direction, namespace, name
    """
)
_RECEIVED = text(
    """
    SELECT t.run, t.direction, space.name AS namespace, node.name
    FROM cityledger.graph_run_dataset t
    JOIN cityledger.graph_node node ON node.id = t.node
    JOIN cityledger.graph_namespace space ON space.id = node.namespace
    WHERE t.run = ANY(CAST(:runs AS bigint[]))
    UNION
    SELECT run.id, 2, space.name, node.name
    FROM cityledger.graph_run run
    JOIN cityledger.graph_run child ON child.parent_run = run.run_id AND child.state = 'COMPLETED'
    JOIN cityledger.graph_node node ON node.id = child.job
    JOIN cityledger.graph_namespace space ON space.id = node.namespace
    WHERE run.id = ANY(CAST(:runs AS bigint[]))
    """
)
_PARENTS = text(
    "SELECT DISTINCT parent_run FROM cityledger.graph_run"
    " WHERE run_id = ANY(CAST(:runs AS text[])) AND parent_run IS NOT NULL"
)
_SAVE = text(
    """
    UPDATE cityledger.graph_run run SET gaps = new.gaps
    FROM unnest(CAST(:ids AS bigint[]), CAST(:gaps AS jsonb[])) AS new (id, gaps)
    WHERE run.id = new.id AND run.gaps <> new.gaps
    """
)

_WORDS = {
    Direction.READ: "input_missing",
    Direction.WRITTEN: "output_missing",
    Direction.CHILD: "child_missing",
}


class Entry(NamedTuple):
    """Something declared or received by a run."""

    direction: int
    namespace: str
    name: str


def close_runs(connection: Connection, run_ids: Iterable[str], upto: int) -> None:
    """Bring state and gaps of runs, and of the runs that started them, up to date.

    Events after ``upto`` do not count: they have not been indexed yet.
    """
    runs = set(run_ids)
    if not runs:
        return
    runs |= {row[0] for row in connection.execute(_PARENTS, {"runs": [*runs]})}
    connection.execute(_STATES, {"runs": [*runs], "upto": upto})
    rows = connection.execute(_RUNS, {"runs": [*runs], "upto": upto}).all()
    ids = [row.id for row in rows]
    declared = _by_run(connection.execute(_DECLARED, {"runs": ids}))
    received = _by_run(connection.execute(_RECEIVED, {"runs": [*declared]})) if declared else {}
    gaps = [_gaps(row, declared.get(row.id, []), received.get(row.id, [])) for row in rows]
    found = [json.dumps(one, ensure_ascii=False) for one in gaps]
    connection.execute(_SAVE, {"ids": ids, "gaps": found})


def _by_run(rows: Iterable[Any]) -> dict[int, list[Entry]]:
    found: dict[int, list[Entry]] = {}
    for run, direction, namespace, name in rows:
        found.setdefault(run, []).append(Entry(direction, namespace, name))
    return found


def _gaps(run: Any, declared: Sequence[Entry], received: Sequence[Entry]) -> list[dict[str, str]]:
    gaps: list[dict[str, str]] = []
    if run.broken_event:
        gaps.append({"code": "invalid_event"})
    if run.no_start and run.state not in {"NEW", "RUNNING"}:
        gaps.append({"code": "no_start"})
    if run.state == "COMPLETED":
        gaps += [
            _missing(entry) for entry in declared if not any(covers(entry, one) for one in received)
        ]
    return gaps


def _missing(entry: Entry) -> dict[str, str]:
    code = _WORDS[Direction(entry.direction)]
    return {"code": code, "namespace": entry.namespace, "name": entry.name}


def covers(declared: Entry, received: Entry) -> bool:
    """Whether something received is what was declared."""
    if declared.direction != received.direction:
        return False
    if declared.namespace not in {"*", received.namespace}:
        return False
    if declared.name.endswith("*"):
        return received.name.startswith(declared.name[:-1])
    return declared.name == received.name


def describe(gap: Mapping[str, str]) -> str:
    """A gap in words, for reports."""
    words = {
        "invalid_event": "an event of the run could not be read",
        "no_start": "no START event came",
        "input_missing": "declared as read, not received",
        "output_missing": "declared as written, not received",
        "child_missing": "declared as started by it, not received as completed",
    }[gap["code"]]
    named = f": {gap['namespace']} {gap['name']}" if "name" in gap else ""
    return f"{words}{named}"
