"""Looks for secrets in what git tracks; those of ``.secrets.baseline`` were looked at and are none.

``python -m infra.supply_chain.secret_scan [FILE …]``, all tracked files without an argument. The
lock is left out: it is nothing but hashes.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BASELINE = ROOT / ".secrets.baseline"
_LEFT_OUT = frozenset({"requirements.lock", BASELINE.name})
_ONLY_LINES_MOVED = 3


def main(files: Sequence[str]) -> int:
    """1 when there is something new, which is shown without its value."""
    scanner = Path(sys.executable).with_name("detect-secrets-hook")
    with tempfile.TemporaryDirectory() as folder:
        # A copy: the scanner writes line numbers that have moved into its baseline, and fails.
        baseline = Path(folder) / BASELINE.name
        shutil.copyfile(BASELINE, baseline)
        done = subprocess.run(  # noqa: S603 - our own words, no shell
            [str(scanner), "--baseline", str(baseline), *(files or _tracked())],
            cwd=ROOT,
            check=False,
            capture_output=True,
            text=True,
        )
    if done.returncode in (0, _ONLY_LINES_MOVED):
        return 0
    sys.stdout.write(f"{done.stdout}\n{done.stderr}\n")
    return done.returncode


def _tracked() -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files", "-z"],  # noqa: S607 - the developer's own git
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    ).stdout
    names = [name for name in listed.split("\0") if name and name not in _LEFT_OUT]
    return [name for name in names if (ROOT / name).is_file()]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
