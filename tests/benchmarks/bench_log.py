"""How long the transparency log takes: checkpoint, proofs and verification at a million leaves."""

from __future__ import annotations

import argparse
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from cityledger.ledger.log import checkpoint
from cityledger.ledger.log.merkle import verify_inclusion
from cityledger.ledger.log.proofs import Prover
from cityledger.ledger.log.verify import verify
from cityledger.settings import Settings
from cityledger.storage.database import Database
from cityledger.storage.objects import ObjectStore
from sqlalchemy import text

from tests.benchmarks.bench_ingest import servers
from tests.benchmarks.results import keep

LEAVES = 1_000_000
PROOF_LIMIT_MS = 10.0
VERIFY_LIMIT_S = 60.0


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Measure, print a table and write ``log.json``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--leaves", type=int, default=LEAVES)
    leaves = parser.parse_args(arguments).leaves
    with tempfile.TemporaryDirectory(prefix="cityledger-bench-") as name, servers(Path(name)):
        result = _measure(Settings(_env_file=None, home=Path(name) / "home"), leaves)
    keep("log", result)
    for key, value in result.items():
        print(f"{key:<30}{value:>14,}")
    return result


def _measure(settings: Settings, leaves: int) -> dict[str, Any]:
    database, store = Database.from_settings(settings), ObjectStore.from_settings(settings)
    database.migrate()
    store.ensure_buckets()
    _fill(database, leaves)
    first = _seconds(lambda: checkpoint(settings, database=database, store=store))
    _fill(database, 100)
    second = _seconds(lambda: checkpoint(settings, database=database, store=store))
    size = leaves + 100
    choice = random.Random(1)  # noqa: S311 - a sample, not a secret
    ids = [choice.randrange(1, size + 1) for _ in range(200)]
    cold = [_milliseconds(partial(_prove, settings, database, store, i)) for i in ids[:30]]
    prover = Prover(settings, database, store)
    warm = [_milliseconds(partial(prover.inclusion, event)) for event in ids]
    grown = [_milliseconds(partial(prover.consistency, old, size)) for old in ids]
    root = bytes.fromhex(checkpoint(settings, database=database, store=store).root)
    proof = prover.inclusion(ids[0])
    hashes = [bytes.fromhex(one) for one in proof.hashes]
    verify_inclusion(proof.leaf_index, size, bytes.fromhex(proof.leaf), hashes, root)
    cpu = time.process_time()
    checked = _seconds(lambda: verify(settings, database=database, store=store))
    cpu = time.process_time() - cpu
    return {
        "leaves": size,
        "load": round(os.getloadavg()[0], 1),
        "first checkpoint s": round(first, 1),
        "next checkpoint s (+100)": round(second, 2),
        "inclusion cold p50 ms": round(statistics.median(cold), 2),
        "inclusion cold max ms": round(max(cold), 2),
        "inclusion p50 ms": round(statistics.median(warm), 2),
        "inclusion p99 ms": round(sorted(warm)[-2], 2),
        "consistency p50 ms": round(statistics.median(grown), 2),
        "consistency p99 ms": round(sorted(grown)[-2], 2),
        "limit ms": PROOF_LIMIT_MS,
        "verify s": round(checked, 1),
        "verify CPU s": round(cpu, 1),
        "verify CPU limit s a million": VERIFY_LIMIT_S,
    }


def _prove(settings: Settings, database: Database, store: ObjectStore, event: int) -> None:
    Prover(settings, database, store).inclusion(event)


def _fill(database: Database, rows: int) -> None:
    with database.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO cityledger.lineage_event (raw, sha256) SELECT raw,"
                " encode(sha256(raw), 'hex') FROM (SELECT convert_to(rpad(format("
                '\'{"eventType":"COMPLETE","run":{"runId":"%s"}}\', gen_random_uuid()),'
                " 600, ' '), 'UTF8') AS raw FROM generate_series(1, :rows)) AS made"
            ),
            {"rows": rows},
        )
        connection.execute(text("ANALYZE cityledger.lineage_event"))


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _milliseconds(work: Callable[[], object]) -> float:
    return _seconds(work) * 1000


if __name__ == "__main__":
    main()
