"""The runner and `cityledger run` on real servers: outcomes, lineage, resuming, exit codes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from cityledger.cli.main import app
from cityledger.demo.generate.generator import generate
from cityledger.errors import BadInputError, Exit
from cityledger.ledger.lineage import Origin, Parent
from cityledger.records import Decision, Stage
from cityledger.runner import Runner
from cityledger.settings import Settings
from cityledger.storage import tables
from sqlalchemy import select
from typer.testing import CliRunner

DATASET, PARTITION = "transport.metro_trips", "2026-03-31"


@pytest.fixture(scope="session")
def extracts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    drop = tmp_path_factory.mktemp("extracts") / "drop"
    generate(drop, scale=0.02, seed=1)
    return drop


@pytest.fixture
def runner(ready_settings: Settings, extracts: Path) -> Runner:
    shutil.copytree(extracts, ready_settings.drop_dir, dirs_exist_ok=True)
    return Runner(ready_settings)


def statuses(runner: Runner, stage: Stage) -> list[str]:
    newest_first = runner.journal.outcomes(DATASET, PARTITION, stage)
    return [outcome.status for outcome in reversed(newest_first)]


def test_finished_stages_are_not_done_again(runner: Runner) -> None:
    """A repeated run that re-landed or re-judged would cost hours and could change verdicts."""
    first = (
        runner.extract_land(DATASET, PARTITION),
        runner.parse_validate(DATASET, PARTITION),
        runner.release(DATASET, PARTITION),
    )
    again = (
        runner.extract_land(DATASET, PARTITION),
        runner.parse_validate(DATASET, PARTITION),
        runner.release(DATASET, PARTITION),
    )
    assert again == first
    assert first[2].released
    for stage in (Stage.LAND, Stage.PARSE, Stage.VALIDATE, Stage.RELEASE):
        assert statuses(runner, stage) == ["success", "skipped"], stage


def test_a_failure_leaves_its_outcome_and_the_cure_continues(runner: Runner) -> None:
    """A failed stage without a record is a delivery that nobody misses."""
    files = list((runner.settings.drop_dir / "transport").glob("metro_trips_*"))
    assert files
    aside = runner.settings.home / "aside"
    aside.mkdir(parents=True)
    for file in files:
        shutil.move(file, aside / file.name)
    with pytest.raises(BadInputError) as caught:
        runner.extract_land(DATASET, PARTITION)
    (outcome,) = runner.journal.outcomes(DATASET, PARTITION, Stage.EXTRACT)
    assert (outcome.status, outcome.error_code) == ("failure", caught.value.code)
    assert list(runner.store.list("landing", DATASET.replace(".", "/"))) == []
    for file in aside.iterdir():
        shutil.move(file, runner.settings.drop_dir / "transport" / file.name)
    runner.extract_land(DATASET, PARTITION)
    assert runner.parse_validate(DATASET, PARTITION).accounting.validated > 0
    assert statuses(runner, Stage.EXTRACT) == ["failure", "success"]


def test_the_spool_is_empty_afterwards(runner: Runner) -> None:
    """A spool that grows with every delivery fills the disk in a month."""
    runner.extract_land(DATASET, PARTITION)
    runner.parse_validate(DATASET, PARTITION)
    assert [path for path in runner.settings.spool_dir.rglob("*") if path.is_file()] == []


def test_every_stage_tells_the_ledger_which_versions_it_touched(runner: Runner) -> None:
    """Lineage without object versions can't say which delivery a number came from."""
    runner.parent = Parent(Origin("airflow", "dag.task", "01890a5d-ac96-774b-bcce-b302099a8057"))
    receipt = runner.extract_land(DATASET, PARTITION)
    runner.parse_validate(DATASET, PARTITION)
    runner.release(DATASET, PARTITION)
    with runner.database.begin() as connection:
        rows = connection.execute(select(tables.lineage_event.c.raw).order_by("id")).scalars()
        events = [json.loads(raw) for raw in rows]
    by_stage = {(event["job"]["name"], event["eventType"]): event for event in events}
    for stage in ("extract", "land", "parse", "validate", "release"):
        assert (f"{DATASET}.{stage}", "START") in by_stage
        complete = by_stage[f"{DATASET}.{stage}", "COMPLETE"]
        assert complete["run"]["facets"]["parent"]["job"]["name"] == "dag.task"
    (landed,) = by_stage[f"{DATASET}.land", "COMPLETE"]["outputs"]
    assert landed["namespace"] == f"s3://{receipt.objects[0].bucket}"
    assert landed["name"] == receipt.objects[0].key
    assert landed["facets"]["version"]["datasetVersion"] == receipt.objects[0].version_id
    judged = by_stage[f"{DATASET}.validate", "COMPLETE"]["inputs"]
    assert [item["name"] for item in judged] == [landed["name"]]


def test_releasing_what_was_never_validated_says_what_to_do(runner: Runner) -> None:
    """A release without a verdict would put unjudged rows into indicators."""
    runner.extract_land(DATASET, PARTITION)
    with pytest.raises(BadInputError, match="not been validated") as caught:
        runner.release(DATASET, PARTITION)
    assert "--from-stage parse" in caught.value.fix


@pytest.mark.parametrize(
    ("arguments", "code", "exit_code"),
    [
        (("transport.metro_trip", "-p", PARTITION), "unknown_dataset", Exit.BAD_INPUT),
        ((DATASET, "-p", "2026-03"), "wrong_grain", Exit.BAD_INPUT),
        ((DATASET, "-p", "yesterday"), "bad_partition", Exit.BAD_INPUT),
        ((DATASET, "-p", "2026-03-31", "--from-stage", "parse"), "not_landed", Exit.BAD_INPUT),
        ((DATASET, "-p", "2026-03-30"), "nothing_delivered", Exit.BAD_INPUT),
    ],
)
def test_mistakes_get_one_clear_error(
    runner: Runner, arguments: tuple[str, ...], code: str, exit_code: Exit
) -> None:
    """A traceback tells neither an engineer nor a script what is wrong with the file."""
    result = CliRunner().invoke(app, ["run", *arguments, "--json"])
    error = result.exception
    assert isinstance(error, BadInputError), result.output
    assert (error.code, error.exit_code) == (code, exit_code)
    assert error.fix


def test_a_held_batch_waits_for_the_stewards_word(runner: Runner) -> None:
    """A batch beyond its limits must not pass by itself, and must pass when a steward says so."""
    control = next((runner.settings.drop_dir / "transport").glob("metro_trips_*.ctl"))
    control.write_text("1\n", encoding="ascii")  # declares one row: the identity does not hold
    result = CliRunner().invoke(app, ["run", DATASET, "-p", PARTITION, "--to-stage", "release"])
    assert getattr(result.exception, "exit_code", None) == Exit.HELD, result.output
    assert runner.journal.pending() == []
    decision = Decision(approved=True, decided_by="steward of the test", reason="recount confirmed")
    assert runner.release(DATASET, PARTITION, decision=decision).released
    (pending,) = runner.journal.pending()
    assert pending.decision == decision
    assert pending.reasons
