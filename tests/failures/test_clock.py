"""Clocks that are off or jump: nothing is kept for ever by mistake, and order stays order."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import jwt
import pytest
from cityledger.console.accounts import Accounts
from cityledger.console.sessions import LIFETIME, Sessions
from cityledger.contracts.identity import DatasetId
from cityledger.demo.generate.generator import redeliver
from cityledger.errors import Exit
from cityledger.people import Role
from cityledger.runner import Runner
from cityledger.storage.objects import LANDING
from fastapi import Request, Response

from tests.failures.town import Town, left, undisturbed

DAY = 86_400.0
PLACE = ("education.schools", "2025")


def judge(dataset: str, partition: str) -> tuple[str, ...]:
    return ("run", dataset, "-p", partition, "--to-stage", "release")


@pytest.mark.parametrize("seconds", [900 * DAY, pytest.param(-DAY, marks=pytest.mark.failures)])
def test_a_wrong_clock_locks_nothing(town: Town, seconds: float) -> None:
    """A receipt of the year after next is kept two years too long, and nobody can shorten that."""
    ran = town.run_at(seconds, *judge("transport.signalised_intersections", "2026-03"))
    assert (ran.code, ran.error["code"]) == (Exit.UNAVAILABLE, "clock_off")
    assert ("ahead" if seconds > 0 else "behind") in ran.error["what"]
    runner = Runner(town.settings())
    prefix = DatasetId.parse("transport.signalised_intersections").prefix
    assert list(runner.store.list(LANDING, prefix)) == []
    runner.database.close()


@pytest.mark.failures
def test_a_clock_that_jumps_back_does_not_turn_deliveries_round(town: Town) -> None:
    """With the order by time, the older delivery would count from the jump on."""
    first = town.run_at(290, *judge(*PLACE))
    assert first.code == 0, first.err
    assert town.run_at(290, "ledger", "checkpoint").code == 0
    redeliver(town.drop_dir, PLACE[0])
    second = town.run_at(-290, *judge(*PLACE))
    assert second.code == 0, second.err
    assert town.run_at(-290, "ledger", "checkpoint").code == 0
    runner = Runner(town.settings())
    older, newer = runner.journal.receipts(*PLACE)
    assert older.landed_at > newer.landed_at, "the clock did not jump"
    assert newer.landed_at < datetime.now(UTC) + timedelta(seconds=60)
    (released,) = [one for one in runner.journal.pending() if one.dataset == PLACE[0]]
    assert released.delivery == newer.delivery == second.report["extract, land"]["delivery"]
    runner.database.close()
    found = left(town, *PLACE)
    assert (found.deliveries, found.validations, set(found.versions)) == (2, 2, {1})
    assert found.validated == undisturbed(town, *PLACE)
    verified = town.run("ledger", "verify")
    assert verified.code == 0, verified.out + verified.err


@pytest.fixture
def sessions(tmp_path: Path) -> tuple[Sessions, Accounts]:
    accounts = Accounts(tmp_path)
    accounts.add("reader", {Role.AUDITOR}, (), "a long pass phrase of nobody")
    return Sessions(b"k" * 32, accounts, tmp_path / "sessions"), accounts


@pytest.mark.parametrize(
    ("jump", "holds"), [(3600.0, True), (LIFETIME + 60.0, False), (-3600.0, False)]
)
def test_sessions_end_rather_than_last_when_the_clock_jumps(
    sessions: tuple[Sessions, Accounts],
    monkeypatch: pytest.MonkeyPatch,
    jump: float,
    holds: bool,
) -> None:
    """A clock set back by a year would make every stolen cookie good for another year."""
    desk, accounts = sessions
    account, response = accounts.find("reader"), Response()
    assert account is not None
    desk.start(_request(""), response, "reader", account)
    cookie = response.headers["set-cookie"].partition(";")[0]
    assert desk.identify(_request(cookie)) is not None
    right = time.time
    monkeypatch.setattr(time, "time", lambda: right() + jump)
    assert (desk.identify(_request(cookie)) is not None) == holds


def _request(cookie: str) -> Request:
    headers = [(b"cookie", cookie.encode())] if cookie else []
    return Request(
        {"type": "http", "method": "GET", "path": "/", "scheme": "http", "headers": headers}
    )


@pytest.mark.parametrize("jump", [timedelta(hours=2), timedelta(hours=-2)])
def test_airflows_tokens_end_rather_than_last(
    monkeypatch: pytest.MonkeyPatch, jump: timedelta
) -> None:
    """A task's token from before the jump is refused; its task is then repeated by Airflow."""
    from airflow.api_fastapi.auth.tokens import JWTGenerator, JWTValidator

    ours = {"secret_key": "k" * 64, "audience": "task", "issuer": "test", "algorithm": "HS512"}
    token = JWTGenerator(**ours, valid_for=600).generate({"sub": "task"})
    validator = JWTValidator(**ours, leeway=10)
    # In a thread of its own: a browser test before this one may have left a running loop in ours.
    with ThreadPoolExecutor(1) as thread:
        assert thread.submit(validator.validated_claims, token).result()["sub"] == "task"
    shifted = type("shifted", (datetime,), {"now": lambda tz=None: datetime.now(tz) + jump})
    monkeypatch.setattr(jwt.api_jwt, "datetime", shifted)
    refusal = jwt.ExpiredSignatureError if jump > timedelta(0) else jwt.ImmatureSignatureError
    with ThreadPoolExecutor(1) as thread, pytest.raises(refusal):
        thread.submit(validator.validated_claims, token).result()
