"""`cityledger contract …`: exit codes, JSON, and files left alone."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from cityledger.cli.contract import app
from cityledger.errors import BadInputError
from cityledger.settings import get_settings
from typer.testing import CliRunner

PROJECT = Path(__file__).parents[3]
CONTRACTS = PROJECT / "contracts"
BAD_HOUSE = PROJECT / "tests" / "unit" / "contracts" / "bad_house"
runner = CliRunner()


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the contracts and an empty dbt project, which settings point to."""
    shutil.copytree(CONTRACTS, tmp_path / "contracts")
    monkeypatch.setenv("CITYLEDGER_CONTRACTS_DIR", str(tmp_path / "contracts"))
    monkeypatch.setenv("CITYLEDGER_DBT_PROJECT_DIR", str(tmp_path / "dbt_project"))
    get_settings.cache_clear()
    yield tmp_path
    get_settings.cache_clear()


def test_lint_of_a_bad_house_exits_with_4_and_counts() -> None:
    """CI must stop on it, and people must see how much was looked at."""
    result = runner.invoke(app, ["lint", str(BAD_HOUSE)])
    assert result.exit_code == 4
    lines = result.stdout.splitlines()
    assert lines[-1].endswith(f"{len(lines) - 1} violations")
    assert all(line.startswith(f"{BAD_HOUSE}/") and " → " in line for line in lines[:-1])


def test_lint_json_holds_the_same() -> None:
    """Editors and CI annotate lines from it."""
    text = runner.invoke(app, ["lint", str(BAD_HOUSE)]).stdout.splitlines()[:-1]
    result = runner.invoke(app, ["lint", str(BAD_HOUSE), "--json"])
    report = json.loads(result.stdout)
    assert result.exit_code == 4
    assert [
        f"{v['file']}:{v['line']}:{v['column']}: {v['message']} → {v['fix']}"
        for v in report["violations"]
    ] == text


def test_lint_of_one_file_reports_that_file_only() -> None:
    """While writing one contract the others' faults are noise."""
    path = BAD_HOUSE / "transport" / "metro_trips.odcs.yaml"
    lines = runner.invoke(app, ["lint", str(path)]).stdout.splitlines()
    assert len(lines) > 10
    assert {line.split(":")[0] for line in lines[:-1]} == {str(path)}


def test_lint_of_the_shipped_contracts_is_clean(project: Path) -> None:
    """Without a path it looks at the contracts of the settings."""
    result = runner.invoke(app, ["lint"])
    assert (result.exit_code, result.stdout.endswith(": 0 violations\n")) == (0, True)


def test_show_lists_every_column_and_rule(project: Path) -> None:
    """What is shown is what runs."""
    shown = json.loads(runner.invoke(app, ["show", "transport.metro_trips", "--json"]).stdout)
    assert shown["id"] == "transport.metro_trips"
    assert all(rule["gb_code"] and rule["key"] for rule in shown["rules"])
    text = runner.invoke(app, ["show", "transport.metro_trips"], env={"COLUMNS": "200"}).stdout
    for column in shown["columns"]:
        assert column["name"] in text
    for rule in shown["rules"]:
        assert rule["key"].removeprefix("transport.metro_trips.") in text


def test_show_of_an_unknown_dataset_names_the_nearest(project: Path) -> None:
    """A typo costs one reading, not a search."""
    result = runner.invoke(app, ["show", "transport.metro_trip"])
    assert isinstance(result.exception, BadInputError)
    assert "did you mean 'transport.metro_trips'?" in result.exception.fix


def test_scaffold_writes_the_model_and_refuses_to_overwrite(project: Path) -> None:
    """A hand-made change to a staging model must not vanish by accident."""
    folder = project / "dbt_project" / "models" / "staging"
    result = runner.invoke(app, ["scaffold", "transport.metro_trips"])
    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in folder.iterdir()) == [
        "stg_transport__metro_trips.sql",
        "stg_transport__metro_trips.yml",
    ]
    model = folder / "stg_transport__metro_trips.sql"
    written = model.read_text(encoding="utf-8")
    model.write_text("-- mine", encoding="utf-8")
    again = runner.invoke(app, ["scaffold", "transport.metro_trips"])
    assert isinstance(again.exception, BadInputError)
    assert again.exception.code == "scaffold_exists"
    assert model.read_text(encoding="utf-8") == "-- mine"
    assert runner.invoke(app, ["scaffold", "transport.metro_trips", "--force"]).exit_code == 0
    assert model.read_text(encoding="utf-8") == written


def test_scaffold_enlists_the_model_for_the_audit(project: Path) -> None:
    """A dataset that the audit does not count breaks the accounting identity of the next build."""
    audit = project / "dbt_project" / "models" / "audit" / "aud_accounting_identity.sql"
    audit.parent.mkdir(parents=True)
    before = (
        "with a as (\n    {{ staged_counts([\n        ref('stg_health__visits'),\n"
        "        ref('stg_water__meters'),\n    ]) }}\n)\n"
    )
    audit.write_text(before, encoding="utf-8")
    for _ in range(2):
        result = runner.invoke(app, ["scaffold", "transport.metro_trips", "--force"])
        assert result.exit_code == 0, result.output
        names = re.findall(r"ref\('(\w+)'\)", audit.read_text(encoding="utf-8"))
        assert names == ["stg_health__visits", "stg_transport__metro_trips", "stg_water__meters"]
    assert (
        audit.read_text(encoding="utf-8").replace(
            "        ref('stg_transport__metro_trips'),\n", ""
        )
        == before
    )


def test_infer_drafts_a_contract_that_passes(project: Path, tmp_path: Path) -> None:
    """From a department's file to a contract that lints clean, in one command."""
    sample = tmp_path / "停车场_20260331.csv"
    rows = [f"P{n:04},云港区,{n % 7},2026-03-31 08:{n % 60:02}:00" for n in range(80)]
    text = "某某停车场日报,,,\n停车场编号,区,余位,采集时间\n" + "\n".join(rows) + "\n"
    sample.write_bytes(text.encode("gb18030"))
    command = ["infer", str(sample), "--dataset", "transport.parking"]
    people = ["--owner", "a", "--steward", "b", "--contact", "c", "--condition", "d"]
    result = runner.invoke(app, [*command, *people])
    assert result.exit_code == 0, result.output
    path = project / "contracts" / "transport" / "parking.odcs.yaml"
    assert runner.invoke(app, ["lint", str(path)]).exit_code == 0
    shown = json.loads(runner.invoke(app, ["show", "transport.parking", "--json"]).stdout)
    assert [column["type"] for column in shown["columns"]] == [
        "string",
        "string",
        "integer",
        "timestamp",
    ]
    assert shown["source"]["options"]["path"] == "transport/停车场_{yyyy}{mm}{dd}.csv"
    before = path.read_bytes()
    again = runner.invoke(app, command)
    assert isinstance(again.exception, BadInputError)
    assert again.exception.code == "contract_exists"
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", [b"", b"a,b\n"])
def test_infer_of_an_empty_sample_is_one_clear_error(
    project: Path, tmp_path: Path, content: bytes
) -> None:
    """Nothing can be inferred from nothing, and nothing is written."""
    sample = tmp_path / "x.csv"
    sample.write_bytes(content)
    result = runner.invoke(app, ["infer", str(sample), "--dataset", "transport.parking"])
    assert isinstance(result.exception, BadInputError)
    assert not (project / "contracts" / "transport" / "parking.odcs.yaml").exists()


def test_lint_binds_the_rules_to_the_columns(project: Path) -> None:
    """A rule that can't judge its columns would stop the run at night, after a clean lint."""
    path = project / "contracts" / "transport" / "metro_trips.odcs.yaml"
    text = path.read_text(encoding="utf-8")
    assert "columns: [exit_at, entry_at]" in text
    path.write_text(text.replace("[exit_at, entry_at]", "[exit_at, trip_id]"), encoding="utf-8")
    result = runner.invoke(app, ["lint", str(path)])
    assert result.exit_code == 4
    assert re.search(
        rf"{re.escape(str(path))}:[0-9]{{2,}}:1: transport.metro_trips._row.not_before: ",
        result.stdout,
    )


def test_lint_checks_code_lists_of_value_types(project: Path) -> None:
    """A misspelt list name would reject every row."""
    path = project / "contracts" / "education" / "schools.odcs.yaml"
    text = path.read_text(encoding="utf-8")
    old = "{property: valueType, value: area_code}"
    assert old in text
    new = f"{old}, {{property: options, value: {{codes: areas}}}}"
    path.write_text(text.replace(old, new), encoding="utf-8")
    result = runner.invoke(app, ["lint", str(path)])
    assert "there is no code list 'areas' → did you mean 'area'?" in result.stdout
