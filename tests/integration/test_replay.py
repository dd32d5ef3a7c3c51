"""Quarantine on real servers: download, correct, waive, replay, release, standardise."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import shutil
import threading
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import openpyxl
import polars as pl
import pytest
from cityledger.cli.main import app
from cityledger.demo.generate.generator import generate
from cityledger.errors import BadInputError, UnavailableError
from cityledger.ledger.decisions import DecisionStore
from cityledger.people import Person, Role
from cityledger.quarantine.browse import Quarantine
from cityledger.quarantine.corrections import Accepted, correct
from cityledger.quarantine.download import download
from cityledger.quarantine.kinds import FileKind
from cityledger.quarantine.replay import Replayed, replay, replay_batch
from cityledger.quarantine.waivers import approve, revoke
from cityledger.records import ObjectRef, Stage
from cityledger.runner import Runner
from cityledger.settings import Settings
from cityledger.storage import duck
from minio import Minio
from minio.error import S3Error
from pydantic import SecretStr
from typer.testing import CliRunner

DATASET, PARTITION = "gov_services.service_cases", "2026-03-31"
VISITS = "health.outpatient_visits"
STEWARD = Person("steward one", frozenset({Role.STEWARD}))
SECOND = Person("steward two", frozenset({Role.STEWARD}))
CLERK = Person("clerk", frozenset({Role.DEPARTMENT}), frozenset({"gov_services"}))
NURSE = Person("nurse", frozenset({Role.DEPARTMENT}), frozenset({"health"}))
ENGINEER = Person("engineer", frozenset({Role.ENGINEER}))
PHONE_RULE = f"{DATASET}.phone.type"
TODAY = datetime.now(UTC).date()
SOON = TODAY + timedelta(days=30)
REASON = "rows to be corrected"


@pytest.fixture(scope="session")
def extracts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    drop = tmp_path_factory.mktemp("extracts") / "drop"
    generate(drop, scale=0.05, seed=1)
    return drop


@pytest.fixture
def runner(ready_settings: Settings, extracts: Path) -> Runner:
    """The service cases and the visits of the demo city, judged."""
    shutil.copytree(extracts, ready_settings.drop_dir, dirs_exist_ok=True)
    key = SecretStr("a key for tests, long enough for the rule")
    made = Runner(ready_settings.model_copy(update={"pseudonym_key": key}))
    made.extract_land(DATASET, PARTITION)
    made.parse_validate(DATASET, PARTITION)
    return made


Edit = Callable[[dict[str, str]], None]


def fix_satisfaction(row: dict[str, str]) -> None:
    if "满意度评价" in row["_问题"]:
        row["满意度评价"] = "5"


def fix_limit(row: dict[str, str]) -> None:
    if "法定时限" in row["_问题"]:
        row[next(name for name in row if "法定" in name)] = "20"


def downloaded(runner: Runner, folder: Path, *, by: Person = CLERK) -> list[dict[str, str]]:
    """The rows of a CSV download."""
    made = download(
        runner, DATASET, PARTITION, person=by, reason=REASON, folder=folder, kind=FileKind.CSV
    )
    with made.path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def written(rows: list[dict[str, str]], encoding: str = "utf-8") -> bytes:
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue().encode(encoding)


def hand_in(
    runner: Runner, rows: list[dict[str, str]], *, by: Person = CLERK, encoding: str = "utf-8"
) -> Accepted:
    return correct(runner, DATASET, PARTITION, name="更正.csv", data=written(rows, encoding), by=by)


def edited(rows: list[dict[str, str]], *edits: Edit) -> list[dict[str, str]]:
    copies = [dict(row) for row in rows]
    for row in copies:
        for edit in edits:
            edit(row)
    return copies


def frame(runner: Runner, ref: ObjectRef | None) -> pl.DataFrame:
    assert ref is not None
    with runner.store.open(ref) as stream:
        return pl.read_parquet(io.BytesIO(stream.read()))


def indicators(runner: Runner) -> dict[tuple[str, date], Any]:
    """City-wide denominators by indicator and period: cases end in more than one month."""
    with duck.connect(runner.settings, lake=True, read_only=True) as connection:
        rows = connection.execute(
            "select indicator_code, period_start, denominator"
            " from lake.indicators.fct_indicator_value where area_level = 'city'"
        ).fetchall()
    return {(code, start): denominator for code, start, denominator in rows}


def test_download_correct_waive_replay_release_standardise(runner: Runner, tmp_path: Path) -> None:
    """A defect that was corrected or waived must arrive in the indicators, and add up there."""
    first = runner.journal.find_validation(
        DATASET,
        PARTITION,
        runner.parse_validate(DATASET, PARTITION).delivery,
        runner.contract(DATASET).sha256,
    )
    assert first is not None
    runner.release(DATASET, PARTITION)
    runner.standardise()
    before = indicators(runner)

    rows = downloaded(runner, tmp_path)
    assert len(rows) == first.accounting.quarantined
    accepted = hand_in(runner, edited(rows, fix_satisfaction, fix_limit), encoding="gb18030")
    corrected = set(accepted.correction.row_ids)
    assert accepted.fresh
    assert accepted.unchanged == len(rows) - len(corrected)
    assert runner.parse_validate(DATASET, PARTITION) == first, "nothing changes until replay"
    waiver = approve(
        runner,
        DATASET,
        PHONE_RULE,
        by=STEWARD,
        reason="numbers of a closed exchange",
        until=SOON,
        partition=PARTITION,
    )

    second = replay(runner, DATASET, PARTITION, None, STEWARD)
    phones = first.quarantined_by_rule[PHONE_RULE]
    assert second.corrected == len(corrected) > 0
    assert second.waived_by_rule == {PHONE_RULE: phones}
    counts = second.accounting
    assert counts.extracted == first.accounting.extracted
    assert counts.parsed == first.accounting.parsed
    assert counts.quarantined == first.accounting.quarantined - len(corrected) - phones
    assert counts.validated + counts.quarantined == counts.parsed
    (result,) = [one for one in second.results if one.key == PHONE_RULE]
    assert result.failed == phones, "what is waived is still counted"
    assert second.waivers == (waiver,)
    assert [one.sha256 for one in second.corrections] == [accepted.correction.file.sha256]
    assert second.validated.key != first.validated.key, "the first verdict's bytes stay"
    assert frame(runner, first.validated).height == first.accounting.validated

    good = frame(runner, second.validated)
    mine = good.filter(pl.col("_row_id").is_in(list(corrected)))
    assert set(mine["_source_object"]) == {accepted.correction.file.uri}
    lines = {row["_row_id"]: int(row["_行号"]) for row in rows}
    assert {row["_row_id"]: row["_source_row"] for row in mine.iter_rows(named=True)} == {
        row_id: lines[row_id] for row_id in corrected
    }

    verdict = runner.release(DATASET, PARTITION)
    assert verdict.released
    assert verdict.validated == second.validated
    build = runner.standardise()
    assert build is not None
    assert [one.rows for one in build.staged if one.dataset == DATASET] == [counts.validated]
    grown = indicators(runner)
    names = [one for one in before if before[one] is not None and grown[one] != before[one]]
    assert names, "an indicator over the cases grows"
    assert all(grown[one] > before[one] for one in names)
    outcome = runner.journal.outcomes(DATASET, PARTITION, Stage.VALIDATE)
    assert STEWARD.name in json.dumps([one.detail for one in outcome])


def test_replay_again_does_nothing_and_says_so(runner: Runner, tmp_path: Path) -> None:
    """A second replay that judged anew would pile up objects and verdicts that mean nothing."""
    before = replay_batch(runner, DATASET, PARTITION, by=STEWARD)
    assert not before.fresh
    assert "nothing to do" in before.note
    hand_in(runner, edited(downloaded(runner, tmp_path), fix_satisfaction))
    done = replay_batch(runner, DATASET, PARTITION, by=STEWARD)
    again = replay_batch(runner, DATASET, PARTITION, by=SECOND)
    assert (done.fresh, again.fresh) == (True, False)
    assert again.validation == done.validation
    assert "nothing to do" in again.note
    newest = runner.journal.outcomes(DATASET, PARTITION, Stage.VALIDATE)[0]
    assert newest.status == "skipped"


def test_the_same_decisions_give_the_same_bytes(runner: Runner, tmp_path: Path) -> None:
    """Evidence that can't be derived again is no evidence."""
    hand_in(runner, edited(downloaded(runner, tmp_path), fix_satisfaction))
    one = replay(runner, DATASET, PARTITION, None, STEWARD)
    number = approve(runner, DATASET, PHONE_RULE, by=STEWARD, reason="for a day", until=SOON).id
    other = replay(runner, DATASET, PARTITION, None, STEWARD)
    assert other.validated != one.validated
    revoke(runner, number, by=STEWARD, reason="enough")
    back = replay(runner, DATASET, PARTITION, None, STEWARD)
    assert (back.validated, back.quarantined) == (one.validated, one.quarantined)
    assert runner.parse_validate(DATASET, PARTITION) == back


def test_a_later_correction_of_a_row_counts_and_a_bad_one_stays_out(
    runner: Runner, tmp_path: Path
) -> None:
    """A department that corrects twice means the second; a wrong correction must not slip in."""
    rows = downloaded(runner, tmp_path)
    wrong = edited(
        rows, lambda row: row.update({"满意度评价": "77"}) if "满意度评价" in row["_问题"] else None
    )
    hand_in(runner, wrong)
    bad = replay(runner, DATASET, PARTITION, None, STEWARD)
    assert bad.corrected == 2
    assert bad.accounting.quarantined == len(rows)
    again = downloaded(runner, tmp_path)
    assert {row["_文件"] for row in again if "满意度评价" in row["_问题"]} == {"更正.csv"}
    assert {row["满意度评价"] for row in again if "满意度评价" in row["_问题"]} == {"77"}
    hand_in(runner, edited(again, fix_satisfaction))
    good = replay(runner, DATASET, PARTITION, None, STEWARD)
    assert good.accounting.quarantined == len(rows) - 2
    assert len(good.corrections) == 2


def test_a_waiver_ends_with_its_day_or_with_its_revocation(runner: Runner) -> None:
    """A waiver that nobody ends would let the same defect in for ever."""
    first = runner.parse_validate(DATASET, PARTITION)
    short = DecisionStore(runner.database).add_waiver(
        dataset=DATASET,
        rule=PHONE_RULE,
        partition=None,
        delivery=None,
        row_ids=(),
        approved_by="steward",
        reason="ended yesterday",
        valid_until=TODAY - timedelta(days=1),
    )
    assert not replay_batch(runner, DATASET, PARTITION, by=STEWARD).fresh
    waiver = approve(runner, DATASET, PHONE_RULE, by=STEWARD, reason="till soon", until=SOON)
    with_leave = replay(runner, DATASET, PARTITION, None, STEWARD)
    assert with_leave.accounting.quarantined < first.accounting.quarantined
    assert [one.id for one in with_leave.waivers] == [waiver.id] != [short.id]
    revoke(runner, waiver.id, by=SECOND, reason="the numbers have been found")
    without = replay(runner, DATASET, PARTITION, None, STEWARD)
    assert without.accounting == first.accounting
    assert without.validated == first.validated, "the same inputs, the same object"


def test_a_waiver_for_some_rows_leaves_the_others(runner: Runner) -> None:
    """A steward who excuses one row has not excused the rule."""
    page = Quarantine(runner).rows(DATASET, PARTITION, person=STEWARD, rule=PHONE_RULE)
    assert page.total == 3
    approve(
        runner,
        DATASET,
        PHONE_RULE,
        by=STEWARD,
        reason="this one only",
        until=SOON,
        partition=PARTITION,
        delivery=page.delivery,
        row_ids=[page.rows[0].row_id],
    )
    verdict = replay(runner, DATASET, PARTITION, None, STEWARD)
    assert verdict.waived_by_rule == {PHONE_RULE: 1}
    left = Quarantine(runner).rows(DATASET, PARTITION, person=STEWARD, rule=PHONE_RULE)
    assert {row.row_id for row in left.rows} == {row.row_id for row in page.rows[1:]}


def test_two_stewards_at_once_get_one_verdict_and_one_clear_answer(
    runner: Runner, tmp_path: Path
) -> None:
    """Two replays side by side would write two verdicts over each other."""
    hand_in(runner, edited(downloaded(runner, tmp_path), fix_satisfaction))
    done: list[Replayed] = []
    start = threading.Barrier(2)

    def work(person: Person) -> None:
        own = Runner(runner.settings)
        start.wait()
        done.append(replay_batch(own, DATASET, PARTITION, by=person))

    threads = [threading.Thread(target=work, args=(one,)) for one in (STEWARD, SECOND)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(one.fresh for one in done) == [False, True]
    assert done[0].validation == done[1].validation
    with (
        runner.database.lock(f"{DATASET}/{PARTITION}"),
        pytest.raises(UnavailableError) as caught,
    ):
        Runner(runner.settings).replay(DATASET, PARTITION, by="late", patience=0.2)
    assert caught.value.code == "locked"


def test_two_stewards_deciding_the_same_get_one_waiver(runner: Runner) -> None:
    """Two waivers for one thing: revoking one would look as if it ended both."""
    answers: list[object] = []
    start = threading.Barrier(2)

    def work(person: Person) -> None:
        start.wait()
        try:
            answers.append(
                approve(
                    Runner(runner.settings),
                    DATASET,
                    PHONE_RULE,
                    by=person,
                    reason="why not",
                    until=SOON,
                ).id
            )
        except BadInputError as error:
            answers.append(error.code)

    threads = [threading.Thread(target=work, args=(one,)) for one in (STEWARD, SECOND)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert "already_waived" in answers
    (number,) = [one for one in answers if isinstance(one, int)]
    revoke(runner, number, by=STEWARD, reason="no longer")
    with pytest.raises(BadInputError) as caught:
        revoke(runner, number, by=SECOND, reason="no longer")
    assert caught.value.code == "already_revoked"
    assert STEWARD.name in caught.value.what


def test_a_corrected_file_is_accepted_once_and_kept_under_lock(
    runner: Runner, tmp_path: Path
) -> None:
    """A file sent twice is one correction; a file that somebody can delete proves nothing."""
    rows = edited(downloaded(runner, tmp_path), fix_satisfaction)
    first, again = hand_in(runner, rows), hand_in(runner, rows)
    assert (first.fresh, again.fresh) == (True, False)
    assert again.correction == first.correction
    ref = first.correction.file
    assert ref.bucket == runner.store.bucket("landing")
    with runner.store.open(ref) as stream:
        assert hashlib.sha256(stream.read()).hexdigest() == ref.sha256
    keys = list(runner.store.list("landing", "_corrections/"))
    assert len(keys) == 2
    receipt = next(key for key in keys if key.endswith(".json"))
    told = json.loads(runner.store.get_bytes("landing", receipt))
    assert told["row_ids"] == list(first.correction.row_ids)
    at = runner.store.endpoint
    foreign = Minio(at.host, at.access_key, at.secret_key, secure=False)
    with pytest.raises(S3Error, match="AccessDenied"):
        foreign.remove_object(ref.bucket, ref.key, version_id=ref.version_id)


Spoil = Callable[[list[dict[str, str]]], list[dict[str, str]]]


def without(column: str) -> Spoil:
    return lambda rows: [{k: v for k, v in row.items() if k != column} for row in rows]


WRONG_FILES: tuple[tuple[Spoil, str], ...] = (
    (lambda rows: [{**rows[0], "_row_id": "0" * 16 + "-1-2"}], "unknown_row"),
    (lambda rows: [{**rows[0], "_row_id": rows[0]["_row_id"] + "99999"}], "unknown_row"),
    (lambda rows: [{**rows[0], "_row_id": ""}], "unknown_row"),
    (lambda rows: [*rows, rows[0]], "duplicate_row"),
    (without("联系电话"), "missing_column"),
    (without("_row_id"), "no_row_ids"),
    (lambda rows: rows, "nothing_changed"),
)


def test_a_file_that_does_not_fit_is_refused_whole(runner: Runner, tmp_path: Path) -> None:
    """Half of a wrong file, accepted, is worse than none.

    That includes a row that was found good: correcting those would be a way past landing.
    """
    rows = downloaded(runner, tmp_path)
    verdict = runner.parse_validate(DATASET, PARTITION)
    good = frame(runner, verdict.validated)["_row_id"][0]
    for spoil, code in (
        *WRONG_FILES,
        (lambda rows: [{**rows[0], "_row_id": good}], "not_quarantined"),
    ):
        with pytest.raises(BadInputError) as caught:
            hand_in(runner, spoil(rows))
        assert caught.value.code == code
        assert caught.value.fix
    assert list(runner.store.list("landing", "_corrections/")) == []


def test_a_file_for_another_partition_or_dataset_is_named(runner: Runner, tmp_path: Path) -> None:
    """Two files in one folder are easily mixed up; the answer has to say which one it is."""
    rows = edited(downloaded(runner, tmp_path), fix_satisfaction)
    runner.extract_land(VISITS, PARTITION)
    runner.parse_validate(VISITS, PARTITION)
    visits = download(
        runner,
        VISITS,
        PARTITION,
        person=STEWARD,
        reason=REASON,
        folder=tmp_path,
        kind=FileKind.CSV,
    )
    with pytest.raises(BadInputError) as caught:
        correct(runner, DATASET, PARTITION, name="x.csv", data=visits.path.read_bytes(), by=CLERK)
    assert caught.value.code in {"missing_column", "other_dataset"}
    # The next day's delivery of the same dataset, under the same columns.
    drop = runner.settings.drop_dir
    for file in list(drop.rglob("*20260331*")):
        if "政务服务" in file.name:
            target = file.with_name(file.name.replace("20260331", "20260401"))
            target.write_bytes(file.read_bytes() + b"\r\n")
    runner.extract_land(DATASET, "2026-04-01")
    runner.parse_validate(DATASET, "2026-04-01")
    with pytest.raises(BadInputError) as caught:
        correct(runner, DATASET, "2026-04-01", name="x.csv", data=written(rows), by=CLERK)
    assert caught.value.code == "other_partition"
    assert PARTITION in caught.value.what


def test_the_workbook_travels_there_and_back(runner: Runner, tmp_path: Path) -> None:
    """Departments work in Excel: what they did not touch must come back as it was."""
    made = download(runner, DATASET, PARTITION, person=CLERK, reason=REASON, folder=tmp_path)
    book = openpyxl.load_workbook(made.path)
    instructions, sheet = book.worksheets
    told = "\n".join(str(cell.value) for row in instructions for cell in row)
    assert made.due.isoformat() in told
    assert "_row_id" in told
    with pytest.raises(BadInputError) as caught:
        correct(
            runner, DATASET, PARTITION, name=made.path.name, data=made.path.read_bytes(), by=CLERK
        )
    assert caught.value.code == "nothing_changed"
    header = [cell.value for cell in sheet[1]]
    names = [column.business_name for column in runner.contract(DATASET).columns]
    assert header == ["_行号", "_问题", *names, "_文件", "_row_id"]
    assert {cell.number_format for cell in sheet[2]} == {"@"}
    assert {cell.data_type for row in sheet for cell in row if cell.value is not None} == {"s"}
    at = header.index("满意度评价") + 1
    for row in range(2, sheet.max_row + 1):
        if "满意度评价" in sheet.cell(row, 2).value:
            sheet.cell(row, at).value = 5
    book.save(made.path)
    accepted = correct(
        runner, DATASET, PARTITION, name=made.path.name, data=made.path.read_bytes(), by=CLERK
    )
    assert len(accepted.correction.row_ids) == 2
    verdict = replay(runner, DATASET, PARTITION, None, CLERK)
    assert verdict.accounting.quarantined == made.rows - 2


def test_only_the_department_and_stewards_see_rows_whole_and_it_is_recorded(
    runner: Runner, tmp_path: Path
) -> None:
    """Rows of people belong on as few screens as possible, and on none without a trace."""
    for person in (NURSE, ENGINEER, Person("x", frozenset({Role.PUBLIC}))):
        with pytest.raises(BadInputError) as caught:
            download(runner, DATASET, PARTITION, person=person, reason=REASON, folder=tmp_path)
        assert caught.value.code == "not_allowed"
    for reason in ("", "  ", "."):
        with pytest.raises(BadInputError) as caught:
            download(runner, DATASET, PARTITION, person=CLERK, reason=reason, folder=tmp_path)
        assert caught.value.code == "reason_missing"
    assert list(tmp_path.glob("*.xlsx")) == []
    download(runner, DATASET, PARTITION, person=CLERK, reason=REASON, folder=tmp_path)
    (access,) = DecisionStore(runner.database).accesses(DATASET)
    assert (access.person, access.reason, access.action) == (CLERK.name, REASON, "download")
    assert access.rows == 27
    assert [one.dataset for one in Quarantine(runner).list(CLERK)] == [DATASET]
    assert Quarantine(runner).list(NURSE) == []
    with pytest.raises(BadInputError):
        Quarantine(runner).rows(DATASET, PARTITION, person=NURSE)
    with pytest.raises(BadInputError):
        correct(runner, DATASET, PARTITION, name="x", data=b"x", by=NURSE)
    with pytest.raises(BadInputError):
        replay_batch(runner, DATASET, PARTITION, by=ENGINEER)


def test_browsing_shows_nobody_a_whole_number(runner: Runner) -> None:
    """Pages are seen over shoulders: whoever asks, they are masked."""
    runner.extract_land(VISITS, PARTITION)
    verdict = runner.parse_validate(VISITS, PARTITION)
    held = frame(runner, verdict.quarantined)
    page = Quarantine(runner).rows(VISITS, PARTITION, person=NURSE, limit=500)
    assert page.total == held.height == len(page.rows)
    shown = page.model_dump_json()
    for name in ("citizen_id", "patient_name"):
        for value in held[name].drop_nulls():
            assert len(value) < 2 or value not in shown, name
    pages = [
        Quarantine(runner).rows(VISITS, PARTITION, person=STEWARD, offset=at, limit=10)
        for at in range(0, held.height, 10)
    ]
    assert [row for one in pages for row in one.rows] == list(page.rows)
    for key, count in page.by_rule.items():
        one = Quarantine(runner).rows(VISITS, PARTITION, person=STEWARD, rule=key, limit=1)
        assert one.total == count
    rejected = Quarantine(runner).rejected(VISITS, PARTITION, person=STEWARD)
    assert rejected.total == 4
    assert not any(character.isalpha() for row in rejected.rows for character in row.text)


def test_a_waiver_needs_a_steward_a_reason_and_a_day(runner: Runner) -> None:
    """A department that waives its own defects needs no quality rules.

    Nor are rules on the key waived: without its key a row is nobody's.
    """
    for rule, code in (
        (f"{DATASET}.case_no.not_null", "not_waivable"),
        (f"{DATASET}.case_no.unique", "not_waivable"),
        (f"{DATASET}.no_such_rule", "unknown_rule"),
    ):
        with pytest.raises(BadInputError) as caught:
            approve(runner, DATASET, rule, by=STEWARD, reason="why not", until=SOON)
        assert caught.value.code == code
    for person, reason, until, code in (
        (CLERK, "we like it so", SOON, "not_allowed"),
        (ENGINEER, "we like it so", SOON, "not_allowed"),
        (STEWARD, " ", SOON, "reason_missing"),
        (STEWARD, "too late", date(2020, 1, 1), "bad_until"),
    ):
        with pytest.raises(BadInputError) as caught:
            approve(runner, DATASET, PHONE_RULE, by=person, reason=reason, until=until)
        assert caught.value.code == code
    made = approve(runner, DATASET, PHONE_RULE, by=STEWARD, reason="see 13800138000", until=SOON)
    assert made.reason == "see ****"


def test_the_command_line_does_all_of_it(runner: Runner, tmp_path: Path) -> None:
    """A steward without a browser has to get through a batch."""

    def run(*arguments: str) -> Any:
        result = CliRunner().invoke(app, ["quarantine", *arguments, "--json"])
        assert result.exit_code == 0, (result.output, result.exception)
        return json.loads(result.output)

    (entry,) = run("list")
    assert entry["quarantined"] == 27
    place = (DATASET, "-p", PARTITION)
    assert run("show", *place, "--limit", "3")["total"] == 27
    assert run("show", *place, "--rejected")["total"] == 4
    made = run("download", *place, "--reason", REASON, "--to", str(tmp_path), "--format", "csv")
    path = Path(made["path"])
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = edited(list(csv.DictReader(file)), fix_satisfaction)
    path.write_bytes(written(rows, "gb18030"))
    assert run("correct", *place, str(path), "--as-department", "gov_services")["fresh"]
    waived = run(
        "waive",
        DATASET,
        "--rule",
        PHONE_RULE,
        "--reason",
        "closed exchange",
        "--until",
        SOON.isoformat(),
    )
    assert run("waive", DATASET)[0]["waiver"]["id"] == waived["id"]
    assert run("replay", *place)["fresh"]
    assert not run("replay", *place)["fresh"]
    run("waive", DATASET, "--revoke", str(waived["id"]), "--reason", "numbers were found")
    assert run("replay", *place)["fresh"]
    refused = CliRunner().invoke(
        app, ["quarantine", "download", *place, "--reason", "x", "--as-department", "health"]
    )
    assert getattr(refused.exception, "code", None) == "not_allowed"
