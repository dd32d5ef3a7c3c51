"""Stewards' decisions on pages: who may decide, on what, once, and what everybody sees of it."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from cityledger.console.verdicts import waiting
from cityledger.ledger.journal import Journal
from cityledger.people import Person, Role
from cityledger.records import Channel
from cityledger.settings import Settings
from cityledger.storage.database import Database
from cityledger_stack.postgres import Postgres

from tests.unit.console.conftest import Browser, People, Story
from tests.unit.console.judged import (
    AUDITOR,
    CASES,
    DAY,
    ENGINEER,
    PUBLIC,
    SECOND,
    STEWARD,
    TRIPS,
    VISITS,
    Town,
    clerk,
    post,
    town,
)

TRANSPORT, HEALTH = clerk("transport"), clerk("health")


def spoil(settings: Settings) -> None:
    """A wrong count holds the trips; lines that cannot be read hold the cases."""
    control = next(settings.drop_dir.glob("transport/*.ctl"))
    control.write_text("4711\n", "utf-8")
    cases = next(settings.drop_dir.glob("gov_services/*.csv"))
    lines = cases.read_bytes().splitlines(keepends=True)
    cut = [line[:20] + b"\r\n" if at % 9 == 5 else line for at, line in enumerate(lines)]
    cases.write_bytes(b"".join(cut))


@pytest.fixture(scope="module")
def judged(
    postgres_server: Postgres,
    database_template: str,
    s3_url: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Town]:
    """Trips and cases are held, the visits were let pass; the tests decide in their order."""
    home, datasets = tmp_path_factory.mktemp("town"), (TRIPS, CASES, VISITS)
    with town(postgres_server, database_template, s3_url, home, datasets, spoil) as made:
        yield made


def seen(judged: Town, dataset: str, person: Person = STEWARD) -> str:
    """The verdict that somebody has before the eyes."""
    page = judged.browser(person).get(judged.page(dataset, "decisions")).text
    found = re.search(r'name="seen" value="([^"]+)"', page)
    return found[1] if found else ""


def say(
    judged: Town, dataset: str, verdict: str, *, by: Person = STEWARD, on: str, **fields: str
) -> Any:
    """Press a button of the decision."""
    path = judged.page(dataset, "decisions")
    return post(judged.browser(by), path, approved=verdict, seen=on, **fields)


def test_held_batches_wait_where_they_may_be_seen(judged: Town) -> None:
    """A batch that nobody sees waiting waits for ever; another department's is not shown."""
    page = judged.browser(AUDITOR).get("/decisions").text
    for text in ("地铁刷卡记录", "rows declared", "政务服务办件"):
        assert text in page
    assert "门诊" not in page
    own = judged.browser(TRANSPORT)
    assert "政务服务办件" not in own.get("/decisions").text
    held = own.get(judged.page(TRIPS, "decisions")).text
    assert "rows declared" in held
    assert "A steward decides about this batch." in held
    assert "<form method" not in held
    other, none = judged.browser(HEALTH), judged.page(TRIPS, "decisions")[:-4] + "0000"
    assert other.get(judged.page(TRIPS, "decisions")).status_code == 404
    assert own.get(none).status_code == 404
    assert judged.browser(PUBLIC).get("/decisions").status_code == 403
    nobody = Person("new", frozenset({Role.DEPARTMENT}))
    assert "No batch is waiting." in judged.browser(nobody).get("/decisions").text


@pytest.mark.parametrize("person", [ENGINEER, AUDITOR, TRANSPORT])
def test_only_stewards_decide(judged: Town, person: Person) -> None:
    """A department that releases its own held batch has no gate."""
    answer = say(judged, TRIPS, "true", by=person, on=seen(judged, TRIPS), reason="ours is fine")
    assert answer.status_code == 403
    standing = judged.runner.journal.find_release(*place(judged, TRIPS))
    assert standing is not None
    assert standing.decision is None


def place(judged: Town, dataset: str) -> tuple[str, str, str]:
    return dataset, DAY, judged.deliveries[dataset]


def test_a_decision_needs_a_form_a_reason_and_the_newest_verdict(judged: Town) -> None:
    """A decision without a reason is no evidence; one on an old verdict is about other rows."""
    client, path = judged.browser(STEWARD), judged.page(TRIPS, "decisions")
    before, on = client.get(path).text, seen(judged, TRIPS)
    fields = {"approved": "true", "seen": on, "reason": "from another site"}
    assert client.post(path, data=fields).status_code == 403
    blank = say(judged, TRIPS, "true", on=on, reason="   ")
    assert (blank.status_code, "Say why" in blank.text) == (422, True)
    old = say(judged, TRIPS, "true", on="another/validated.parquet", reason="looks good")
    assert (old.status_code, "judged again since" in old.text) == (409, True)
    assert "looks good" in old.text, "what was typed must not be lost"
    assert say(judged, TRIPS, "perhaps", on=on, reason="r").status_code == 400
    assert client.get(path).text == before


def test_of_two_stewards_at_once_one_decides(judged: Town) -> None:
    """Both would believe that their word counts, and the evidence would hold two."""
    on, answers = seen(judged, TRIPS), {}
    start = threading.Barrier(2)

    def press(person: Person, verdict: str) -> None:
        start.wait(10)
        answers[person.name] = say(
            judged, TRIPS, verdict, by=person, on=on, reason=f"because {person.name} says so"
        )

    threads = [
        threading.Thread(target=press, args=pair) for pair in ((STEWARD, "true"), (SECOND, "false"))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(one.status_code for one in answers.values()) == [303, 409]
    first, second = sorted(answers, key=lambda name: answers[name].status_code)
    told = answers[second].text
    assert "Somebody else has decided about this batch before you." in told
    assert f"because {first} says so" in told
    assert f"{datetime.now(UTC):%Y-}" in told
    standing = judged.runner.journal.find_release(*place(judged, TRIPS))
    assert standing is not None
    assert standing.decision is not None
    assert (standing.decision.decided_by, standing.decision.channel) == (first, Channel.CONSOLE)
    assert standing.released is (first == STEWARD.name)

    page = judged.browser(TRANSPORT).get(judged.page(TRIPS, "decisions")).text
    assert f"because {first} says so" in page
    assert "Airflow" in page, "its question may still be open there"
    listed = judged.browser(AUDITOR).get("/decisions").text
    assert listed.index("What was decided") < listed.index("地铁刷卡记录")
    late = say(judged, TRIPS, "true", by=SECOND, on=on, reason="I insist")
    assert late.status_code == 409
    assert 'name="approved"' not in late.text


def test_a_rejected_batch_is_not_used(judged: Town) -> None:
    """A rejection that releases, or a reason with somebody's number, would be a scandal."""
    answer = say(
        judged, CASES, "false", on=seen(judged, CASES), reason="call 13812345678 <b>first</b>"
    )
    assert answer.status_code == 303
    standing = judged.runner.journal.find_release(*place(judged, CASES))
    assert standing is not None
    assert not standing.released
    page = judged.browser(STEWARD).get(answer.headers["location"]).text
    assert "Nothing of this delivery is used." in page
    assert "13812345678" not in page
    assert "<b>first" not in page
    assert 'name="approved"' not in page


def test_what_the_gate_let_pass_is_not_asked_about(judged: Town) -> None:
    """A decision on a released batch would look as if a steward had overruled something."""
    path = judged.page(VISITS, "decisions")
    page = judged.browser(STEWARD).get(path).text
    assert "there is nothing to decide" in page
    assert 'name="approved"' not in page
    on = judged.runner.parse_validate(VISITS, DAY).validated.key
    answer = say(judged, VISITS, "false", on=on, reason="I do not like it")
    assert answer.status_code == 409


def test_a_batch_that_was_delivered_anew_waits_no_more(
    settings: Settings, database: Database, story: Story, people: People, browser: Browser
) -> None:
    """Stewards would decide about data that nobody uses any more."""
    [held] = waiting(database, people.steward)
    assert held.release.dataset == VISITS
    journal = Journal(database)
    receipt = journal.current_receipt(VISITS, DAY)
    assert receipt is not None
    journal.save_receipt(receipt.model_copy(update={"delivery": "newer", "sequence": 2}))
    assert waiting(database, people.steward) == []
    old = f"/decisions/{VISITS}/{DAY}/{held.release.delivery}"
    assert "A newer delivery of this period has landed" in browser().get(old).text
