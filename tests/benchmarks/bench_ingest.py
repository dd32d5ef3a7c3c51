"""How fast a big extract lands and is judged, against bare tools on the same machine.

* landing: hash, WORM put and receipt against a bare client upload of the same file;
* parse → validate → quarantine → results recorded against a bare
  ``COPY (SELECT * FROM read_csv(…)) TO parquet`` of DuckDB (GB 18030 against the UTF-8 twin,
  because DuckDB can't read it), where the file has just landed, as it is on one machine, and for
  comparison where another machine reads it from the object store;
* peak memory of the pipeline alone, at 5 and at 20 million rows.

Ratios come from one process each, in which the bare tool and ours take turns; the first turn of
both warms up (imports, memory that nobody has touched yet) and is told apart as ``first_seconds``,
medians of the others are compared. CPU ratios tell more than wall clock ratios on a machine that
others use, too.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import secrets
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from itertools import count
from pathlib import Path
from typing import Any

from cityledger.contracts.identity import Partition

from tests.benchmarks import ingest_data
from tests.benchmarks.results import circumstances, keep

ROWS = 5_000_000
TURNS = 3
DAY = Partition.parse("2026-03-31")
LIMITS = {"landing": 1.3, "ingest utf-8": 3.0, "ingest gb18030": 4.0}
FROM_STORE = ", from the store"
MEMORY_LIMIT_MB = 2048


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Run everything, print a table and write ``ingest.json``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--large-rows", type=int, default=4 * ROWS, help="0 leaves it out")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.child:
        print(json.dumps(_CHILDREN[options.child.split(":")[0]](options.child)))
        return {}
    with tempfile.TemporaryDirectory(prefix="cityledger-bench-") as name, servers(Path(name)):
        result = _measure(Path(name), options.rows, options.large_rows)
    keep("ingest", result)
    print(table(result))
    return result


def table(result: dict[str, Any]) -> str:
    """The result as text."""
    columns = ("bare s", "ours s", "first s", "ratio", "CPU", "limit")
    lines = [f"{'measure':<32}" + "".join(f"{name:>9}" for name in columns)]
    for name, one in result["ratios"].items():
        figures = ("bare_seconds", "seconds", "first_seconds", "ratio", "cpu_ratio")
        cells = "".join(f"{one[figure]:>9.2f}" for figure in figures)
        lines.append(f"{name:<32}{cells}{LIMITS.get(name, ''):>9}")
    for name, peak in result["peak_mb"].items():
        lines.append(f"peak memory, {name:<11}{peak:>9.0f} MB, limit {MEMORY_LIMIT_MB} MB")
    lines.append(f"{result['rows']:,} rows, {result['bytes'] / 1e6:,.0f} MB in UTF-8")
    return "\n".join(lines)


def _measure(folder: Path, rows: int, large_rows: int) -> dict[str, Any]:
    plain, chinese = folder / "cases.csv", folder / "cases-gb18030.csv"
    ingest_data.write(plain, rows, "utf-8")
    ingest_data.write(chinese, rows, "gb18030")
    ratios = {
        "landing": _child(f"landing:{plain}"),
        "ingest utf-8": _child(f"ingest:utf-8:{plain}:{plain}"),
        "ingest gb18030": _child(f"ingest:gb18030:{chinese}:{plain}"),
        f"ingest utf-8{FROM_STORE}": _child(f"ingest-from-store:utf-8:{plain}:{plain}"),
        f"ingest gb18030{FROM_STORE}": _child(f"ingest-from-store:gb18030:{chinese}:{plain}"),
    }
    peaks = {f"{rows:,} rows": _child(f"memory:utf-8:{plain}")["peak_mb"]}
    peaks[f"{rows:,} rows gb18030"] = _child(f"memory:gb18030:{chinese}")["peak_mb"]
    size = plain.stat().st_size
    chinese.unlink()
    if large_rows:
        ingest_data.write(plain, large_rows, "utf-8")
        peaks[f"{large_rows:,} rows"] = _child(f"memory:utf-8:{plain}")["peak_mb"]
    return {
        **circumstances(),
        "rows": rows,
        "bytes": size,
        "ratios": ratios,
        "peak_mb": peaks,
    }


def _child(what: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.bench_ingest", "--child", what],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    print(f"  {what.split(':')[0:2]} {result}", file=sys.stderr)
    return result


@contextmanager
def servers(folder: Path) -> Iterator[None]:
    """An object store and a database of our own, announced by environment variables."""
    from cityledger_stack.account import server_account
    from cityledger_stack.ports import pick
    from cityledger_stack.postgres import Postgres
    from cityledger_stack.seaweed import SeaweedFS, pick_ports
    from cityledger_stack.servers import running

    store = SeaweedFS(
        data_dir=folder / "s3",
        ports=pick_ports({}),
        access_key="bench",
        secret_key=secrets.token_hex(16),
        internal_secret=secrets.token_hex(16),
    )
    database = Postgres(
        data_dir=folder / "postgres",
        port=pick(),
        password=secrets.token_hex(16),
        account=server_account(),
        durable=False,
    )
    folder.chmod(0o711)  # the database's user must reach its folder
    with running(store, logs=folder), running(database, logs=folder):
        with database.connect() as session:
            session.execute("CREATE DATABASE bench")
        os.environ["CITYLEDGER_S3_URL"] = (
            f"http://{store.access_key}:{store.secret_key}@127.0.0.1:{store.ports['s3']}"
        )
        os.environ["CITYLEDGER_DATABASE_URL"] = (
            f"postgresql://postgres:{database.password}@127.0.0.1:{database.port}/bench"
        )
        yield


def _timed(work: Callable[[], object]) -> tuple[float, float]:
    """Wall clock and CPU seconds."""
    cpu, wall = time.process_time(), time.perf_counter()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


def _compared(bare: Callable[[], object], ours: Callable[[], object]) -> dict[str, float]:
    bare()
    first, _ = _timed(ours)
    turns = [(_timed(bare), _timed(ours)) for _ in range(TURNS)]
    (bare_wall, bare_cpu), (wall, cpu) = (
        tuple(statistics.median(run[kind] for run in runs) for kind in (0, 1))
        for runs in zip(*turns, strict=True)
    )
    return {
        "bare_seconds": bare_wall,
        "seconds": wall,
        "first_seconds": first,
        "ratio": wall / bare_wall,
        "cpu_ratio": cpu / bare_cpu,
    }


def _landing(what: str) -> dict[str, float]:
    from cityledger.lifecycle.land import land
    from cityledger.settings import get_settings
    from cityledger.storage.endpoint import S3Endpoint
    from cityledger.storage.objects import ObjectStore
    from minio import Minio

    path = Path(what.split(":")[1])
    endpoint = S3Endpoint.from_settings(get_settings())
    store = ObjectStore(endpoint)
    store.ensure_buckets()
    client = Minio(endpoint.host, endpoint.access_key, endpoint.secret_key, secure=endpoint.secure)
    if not client.bucket_exists("bare"):
        client.make_bucket("bare")
    extraction, contract = _extraction(path), ingest_data.contract("utf-8")
    # What has landed once is not sent again: every turn is another day's.
    days = (DAY.start + timedelta(days=number) for number in count())

    def ours() -> None:
        day = extraction.model_copy(update={"partition": next(days).isoformat()})
        land(day, contract, store=store)

    return _compared(lambda: client.fput_object("bare", secrets.token_hex(8), str(path)), ours)


def _ingest(what: str) -> dict[str, float]:
    import duckdb

    how, encoding, path, twin = what.split(":")
    with tempfile.TemporaryDirectory() as name:
        target = Path(name) / "bare.parquet"
        query = f"COPY (SELECT * FROM read_csv('{twin}')) TO '{target}' (FORMAT parquet)"
        return _compared(
            lambda: duckdb.connect().execute(query),
            _pipeline(Path(path), encoding, Path(name), copied=how == "ingest"),
        )


def _memory(what: str) -> dict[str, float]:
    _, encoding, path = what.split(":")
    with tempfile.TemporaryDirectory() as name:
        wall, cpu = _timed(_pipeline(Path(path), encoding, Path(name), copied=True))
    # ru_maxrss is in KiB on Linux.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"peak_mb": peak, "seconds": wall, "cpu_seconds": cpu}


def _pipeline(path: Path, encoding: str, scratch: Path, *, copied: bool) -> Callable[[], None]:
    """Land the file (not timed) and return what is: from the landed object to stored results."""
    from cityledger.ledger.journal import Journal
    from cityledger.lifecycle.land import land
    from cityledger.lifecycle.parse import parse
    from cityledger.lifecycle.validate import validate
    from cityledger.settings import get_settings
    from cityledger.storage.copies import LandedCopies
    from cityledger.storage.database import Database
    from cityledger.storage.objects import ObjectStore

    from quality_checks.suite import compile_suite

    settings = get_settings()
    store = ObjectStore.from_settings(settings)
    store.ensure_buckets()
    database = Database.from_settings(settings)
    database.migrate()
    journal = Journal(database)
    contract = ingest_data.contract(encoding)
    extraction = _extraction(path)
    receipt = land(extraction, contract, store=store)
    copies = LandedCopies(scratch / "landed")
    if copied:
        copies.keep(Path(shutil.copy(path, scratch / "spooled")), extraction.files[0].sha256)

    def run() -> None:
        suite = compile_suite(contract, codes_dir=scratch, as_of=date(2026, 3, 31))
        batches = parse(receipt, contract, suite, store=store, copies=copies)
        validation = validate(receipt, contract, suite, batches, store=store, scratch_dir=scratch)
        journal.save_validation(validation)
        counts = validation.accounting
        if not 0 < counts.quarantined < counts.parsed == counts.extracted:
            raise AssertionError(counts)

    return run


def _extraction(path: Path) -> Any:
    import hashlib

    from cityledger.records import Extraction, SpooledFile

    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    spooled = SpooledFile(
        path=path,
        name=path.name,
        sha256=sha256,
        size=path.stat().st_size,
        source_uri=f"drop://{path.name}",
    )
    return Extraction(dataset="gov.cases", partition=DAY.key, files=(spooled,))


_CHILDREN: dict[str, Callable[[str], dict[str, float]]] = {
    "landing": _landing,
    "ingest": _ingest,
    "ingest-from-store": _ingest,
    "memory": _memory,
}

if __name__ == "__main__":
    main()
