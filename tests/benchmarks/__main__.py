"""``make bench``: every benchmark in a process of its own, one after the other.

One that fails does not hide the others. At the end every limit is printed, kept or missed; a run of
all of them writes ``docs/performance.md``. Exit code 1: something failed or missed its limit.
"""

from __future__ import annotations

import argparse
import ast
import json
import subprocess
import sys
import time
from pathlib import Path

from cityledger.settings import PROJECT_DIR, home_dir

from tests.benchmarks import performance
from tests.benchmarks.performance import NAMES, Outcome

_PAGE = PROJECT_DIR / "docs" / "performance.md"


def main(arguments: list[str] | None = None) -> int:
    """Run them and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=NAMES, help="leave the page as it is")
    parser.add_argument("--page", type=Path, default=_PAGE, help="where the page goes")
    options = parser.parse_args(arguments)
    machine = performance.machine()
    outcomes = [_run(name) for name in options.only or NAMES]
    print(f"\n{performance.summary(outcomes)}")
    if not options.only:
        options.page.write_text(performance.page(outcomes, machine), encoding="utf-8")
    kept = all(one.kept for outcome in outcomes for one in outcome.figures())
    return 0 if kept and all(outcome.result is not None for outcome in outcomes) else 1


def _run(name: str) -> Outcome:
    module, file = f"tests.benchmarks.bench_{name}", home_dir() / "bench" / f"{name}.json"
    file.unlink(missing_ok=True)  # an older run's figures must not stand for this one's
    title = _title(PROJECT_DIR / "tests" / "benchmarks" / f"bench_{name}.py")
    print(f"\n=== {name}: {title}", flush=True)
    begun = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", module], check=False, stdout=subprocess.PIPE, text=True
    )
    print(done.stdout, flush=True)
    result = json.loads(file.read_text("utf-8")) if done.returncode == 0 else None
    return Outcome(name, title, time.monotonic() - begun, result, done.stdout)


def _title(file: Path) -> str:
    """The first line of what a benchmark says of itself."""
    text = ast.get_docstring(ast.parse(file.read_text("utf-8"))) or file.stem
    return text.splitlines()[0].rstrip(".")


if __name__ == "__main__":
    sys.exit(main())
