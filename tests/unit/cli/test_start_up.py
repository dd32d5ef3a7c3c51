"""What every command pays before it does anything."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]

#: What only some verbs need: each of them takes a tenth of a second or more to import.
HEAVY = (
    "airflow",
    "altair",
    "cryptography",
    "dbt",
    "duckdb",
    "fastapi",
    "igraph",
    "minio",
    "numpy",
    "openlineage",
    "openpyxl",
    "pandera",
    "polars",
    "pyarrow",
    "sqlglot",
)
_ASK = """
import sys
from cityledger.cli.main import main
try:
    main()
except SystemExit as end:
    assert end.code == 0, end.code
print("imported:", *sys.modules)
"""


def test_asking_for_help_does_not_import_the_libraries_of_single_verbs() -> None:
    """One import at the top of one verb's file makes every command wait for it, `status` too."""
    unknown = [name for name in HEAVY if importlib.util.find_spec(name) is None]
    assert unknown == []
    asked = subprocess.run(
        [sys.executable, "-c", _ASK, "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    help_text, _, modules = asked.stdout.rpartition("imported:")
    assert "quarantine" in help_text
    assert set(modules.split()) & set(HEAVY) == set()
