"""What it takes to judge one large file in parts, against judging it whole.

Every step is a process of its own, as on workers, and reads the object store. The parts are timed
one after another, each with the machine to itself; what that adds up to on several machines is
split + slowest part + gather. A last turn runs the parts two at a time on this machine.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from typing import Any

from tests.benchmarks import ingest_data
from tests.benchmarks.bench_ingest import servers
from tests.benchmarks.results import circumstances, keep

ROWS = 5_000_000
PARTS = 4
AT_ONCE = 2


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Run everything, print a table and write ``parts.json``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--encoding", default="utf-8", choices=("utf-8", "gb18030"))
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.child:
        print(json.dumps(_step(*options.child.split(":"))))
        return {}
    with tempfile.TemporaryDirectory(prefix="cityledger-bench-") as name, servers(Path(name)):
        result = _measure(Path(name), options.rows, options.encoding)
    keep("parts", result)
    print(table(result))
    return result


def table(result: dict[str, Any]) -> str:
    """The result as text."""
    lines = [f"{'step':<12}{'seconds':>9}{'CPU':>9}{'peak MB':>9}"]
    for name, one in result["steps"].items():
        cells = f"{one['seconds']:>9.2f}{one['cpu_seconds']:>9.2f}{one['peak_mb']:>9.0f}"
        lines.append(f"{name:<12}{cells}")
    lines.append(f"{result['parts']} parts, {AT_ONCE} at a time: {result['side_by_side']:.1f} s")
    lines.append(f"{result['rows']:,} rows, {result['bytes'] / 1e6:,.0f} MB")
    return "\n".join(lines)


def _measure(folder: Path, rows: int, encoding: str) -> dict[str, Any]:
    path = folder / "cases.csv"
    ingest_data.write(path, rows, encoding)
    size, place = path.stat().st_size, f"{encoding}:{folder}"
    _child(f"land:{place}:{path}")
    path.unlink()
    steps = {"whole": _child(f"whole:{place}:"), "split": _child(f"split:{place}:{size // PARTS}")}
    numbers = range(1, steps["split"].pop("parts") + 1)
    for number in numbers:
        steps[f"part {number}"] = _child(f"part:{place}:{number}")
    start = time.perf_counter()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(lambda number: _child(f"part:{place}:{number}"), numbers))
    side_by_side = time.perf_counter() - start
    steps["gather"] = _child(f"gather:{place}:")
    if steps["gather"].pop("sha256") != steps["whole"].pop("sha256"):
        raise AssertionError("the parts gave other bytes than the whole")
    return {
        **circumstances(),
        "rows": rows,
        "bytes": size,
        "encoding": encoding,
        "parts": len(numbers),
        "steps": steps,
        "side_by_side": side_by_side,
    }


def _child(what: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.bench_parts", "--child", what],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    print(f"  {what.split(':')[0]} {result}", file=sys.stderr)
    return result


def _step(what: str, encoding: str, folder: str, argument: str) -> dict[str, Any]:
    from cityledger.settings import get_settings
    from cityledger.storage.objects import ObjectStore

    house = _House(ObjectStore.from_settings(get_settings()), Path(folder), encoding)
    work = getattr(house, what)
    house.warm()
    cpu, wall = time.process_time(), time.perf_counter()
    found = work(argument) or {}
    return {
        "seconds": time.perf_counter() - wall,
        "cpu_seconds": time.process_time() - cpu,
        # ru_maxrss is in KiB on Linux.
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        **found,
    }


class _House:
    """The steps, each for a process of its own."""

    def __init__(self, store: Any, folder: Path, encoding: str) -> None:
        self._store, self._scratch = store, folder / "scratch"
        self._receipt_file = folder / "receipt.json"
        self._contract = ingest_data.contract(encoding)

    def warm(self) -> None:
        """Import what the steps use, and compile the suite: not what is measured."""
        from cityledger.lifecycle import land, parse, validate  # noqa: F401
        from cityledger.lifecycle.parts import gather, parse_part, split  # noqa: F401

        from quality_checks.suite import compile_suite

        self._suite = compile_suite(
            self._contract, codes_dir=self._scratch, as_of=date(2026, 3, 31)
        )
        self._suite.session()

    def land(self, path: str) -> None:
        from cityledger.lifecycle.land import land

        from tests.benchmarks.bench_ingest import _extraction

        self._store.ensure_buckets()
        receipt = land(_extraction(Path(path)), self._contract, store=self._store)
        self._receipt_file.write_text(receipt.model_dump_json())

    def whole(self, _: str) -> dict[str, Any]:
        from cityledger.lifecycle.parse import parse

        return self._validate(parse(self._receipt, self._contract, self._suite, store=self._store))

    def split(self, part_bytes: str) -> dict[str, Any]:
        from cityledger.lifecycle.parts.split import split

        plan = split(self._receipt, self._contract, self._store.open, int(part_bytes))
        self._shelf.save_plan(plan)
        return {"parts": len(plan.parts)}

    def part(self, number: str) -> None:
        from cityledger.lifecycle.parts.parse_part import parse_part

        parse_part(
            self._shelf.part(int(number)),
            self._receipt,
            self._contract,
            self._suite,
            store=self._store,
            scratch_dir=self._scratch,
        )

    def gather(self, _: str) -> dict[str, Any]:
        from cityledger.lifecycle.amendments import NOTHING
        from cityledger.lifecycle.parts.choose import usable_marks
        from cityledger.lifecycle.parts.gather import Gathered

        marks, whole = usable_marks(self._shelf, NOTHING)
        if whole:
            raise AssertionError(whole)
        return self._validate(
            Gathered(
                self._receipt,
                self._contract,
                self._suite,
                marks,
                store=self._store,
                scratch_dir=self._scratch,
            )
        )

    def _validate(self, batches: Any) -> dict[str, Any]:
        from cityledger.lifecycle.validate import validate

        validation = validate(
            self._receipt,
            self._contract,
            self._suite,
            batches,
            store=self._store,
            scratch_dir=self._scratch,
        )
        return {"sha256": validation.validated.sha256}

    @property
    def _receipt(self) -> Any:
        from cityledger.records import Receipt

        return Receipt.model_validate_json(self._receipt_file.read_text())

    @property
    def _shelf(self) -> Any:
        from cityledger.lifecycle.parts.plan import PartShelf

        return PartShelf(self._store, self._receipt, self._contract)


if __name__ == "__main__":
    main()
