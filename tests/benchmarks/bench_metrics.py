"""What watching costs: a scrape over years of history, and a span that nobody receives.

The history is that of ``bench_history`` (10,000 runs of 40 datasets, 300 rules each, 10,000 orders)
with the outcomes of its stages and a million lineage events, 5,000 of them not signed. Measured is
the first scrape of a process, which adds the whole journal up, and those after it, each after
another delivery's outcomes; the cache of some seconds is passed by.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import psycopg
from cityledger.observability import traces
from cityledger.observability.metrics import catalogue
from cityledger.observability.metrics.exposition import Exposition
from cityledger.observability.metrics.families import Figures, text_of
from cityledger.observability.metrics.totals import BOUNDS
from cityledger.settings import Settings, get_settings
from cityledger.storage.database import Database
from pydantic import SecretStr

from tests.benchmarks.bench_history import (
    NOW,
    RULES,
    RUNS,
    _load,
    _load_orders,
    _server,
    _write_house,
)
from tests.benchmarks.results import keep

EVENTS, UNSIGNED = 1_000_000, 5_000
LIMIT_MS = 500.0

_OUTCOMES = """
INSERT INTO cityledger.outcome
  (run_id, stage, dataset, partition, status, started_at, ended_at, delivery, detail, saved_at)
SELECT v.id || '-' || s.stage, s.stage, v.dataset, v.partition, 'success', v.saved_at,
  v.saved_at + (v.id % 40) * interval '1 second', v.delivery,
  CASE WHEN s.stage IN ('parse', 'validate') THEN jsonb_build_object(
    'accounting', v.record -> 'accounting',
    'rejects', '{"too_few_fields": 2, "total_row": 48}'::jsonb,
    'quarantined_by_rule', (SELECT jsonb_object_agg('rule_' || i, i) FROM generate_series(1, 20) i))
  ELSE '{}'::jsonb END, v.saved_at
FROM cityledger.validation v
CROSS JOIN (VALUES ('extract'), ('land'), ('parse'), ('validate'), ('release')) s (stage)
ORDER BY v.id
"""
_ONE_MORE = """
INSERT INTO cityledger.outcome
  (run_id, stage, dataset, partition, status, started_at, ended_at, detail)
SELECT gen_random_uuid()::text, stage, dataset, partition, status, started_at, ended_at, detail
FROM cityledger.outcome WHERE id <= 5
"""
_LEDGER = f"""
INSERT INTO cityledger.lineage_event (sha256, raw)
  SELECT md5(i::text), '{{}}'::bytea FROM generate_series(1, {EVENTS}) i;
INSERT INTO cityledger.log_checkpoint (tree_size, root, key_id, note, last_event_id)
  VALUES ({EVENTS - UNSIGNED}, '', '', '', {EVENTS - UNSIGNED});
INSERT INTO cityledger.graph_position (reader, event, moved_at) VALUES ('graph', {EVENTS}, now())
"""


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Load, measure, print a table and write ``metrics.json``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--rules", type=int, default=RULES)
    parser.add_argument("--repeat", type=int, default=20)
    options = parser.parse_args(arguments)
    result: dict[str, Any] = {"runs": options.runs, "rules": options.rules, "span_ns": _spans()}
    with tempfile.TemporaryDirectory(prefix="cityledger-bench-") as name, _server(Path(name)):
        result |= _scrapes(Path(name), options.runs, options.rules, options.repeat)
    keep("metrics", result)
    print(table(result))
    return result


def table(result: dict[str, Any]) -> str:
    """The result as text."""
    parts = "\n".join(f"  {name:<12}{ms:>9.1f} ms" for name, ms in result["parts_ms"].items())
    return (
        f"scrape over {result['runs']:,} runs × {result['rules']} rules,"
        f" {result['series']:,} series ({result['bytes']:,} bytes)\n"
        f"first {result['first_ms']:.0f} ms, then median {result['median_ms']:.0f} ms,"
        f" longest {result['longest_ms']:.0f} ms; may take {LIMIT_MS:.0f} ms\n{parts}\n"
        f"a span while tracing is off: {result['span_ns']:.0f} ns"
    )


def _scrapes(folder: Path, runs: int, rules: int, repeat: int) -> dict[str, Any]:
    contracts = folder / "contracts"
    datasets = _write_house(contracts)
    loaded = get_settings()
    Database.from_settings(loaded).migrate()
    _load(loaded, datasets, runs, rules)
    _load_orders(loaded, datasets)
    _run(loaded, _OUTCOMES, _LEDGER, "VACUUM ANALYZE")
    settings = loaded.model_copy(
        update={
            "contracts_dir": contracts,
            "home": folder,
            # What the object store takes is the network's; here it refuses at once.
            "s3_url": SecretStr("http://a:bbbbbbbb@127.0.0.1:9"),
        }
    )
    exposition = Exposition(settings, clock=lambda: NOW)
    exposition._services = _up
    first, text = _timed(exposition)
    took = []
    for _ in range(repeat):
        _run(loaded, _ONE_MORE)
        seconds, text = _timed(exposition)
        took.append(seconds)
    seen = exposition.figures().values[catalogue.PART_SECONDS]
    lines = text.decode().splitlines()
    return {
        "first_ms": first,
        "median_ms": statistics.median(took),
        "longest_ms": max(took),
        "parts_ms": {labels[0]: seconds * 1000 for labels, seconds in seen.items()},
        "series": sum(not line.startswith("#") for line in lines),
        "bytes": len(text),
    }


def _up() -> Figures:
    figures = Figures()
    figures.set(catalogue.DATABASE_UP, 1)
    return figures


def _timed(exposition: Exposition) -> tuple[float, bytes]:
    begun = time.perf_counter()
    text = text_of(exposition.figures(), BOUNDS)
    return (time.perf_counter() - begun) * 1000, text


def _spans(turns: int = 200_000) -> float:
    facts = {"dataset": "transport.metro_trips"}
    begun = time.perf_counter_ns()
    for _ in range(turns):
        with traces.span("parse", facts):
            pass
    return (time.perf_counter_ns() - begun) / turns


def _run(settings: Settings, *statements: str) -> None:
    assert settings.database_url is not None
    url = settings.database_url.get_secret_value()
    with psycopg.connect(url, autocommit=True) as session:
        session.execute("SET session_replication_role = replica")
        for statement in statements:
            session.execute(statement)


if __name__ == "__main__":
    main()
