"""What is told about a stage attempt while it is made: a span, and lines in the log.

The outcome record in the journal is what counts; this is for whoever looks while it happens, and
for how long the parts took.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from cityledger.errors import CityLedgerError
from cityledger.ledger.lineage import StageRun
from cityledger.observability import logs, traces
from cityledger.records import Outcome

log = logging.getLogger("cityledger.stage")
# Python prints what nobody handles; the command line says in its own words what failed.
log.addHandler(logging.NullHandler())

_GOOD: Final = frozenset({"success", "pass", "no-op", "skipped", "partial", "warn"})


class Told:
    """A stage attempt that is being told of."""

    def __init__(self, step: traces.Step) -> None:
        self._step = step

    def ended(self, outcome: Outcome) -> None:
        """The attempt came to its end without an error."""
        counts = _counts(outcome)
        self._step.note({"status": outcome.status, "delivery": outcome.delivery, **counts})
        seconds = (outcome.ended_at - outcome.started_at).total_seconds()
        shown = {"status": outcome.status, "seconds": round(seconds, 3), **counts}
        log.info("%s: %s in %.2f s", outcome.stage.value, outcome.status, seconds, extra=shown)


@contextmanager
def telling(run: StageRun, *, root: str | None, links: Sequence[str] = ()) -> Iterator[Told]:
    """Tell of a stage attempt, from entering the block to leaving it.

    Args:
        run: The attempt.
        root: Id of the run at the root of it all, if there is one.
        links: W3C contexts of the steps elsewhere that it continues.
    """
    stage = run.stage.value
    place = {"run": run.run_id, "dataset": run.dataset, "partition": run.partition}
    with (
        traces.span(stage, {**place, "stage": stage}, root=root, links=links) as step,
        logs.about(**place, stage=stage, **logs.trace_ids()),
    ):
        try:
            yield Told(step)
        except Exception as error:
            code = error.code if isinstance(error, CityLedgerError) else type(error).__name__
            logs.scrub_exception(error)
            # Without the exception: whoever catches it decides what is shown.
            log.error("%s: failed, %s", stage, code, extra={"status": "failure", "code": code})  # noqa: TRY400
            raise


def context() -> dict[str, str]:
    """For an outcome's detail: where its trace is found; empty when there is none."""
    found = traces.current()
    return {} if found is None else {traces.TRACEPARENT: found}


def contexts(outcomes: Sequence[Outcome]) -> list[str]:
    """The traces of stage attempts, of those that have one."""
    found = (one.detail.get(traces.TRACEPARENT) for one in outcomes)
    return [one for one in found if isinstance(one, str)]


@contextmanager
def told_nodes(target_dir: Path) -> Iterator[None]:
    """Tell of the nodes that dbt builds or tests in the block, by its own clock."""
    begun = time.time()
    try:
        yield
    finally:
        results = target_dir / "run_results.json"
        if traces.is_on() and results.exists() and results.stat().st_mtime >= begun:
            _nodes(json.loads(results.read_text("utf-8"))["results"])


def _nodes(results: Iterable[Mapping[str, Any]]) -> None:
    for node in results:
        span = _span(node)
        if span is not None:
            kind, _, name, *_ = node["unique_id"].split(".")
            facts = {"node": name, "kind": kind, "status": node["status"]}
            traces.record(f"dbt {kind}", *span, facts, good=node["status"] in _GOOD)


def _span(node: Mapping[str, Any]) -> tuple[datetime, datetime] | None:
    """When the node was begun and done with; None for one that was skipped."""
    timing = node.get("timing") or ()
    begun = [datetime.fromisoformat(one["started_at"]) for one in timing if one.get("started_at")]
    done = [
        datetime.fromisoformat(one["completed_at"]) for one in timing if one.get("completed_at")
    ]
    return (min(begun), max(done)) if begun and done else None


def _counts(outcome: Outcome) -> dict[str, int]:
    detail = outcome.detail
    found = {**(detail.get("accounting") or {}), "rows": detail.get("rows")}
    return {name: count for name, count in found.items() if isinstance(count, int)}
