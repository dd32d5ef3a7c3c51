"""Quarantine on pages: who sees rows, what leaves the house, what may come back, what follows."""

from __future__ import annotations

import csv
import io
import re
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import openpyxl
import pytest
from cityledger.console import limits, replays
from cityledger.ledger.decisions import DecisionStore
from cityledger.ledger.journal import Journal
from cityledger.people import Person
from cityledger.quarantine.replay import Replayed, replay_batch
from cityledger.records import Outcome, Stage
from cityledger.storage.database import Database
from cityledger_stack.postgres import Postgres
from starlette.testclient import TestClient

from tests.unit.console.conftest import Browser, Story
from tests.unit.console.judged import (
    AUDITOR,
    CASES,
    DAY,
    ENGINEER,
    PUBLIC,
    STEWARD,
    TICKETS,
    VISITS,
    Town,
    clerk,
    post,
    town,
)

HEALTH, CITIZENS, HOTLINE = clerk("health"), clerk("gov_services"), clerk("hotline")
TODAY = datetime.now(UTC).date()
SOON = TODAY + timedelta(days=30)


@pytest.fixture(scope="module")
def judged(
    postgres_server: Postgres,
    database_template: str,
    s3_url: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Town]:
    """Visits are looked at, cases corrected, tickets waived: no test disturbs another's."""
    home = tmp_path_factory.mktemp("town")
    datasets = (VISITS, CASES, TICKETS)
    with town(postgres_server, database_template, s3_url, home, datasets, lambda _: None) as made:
        yield made


def original(judged: Town) -> list[list[str]]:
    """The health department's file as it was handed in; index 0 is line 1."""
    data = judged.file("health/*.csv").read_bytes()
    return [row.split(",") for row in data.decode("utf-8-sig", errors="replace").splitlines()]


def taken(client: TestClient, judged: Town, dataset: str) -> list[dict[str, str]]:
    """The rows of a CSV download."""
    path = judged.page(dataset) + "/download"
    answer = post(client, path, reason="to correct them", kind="csv")
    assert answer.status_code == 200, answer.text
    return list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"), newline="")))


def written(rows: list[dict[str, str]]) -> bytes:
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue().encode()


def hand_in(client: TestClient, judged: Town, dataset: str, data: bytes) -> Any:
    return post(client, judged.page(dataset) + "/corrections", file=("更正.csv", data))


def test_a_department_sees_its_own_rows_only(judged: Town) -> None:
    """Bad rows of another department are its own affair, and full of people."""
    own = judged.browser(HEALTH).get("/quarantine").text
    assert judged.page(VISITS) in own
    assert judged.page(CASES) not in own
    listed = judged.browser(STEWARD).get("/quarantine").text
    assert judged.page(VISITS) in listed
    assert judged.page(CASES) in listed
    chosen = judged.browser(STEWARD).get("/quarantine?department=health").text
    assert judged.page(CASES) not in chosen
    assert judged.browser(PUBLIC).get("/quarantine").status_code == 403


@pytest.mark.parametrize("below", ["", "/rejected", "/replay?before=1"])
def test_another_departments_delivery_looks_like_none(judged: Town, below: str) -> None:
    """A 403, or another text, would tell a guesser that the delivery exists."""
    client, real = judged.browser(CITIZENS), judged.page(VISITS)
    none = real.replace("outpatient_visits", "outpatient_treasures")
    hidden, absent = client.get(real + below), client.get(none + below)
    assert (hidden.status_code, absent.status_code) == (404, 404)
    assert "门诊" not in hidden.text
    for step in ("download", "corrections", "waivers", "replay"):
        assert post(client, f"{real}/{step}", reason="curious").status_code in {403, 404}, step
    unknown = f"{judged.page(CASES)[:-4]}0000"
    assert client.get(unknown).status_code == 404


@pytest.mark.parametrize("person", [ENGINEER, AUDITOR])
def test_those_who_look_may_not_take(judged: Town, person: Person) -> None:
    """An engineer who repairs pipelines has no business with the citizens in the rows."""
    client, path = judged.browser(person), judged.page(VISITS)
    page = client.get(path).text
    assert "Quarantined rows" in page
    assert "<form method" not in page
    for step in ("download", "corrections", "waivers", "replay"):
        answer = post(client, f"{path}/{step}", reason="curious", rule="r", until=str(SOON))
        assert answer.status_code == 403, step


def test_departments_do_not_waive(judged: Town) -> None:
    """A department that waives its own rules has no rules."""
    client = judged.browser(HEALTH)
    fields = {"rule": f"{VISITS}.sex.type", "until": str(SOON), "reason": "we are fine"}
    assert post(client, judged.page(VISITS) + "/waivers", **fields).status_code == 403
    assert post(client, "/quarantine/waivers/1/revoke", reason="no").status_code == 403
    assert "Approve the waiver" not in client.get(judged.page(VISITS)).text


@pytest.mark.parametrize("step", ["download", "corrections", "waivers", "replay"])
def test_forms_of_other_sites_are_refused(judged: Town, step: str) -> None:
    """A link in a mail must not download citizens or waive a rule in a steward's name."""
    client = judged.browser(STEWARD)
    client.get("/quarantine")
    fields = {"reason": "r", "rule": "r", "until": str(SOON)}
    assert client.post(f"{judged.page(VISITS)}/{step}", data=fields).status_code == 403
    assert client.post("/quarantine/waivers/1/revoke", data=fields).status_code == 403


@pytest.mark.parametrize("person", [HEALTH, STEWARD, AUDITOR])
def test_no_page_shows_a_whole_number(judged: Town, person: Person) -> None:
    """Whoever looks over a clerk's shoulder must not read citizen ids."""
    raw = {cell for row in original(judged) for cell in row if re.fullmatch(r"\d{17}[\dX]", cell)}
    assert len(raw) > 100
    client, path = judged.browser(person), judged.page(VISITS)
    pages = [client.get(path + below).text for below in ("", "?offset=10", "/rejected")]
    assert all(cell not in page for page in pages for cell in raw)
    assert "*****" in pages[0]
    assert not re.search(r"(?<![0-9a-f])[1-9]\d{16}[\dX](?![0-9a-f])", "".join(pages))


def test_a_row_is_found_in_the_file_by_its_line(judged: Town) -> None:
    """A clerk looks for the row in the own file; a line that is off by one corrects another row."""
    page = judged.browser(HEALTH).get(judged.page(VISITS)).text
    lines = original(judged)
    shown = re.findall(r'<tr><th scope="row" class="figure">(\d+)</th>.*?(MZ\d+)', page, re.DOTALL)
    assert len(shown) > 10
    for line, number in shown[:20]:
        assert lines[int(line) - 1][0] == number
    assert "门诊就诊_20260331.csv" in page


def test_rows_by_rule_by_page_and_by_language(judged: Town) -> None:
    """Thousands of rows can't be looked at without a filter, nor without pages."""
    client, path = judged.browser(HEALTH), judged.page(VISITS)
    rule = f"{VISITS}.sex.type"
    filtered = client.get(path, params={"rule": rule}).text
    assert "is no code of sex" in filtered
    assert filtered.count('<td class="reasons">') < client.get(path).text.count('"reasons"')
    assert "不是有效的性别代码" in judged.browser(HEALTH, "zh").get(path + f"?rule={rule}").text
    assert '"reasons"' not in client.get(path + "?offset=100000").text
    assert "No row in quarantine" in client.get(path + "?rule=no.such.rule").text
    rejected = client.get(path + "/rejected").text
    assert "fewer fields than the header" in rejected


def test_a_page_of_many_rows_leads_to_the_next(
    judged: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows beyond the first page would otherwise never be seen."""
    monkeypatch.setattr("cityledger.console.pages.quarantine._ROWS", 10)
    client = judged.browser(HEALTH)
    first = client.get(judged.page(VISITS)).text
    after = re.search(r'href="([^"]+)" rel="next"', first)
    assert after is not None
    second = client.get(after[1].replace("&amp;", "&")).text
    assert 'rel="prev"' in second
    one, two = (re.findall(r'class="figure">(\d+)</th>', page) for page in (first, second))
    assert not set(one) & set(two)


def test_a_download_is_whole_recorded_and_leaves_nothing(judged: Town) -> None:
    """Rows leave once, for a reason, for the one who asked; no copy stays on the server."""
    client, path = judged.browser(HEALTH), judged.page(VISITS)
    refused = post(client, path + "/download", reason=" ", kind="xlsx")
    assert refused.status_code == 422
    assert "Say why" in refused.text
    answer = post(client, path + "/download", reason="to correct the ids", kind="xlsx")
    book = openpyxl.load_workbook(io.BytesIO(answer.content))
    cells = {cell for row in book["待更正数据"].iter_rows(values_only=True) for cell in row}
    raw = {row[1] for row in original(judged) if len(row) > 1 and len(row[1]) == 18}
    assert cells & raw, "the department needs its rows as they were"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    disposition = answer.headers["content-disposition"]
    assert disposition.startswith("attachment; ")
    assert disposition.isascii()
    assert "to correct the ids" in client.get(path).text
    assert [one for one in judged.settings.spool_dir.rglob("*") if one.is_file()] == []


def test_a_download_of_one_rule_holds_its_rows_only(judged: Town) -> None:
    """Who corrects one fault needs no rows, and no citizens, with others."""
    client = judged.browser(HEALTH)
    rule = f"{VISITS}.sex.type"
    path = judged.page(VISITS) + "/download"
    answer = post(client, path, reason="sex codes", kind="csv", rule=rule)
    rows = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"), newline="")))
    assert rows
    assert all("性别" in row["_问题"] for row in rows)
    unknown = post(client, path, reason="sex codes", kind="pdf")
    assert unknown.status_code == 400


WRONG = {
    "no_row_ids": "has no column _row_id",
    "missing_column": "Columns are missing",
    "duplicate_row": "more than once",
    "unknown_row": "this delivery has no such row",
    "other_dataset": "another dataset",
    "nothing_changed": "No cell differs",
    "not_a_table": "cannot be read",
    "empty": "no column _row_id",
}


@pytest.mark.parametrize("fault", list(WRONG))
def test_a_file_that_does_not_fit_is_refused_with_its_place(judged: Town, fault: str) -> None:
    """A clerk must be told what is wrong and where, and nothing may change."""
    client = judged.browser(STEWARD)
    rows = taken(client, judged, VISITS)
    answer = hand_in(client, judged, VISITS, spoilt(client, judged, rows, fault))
    assert answer.status_code == 422
    assert WRONG[fault] in answer.text
    assert "Nothing was changed." in answer.text
    if fault in {"duplicate_row", "unknown_row", "other_dataset"}:
        assert "Rows in the file: 2" in answer.text
    if fault == "missing_column":
        assert "Missing columns: 性别" in answer.text
    store = DecisionStore(judged.runner.database)
    assert store.corrections(VISITS, DAY, judged.deliveries[VISITS]) == ()


def test_rows_of_another_department_are_not_told_to_a_clerk(judged: Town) -> None:
    """Prevents guesses at what others handed in: a delivery's number is made of its file."""
    steward, mine = judged.browser(STEWARD), judged.browser(HEALTH)
    rows, foreign = taken(mine, judged, VISITS), taken(steward, judged, CASES)[0]["_row_id"]
    guessed = hand_in(mine, judged, VISITS, written([rows[0] | {"_row_id": foreign}]))
    invented = hand_in(mine, judged, VISITS, written([rows[0] | {"_row_id": "0" * 16 + "-1-1"}]))
    assert CASES not in guessed.text
    assert guessed.status_code == invented.status_code == 422
    told = [re.findall(r'class="problem".*?</', one.text, re.S) for one in (guessed, invented)]
    assert "this delivery has no such row" in guessed.text
    assert told[0] == told[1]


def test_reasons_keep_no_numbers_of_people(judged: Town) -> None:
    """Prevents an identity number from staying for ever in the record of accesses."""
    client = judged.browser(STEWARD)
    path = judged.page(VISITS) + "/download"
    assert post(client, path, reason="about 11010519491231002X", kind="csv").status_code == 200
    kept = DecisionStore(judged.runner.database).accesses(VISITS)
    assert any(one.reason.startswith("about ") for one in kept)
    assert not any("11010519491231002X" in one.reason for one in kept)


def spoilt(client: TestClient, judged: Town, rows: list[dict[str, str]], fault: str) -> bytes:
    """A corrected file with one fault."""
    if fault == "other_dataset":
        foreign = taken(client, judged, CASES)[0]["_row_id"]
        return written([rows[0] | {"_row_id": foreign}, *rows[1:]])
    changes = {
        "duplicate_row": [rows[0], rows[0], *rows[1:]],
        "unknown_row": [rows[0] | {"_row_id": ""}, *rows[1:]],
        "nothing_changed": rows,
        "no_row_ids": [{k: v for k, v in row.items() if k != "_row_id"} for row in rows],
        "missing_column": [{k: v for k, v in row.items() if k != "性别"} for row in rows],
    }
    if fault in changes:
        return written(changes[fault])
    return b"" if fault == "empty" else b"PK\x03\x04 no workbook"


def test_no_file_and_a_file_without_end(judged: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk full of uploads stops the whole house; the bound must not trust what is declared."""
    client, path = judged.browser(HEALTH), judged.page(VISITS) + "/corrections"
    nothing = post(client, path)
    assert nothing.status_code == 422
    assert "Choose the corrected file first." in nothing.text
    monkeypatch.setattr(limits, "UPLOAD_BYTES", 1000)
    monkeypatch.setattr(limits, "FORM_BYTES", 1000)
    assert post(client, path, file=("更正.csv", b"x" * 4000)).status_code == 413
    read = 0

    def endless() -> Iterator[bytes]:
        nonlocal read
        for _ in range(1000):
            read += 1
            yield b"x" * 1000

    kind = "application/x-www-form-urlencoded"
    answer = client.post(path, content=endless(), headers={"content-type": kind})
    assert answer.status_code == 413
    assert post(client, judged.page(VISITS) + "/replay", note="x" * 2000).status_code == 413


def test_corrected_replayed_and_added_up(judged: Town) -> None:
    """The way of a correction: accepted once, used by the replay, and the accounts still add up."""
    client, path = judged.browser(CITIZENS), judged.page(CASES)
    rows = taken(client, judged, CASES)
    for row in rows:
        if "满意度评价" in row["_问题"]:
            row["满意度评价"] = "5"
    answer = hand_in(client, judged, CASES, written(rows))
    assert (answer.status_code, "done=accepted" in answer.headers["location"]) == (303, True)
    again = hand_in(client, judged, CASES, written(rows))
    assert "done=known" in again.headers["location"]
    page = client.get(path).text
    assert "to be replayed" in page
    assert "Something was decided" in page

    began = post(client, path + "/replay")
    assert began.status_code == 303
    page = settled(client, began.headers["location"])
    assert "The delivery was judged again." in page
    assert page.count("adds up") == 4
    assert "does not add up" not in page
    assert "The gate let the batch pass." in page
    assert "applied" in client.get(path).text
    account = judged.runner.parse_validate(CASES, DAY).accounting
    assert account.parsed == account.validated + account.quarantined

    twice = post(client, path + "/replay")
    assert "Nothing to do" in settled(client, twice.headers["location"])


def settled(client: TestClient, address: str) -> str:
    """The replay's page once it no longer looks again by itself."""
    for _ in range(100):
        page: str = client.get(address).text
        if 'http-equiv="refresh"' not in page:
            return page
        time.sleep(0.1)
    raise AssertionError("the replay does not end")


def test_a_long_replay_does_not_keep_the_page_waiting(
    judged: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A browser gives up after a minute or two; the work must go on and be found again."""
    monkeypatch.setattr(replays, "ANSWER_WITHIN", 0.0)
    gate = threading.Event()

    def slow(*args: Any, **kwargs: Any) -> Replayed:
        assert gate.wait(20)
        return replay_batch(*args, **kwargs)

    monkeypatch.setattr(replays, "replay_batch", slow)
    client, path = judged.browser(HEALTH), judged.page(VISITS)
    first = post(client, path + "/replay")
    second = post(client, path + "/replay")
    assert (first.status_code, second.status_code) == (303, 303)
    with judged.runner.database.lock(f"{VISITS}/{DAY}"):
        waiting = client.get(first.headers["location"]).text
    assert 'http-equiv="refresh"' in waiting
    assert "is being judged again" in waiting
    gate.set()
    assert "Nothing to do" in settled(client, first.headers["location"])


@pytest.mark.parametrize(("how", "says"), [("failed", "replay failed"), ("lost", "broke off")])
def test_a_replay_that_did_not_end_says_what_to_do(
    browser: Browser, story: Story, database: Database, how: str, says: str
) -> None:
    """A page that says 'under way' for ever is worse than a failure."""
    client, page = browser(STEWARD), f"/quarantine/{VISITS}/{DAY}/d20260331/replay"
    asked_at = datetime.now(UTC) - timedelta(hours=1)
    if how == "failed":
        Journal(database).record(
            Outcome(
                run_id="0190aaaa-0000-7000-8000-000000000001",
                stage=Stage.VALIDATE,
                dataset=VISITS,
                partition=DAY,
                status="failure",
                started_at=asked_at + timedelta(seconds=1),
                ended_at=asked_at + timedelta(seconds=2),
                delivery="d20260331",
                error_code="bad_file",
                error="it could not be read",
            )
        )
    asked = {"before": story.health, "since": int(asked_at.timestamp() * 1000)}
    answer = client.get(page, params=asked).text
    assert says in answer
    assert 'http-equiv="refresh"' not in answer
    just_now = asked | {"since": int(datetime.now(UTC).timestamp() * 1000)}
    assert 'http-equiv="refresh"' in client.get(page, params=just_now).text
    assert client.get(page, params={"before": story.transport}).status_code == 404
    assert client.get(page, params={"before": 999_999}).status_code == 404


def test_who_works_on_the_delivery_is_not_disturbed(
    judged: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two at once on one delivery: the second is told, nothing is half done."""
    monkeypatch.setattr("cityledger.quarantine.corrections.PATIENCE_SECONDS", 0.05)
    client = judged.browser(STEWARD)
    rows = taken(client, judged, VISITS)
    with judged.runner.database.lock(f"{VISITS}/{DAY}"):
        answer = hand_in(client, judged, VISITS, written(rows))
    assert answer.status_code == 409
    assert "Somebody else is working on this delivery." in answer.text


def test_the_way_of_a_waiver(judged: Town) -> None:
    """Who let rows pass, why and until when must be seen, and end when it was said to end."""
    client, path = judged.browser(STEWARD), judged.page(TICKETS)
    page = client.get(path).text
    rule = re.search(r'<select name="rule" required><option value="([^"]+)"', page)
    assert rule is not None
    fields = {"rule": rule[1], "until": str(SOON), "scope": "delivery"}
    for wrong, code, says in (
        ({"reason": " "}, 422, "Say why"),
        ({"reason": "r", "until": "2020-01-01"}, 422, "has passed"),
        ({"reason": "r", "rule": f"{TICKETS}.nothing"}, 422, "does not have this rule"),
        ({"reason": "r", "until": "soon"}, 400, "cannot be used"),
        ({"reason": "r", "scope": "world"}, 404, "Not found"),
    ):
        answer = post(client, path + "/waivers", **(fields | wrong))
        assert (answer.status_code, says in answer.text) == (code, True), wrong
    made = post(client, path + "/waivers", **fields, reason="the system is being replaced")
    assert (made.status_code, "done=waived" in made.headers["location"]) == (303, True)
    assert post(client, path + "/waivers", **fields, reason="again").status_code == 409
    settled(client, post(client, path + "/replay").headers["location"])

    shown = judged.browser(HOTLINE).get("/quarantine/waivers").text
    for text in ("the system is being replaced", str(SOON), "in force", "li"):
        assert text in shown
    assert "Revoke" not in shown
    assert "replaced" not in judged.browser(HEALTH).get("/quarantine/waivers").text

    number = re.search(r"/quarantine/waivers/(\d+)/revoke", client.get(path).text)
    assert number is not None
    revoke = f"/quarantine/waivers/{number[1]}/revoke"
    assert post(client, revoke, reason="").status_code == 422
    assert post(client, revoke, reason="it is replaced now").status_code == 303
    assert post(client, revoke, reason="once more").status_code == 409
    assert post(client, "/quarantine/waivers/999999/revoke", reason="r").status_code == 404
    shown = client.get("/quarantine/waivers").text
    assert "Revoked by li" in shown
    assert "Something was decided" in client.get(path).text, "its rows go back by a replay"


def test_a_waiver_that_has_ended_is_shown_as_ended(judged: Town) -> None:
    """Expiry happens silently: the list must say so."""
    DecisionStore(judged.runner.database).add_waiver(
        dataset=TICKETS,
        rule=f"{TICKETS}.phone.type",
        partition=None,
        delivery=None,
        row_ids=(),
        approved_by="li",
        reason="for last month",
        valid_until=TODAY - timedelta(days=1),
    )
    page = judged.browser(STEWARD).get("/quarantine/waivers").text
    row = page[page.index("phone.type") :]
    assert "ended" in row[: row.index("for last month")]
    assert "/revoke" not in row[: row.index("</tr>")]


@pytest.mark.parametrize("language", ["zh", "en"])
def test_pages_that_answered_a_form_can_change_their_language(judged: Town, language: str) -> None:
    """The language links keep the path; after a refused form it is the form's."""
    client, path = judged.browser(STEWARD, language), judged.page(VISITS)
    for step in ("download", "corrections", "waivers"):
        answer = client.get(f"{path}/{step}")
        assert answer.status_code == 303
        assert urlsplit(answer.headers["location"]).path == path
    assert client.get("/quarantine/waivers/1/revoke").headers["location"] == "/quarantine/waivers"
