"""The runner and `cityledger run` on real servers: outcomes, lineage, resuming, exit codes."""

from __future__ import annotations

import json
import shutil
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cityledger.cli.main import app
from cityledger.contracts.rectification import Rectification
from cityledger.demo.generate.generator import generate, key_path, redeliver
from cityledger.errors import BadInputError, Exit, UnavailableError
from cityledger.ledger.catalog import Catalog
from cityledger.ledger.graph import LineageGraph
from cityledger.ledger.lineage import Origin, Parent
from cityledger.lifecycle.release import AlreadyDecidedError
from cityledger.people import Person, Role
from cityledger.records import Channel, Decision, Stage
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
    shutil.copy(key_path(extracts), key_path(ready_settings.drop_dir))
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


def test_a_damaged_copy_of_a_landed_file_is_read_from_the_store(runner: Runner) -> None:
    """A disk that flips a bit between landing and judging would change what is published."""
    runner.extract_land(DATASET, PARTITION)
    (copy,) = [path for path in runner.settings.spool_dir.rglob("*") if path.is_file()]
    whole = copy.read_bytes()
    copy.write_bytes(whole[:-9])
    with pytest.raises(UnavailableError) as caught:
        runner.parse_validate(DATASET, PARTITION)
    assert caught.value.code == "copy_damaged"
    again = runner.parse_validate(DATASET, PARTITION)
    assert again.inputs[0].size == len(whole)
    assert again.accounting.validated > 0
    assert statuses(runner, Stage.VALIDATE) == ["failure", "success"]


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
    graph = LineageGraph(runner.database)
    validate = graph.run(by_stage[f"{DATASET}.validate", "START"]["run"]["runId"])
    assert validate is not None
    assert len(graph.of_run(validate).runs) == 2  # itself and the run that landed its files
    declared = by_stage[f"{DATASET}.validate", "START"]["run"]["facets"]["cityledger_declares"]
    assert all(declared[key] for key in ("inputs", "outputs"))
    assert Catalog(runner.database, graph).gapped_runs(10, 0).items == ()


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
    decision = decided("recount confirmed")
    assert runner.release(DATASET, PARTITION, decision=decision).released
    (pending,) = runner.journal.pending()
    assert pending.decision == decision
    assert pending.reasons


def decided(reason: str, *, approved: bool = True, by: str = "steward of the test") -> Decision:
    return Decision(
        approved=approved,
        decided_by=by,
        reason=reason,
        decided_at=datetime.now(UTC),
        channel=Channel.COMMAND_LINE,
    )


def hold(runner: Runner) -> None:
    """Land and judge a delivery that declares one row, which the gate therefore holds."""
    control = next((runner.settings.drop_dir / "transport").glob("metro_trips_*.ctl"))
    control.write_text("1\n", encoding="ascii")
    runner.extract_land(DATASET, PARTITION)
    runner.parse_validate(DATASET, PARTITION)
    assert not runner.release(DATASET, PARTITION).released


def lineage(runner: Runner, stage: str) -> list[dict[str, Any]]:
    with runner.database.begin() as connection:
        rows = connection.execute(select(tables.lineage_event.c.raw).order_by("id")).scalars()
        events = [json.loads(raw) for raw in rows]
    done = [event for event in events if event["eventType"] == "COMPLETE"]
    return [event for event in done if event["job"]["name"] == f"{DATASET}.{stage}"]


def test_a_decision_becomes_evidence(runner: Runner) -> None:
    """A number that rests on a steward's word must show whose word it was, and why."""
    hold(runner)
    decision = decided("recounted by hand")
    runner.release(DATASET, PARTITION, decision=decision)
    held, passed = lineage(runner, "release")
    assert "cityledger_decision" not in held["run"]["facets"]
    facet = passed["run"]["facets"]["cityledger_decision"]
    assert facet["approved"] is True
    assert facet["decided_by"] == decision.decided_by
    assert facet["reason"] == decision.reason
    assert facet == facet | {"_schemaURL": "urn:cityledger:facet:decision-run:1"}
    assert datetime.fromisoformat(facet["decided_at"]) == decision.decided_at
    assert facet["channel"] == "cli"
    assert any("declared" in one for one in facet["objections"])


def test_of_two_stewards_the_second_is_told(runner: Runner) -> None:
    """The later answer would otherwise silently overrule the one that has been acted on."""
    hold(runner)
    start, told = threading.Barrier(2), []
    decisions = [
        decided("recount confirmed", by="steward.wang"),
        decided("send it back", approved=False, by="steward.li"),
    ]

    def decide(decision: Decision) -> None:
        start.wait()
        try:
            Runner(runner.settings).release(DATASET, PARTITION, decision=decision)
        except AlreadyDecidedError as error:
            told.append((error, decision))

    threads = [threading.Thread(target=decide, args=(one,)) for one in decisions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ((error, second),) = told
    (first,) = [one for one in decisions if one is not second]
    assert error.code == "already_decided"
    assert first.decided_by in error.what
    assert first.reason in error.what
    receipt = runner.journal.current_receipt(DATASET, PARTITION)
    assert receipt is not None
    standing = runner.journal.find_release(DATASET, PARTITION, receipt.delivery)
    assert standing is not None
    assert standing.decision == first
    assert standing.released is first.approved
    # The same answer once more, as after a lost connection, is no second decision.
    assert runner.release(DATASET, PARTITION, decision=first) == standing


def test_there_is_nothing_to_decide_on_an_open_gate(runner: Runner) -> None:
    """A steward who rejects what is in use already must not believe that it was taken back."""
    runner.extract_land(DATASET, PARTITION)
    runner.parse_validate(DATASET, PARTITION)
    assert runner.release(DATASET, PARTITION).released
    with pytest.raises(AlreadyDecidedError) as caught:
        runner.release(DATASET, PARTITION, decision=decided("I object", approved=False))
    assert caught.value.code == "not_held"


def test_silence_leaves_the_batch_open(runner: Runner) -> None:
    """Time that runs out must neither release a batch nor take the decision from the steward."""
    hold(runner)
    silence = decided("no steward decided", approved=False, by="cityledger").model_copy(
        update={"channel": Channel.TIMEOUT}
    )
    assert not runner.release(DATASET, PARTITION, decision=silence).released
    assert runner.journal.pending() == []
    assert runner.release(DATASET, PARTITION, decision=decided("late but good")).released


def test_a_held_batch_has_its_order_and_a_good_one_settles_it(runner: Runner) -> None:
    """A department that is never asked, or is asked for ever, corrects nothing."""
    hold(runner)
    steward = Person("steward", frozenset({Role.STEWARD}))
    (order,) = runner.orders.list(steward)
    assert (order.state, order.dataset, order.partition) == ("open", DATASET, PARTITION)
    assert any("declared" in reason for reason in order.reasons)
    runner.parse_validate(DATASET, PARTITION)
    runner.release(DATASET, PARTITION)
    assert runner.orders.list(steward) == [order]

    redeliver(runner.settings.drop_dir, DATASET)
    runner.extract_land(DATASET, PARTITION)
    assert runner.orders.get(order.number, steward).state == "resubmitted"
    runner.parse_validate(DATASET, PARTITION)
    assert runner.orders.get(order.number, steward).state == "verified"
    runner.parse_validate(DATASET, PARTITION, delivery=order.delivery)
    assert runner.orders.get(order.number, steward).state == "verified"


def test_a_rejected_batch_has_its_order_whatever_the_thresholds(runner: Runner) -> None:
    """Sending a batch back without telling the department is only losing it."""
    runner.orders._terms = Rectification(open_on_held=False, open_above_percent=100)
    hold(runner)
    steward = Person("steward", frozenset({Role.STEWARD}))
    assert runner.orders.list(steward) == []
    runner.release(DATASET, PARTITION, decision=decided("half is missing", approved=False))
    (order,) = runner.orders.list(steward)
    assert "half is missing" in order.reasons[-1]


def test_a_correction_that_cannot_be_read_goes_back(runner: Runner) -> None:
    """An order that says "resubmitted" while nothing readable has come would wait for nobody."""
    hold(runner)
    for file in (runner.settings.drop_dir / "transport").glob("metro_trips_*.csv*"):
        file.write_bytes(b"neither,header\nnor,rows\n")
    runner.extract_land(DATASET, PARTITION)
    with pytest.raises(BadInputError) as caught:
        runner.parse_validate(DATASET, PARTITION)
    steward = Person("steward", frozenset({Role.STEWARD}))
    (order,) = runner.orders.list(steward)
    assert (order.state, order.reopened, order.reasons) == ("open", 1, (caught.value.code,))


@pytest.mark.parametrize("words", [("", "because"), ("steward", "  ")])
def test_a_decision_without_name_or_reason_is_refused(
    runner: Runner, words: tuple[str, str]
) -> None:
    """An approval that nobody can explain is no evidence."""
    hold(runner)
    by, reason = words
    arguments = ["release", DATASET, "-p", PARTITION, "--approve", "--by", by, "--reason", reason]
    error = CliRunner().invoke(app, arguments).exception
    assert isinstance(error, BadInputError)
    assert error.code == "reason_missing"
    assert runner.journal.pending() == []
