"""A city's own package brings rules: installed as pip leaves it, found by its entry point."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

MODULE = '''
"""Rules of another package."""
import polars as pl
from quality_checks.rules.base import Call, Example, row_rule


@row_rule(gb_code="0104", source="the city's own rule book",
          example=Example(good={"a": [2]}, bad={"a": [3]}))
def even(call: Call) -> pl.Expr:
    """The number is even."""
    return (call.value % 2 == 0).fill_null(value=True)
'''
PROGRAM = """
import json
import polars as pl
from quality_checks.rules import all_rules, catalogue
from tests.unit.quality.conftest import make_column, make_contract, make_rule, AS_OF
from quality_checks.suite import compile_suite
from pathlib import Path

made = make_contract([make_column("a", "integer")], [make_rule("even", "a")])
session = compile_suite(made, codes_dir=Path("."), as_of=AS_OF).session()
suite = compile_suite(made, codes_dir=Path("."), as_of=AS_OF)
session.check(suite.read(pl.DataFrame({"a": ["2", "3"]})))
result = session.finish()[0]
print(json.dumps([all_rules()["even"].description, "even" in catalogue(), result.failed]))
"""


def test_an_installed_package_brings_rules(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """The entry point group, its spelling and its loading are promised to other people's code."""
    (tmp_path / "city_rules.py").write_text(MODULE, encoding="utf-8")
    info = tmp_path / "city_rules-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: city-rules\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[cityledger.rules]\ncity = city_rules\n")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={"PYTHONPATH": f"{tmp_path}:{request.config.rootpath}", "PATH": ""},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == ["The number is even.", True, 1]


def test_two_rules_of_one_name_are_refused() -> None:
    """The later one would silently judge what the earlier one was written for."""
    from quality_checks.rules.base import row_rule
    from quality_checks.rules.columns import not_null

    def other(call: object) -> object:
        return call

    other.__name__ = "not_null"
    settings = {"gb_code": "0201", "source": "x", "example": None}
    with pytest.raises(ValueError, match="not_null"):
        row_rule(**settings)(other)  # type: ignore[arg-type]
    assert row_rule(**settings)(not_null) is not_null
