"""What foreign messages mean: a lost service is waited for, a wrong statement is not."""

from __future__ import annotations

import errno

import pytest
from cityledger.errors import CityLedgerError, UnavailableError
from cityledger.storage.address import DatabaseAddress
from cityledger.storage.outages import PASSING, database_error, explained, outage_in
from cityledger.storage.patience import Patience
from sqlalchemy.exc import OperationalError

ADDRESS = DatabaseAddress("db.example.org", 5432, "cityledger", "writer", "hidden-word")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("IO Error: Failure when receiving data error for HTTP PUT to 'http://h/x'", "lake"),
        ("IO Error: Could not establish connection error for HTTP HEAD to 'http://h/x'", "lake"),
        ("HTTP Error: HTTP GET error on 'http://h/x' (HTTP 503)", "lake"),
        ("HTTP Error: Request returned HTTP 500 for HTTP PUT to 'http://h/x'", "full"),
        ("HTTP Error: Request returned HTTP 503 for HTTP PUT to 'http://h/x'", "lake"),
        ("HTTP Error: Request returned HTTP 500 for HTTP GET to 'http://h/x'", "lake"),
        ('IO Error: Unable to connect to Postgres at "": connection refused', "lake"),
        ('Failed to commit: Failed to execute query "ROLLBACK": ', "lake"),
        ("IO Error: Could not write file: No space left on device", "disk"),
        ("HTTP Error: HTTP GET error on 'http://h/x' (HTTP 403)", None),
        ("Binder Error: column postgres not found in FROM clause", None),
        ("Conversion Error: could not cast '5432' to DATE", None),
    ],
)
def test_messages_of_the_engine(text: str, code: str | None) -> None:
    """A mistake taken for an outage is tried for minutes; the other way round the city stops."""
    found = outage_in(text)
    names = {"lake": "lake_unavailable", "disk": "disk_full", "full": "s3_full", None: None}
    assert (found.code if found else None) == names[code]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ('FATAL:  password authentication failed for user "writer"', "database_refused"),
        ('致命错误:  用户 "writer" Password 认证失败', "database_refused"),
        ('FATAL:  database "cityledger" does not exist', "database_refused"),
        ("FATAL:  the database system is starting up", "database_unavailable"),
        ("致命错误:  数据库系统启动中", "database_unavailable"),
        ("FATAL:  sorry, too many clients already", "database_unavailable"),
        ("connection refused", "database_unavailable"),
    ],
)
def test_words_of_a_database_that_does_not_let_us_in(text: str, code: str) -> None:
    """A start that is taken for a wrong password stops a run that a second would have cured."""
    error = database_error(OperationalError("", {}, Exception(text)), ADDRESS)
    assert error is not None
    assert error.code == code
    assert (error.code in PASSING) == (code == "database_unavailable")
    assert "hidden-word" not in str(error)


def test_a_full_disk_is_found_behind_other_errors() -> None:
    """Libraries wrap the error of the system in their own."""
    outer = RuntimeError("upload failed")
    outer.__cause__ = OSError(errno.ENOSPC, "No space left on device", "/spool/x")
    found = explained(outer)
    assert found is not None
    assert (found.code, found.where) == ("disk_full", "/spool/x")
    assert explained(ValueError("No space left on device")) is None


class Away:
    """A service that answers at the n-th time, and what it was asked."""

    def __init__(self, times: int, code: str = "s3_unavailable") -> None:
        self.times, self.code, self.asked = times, code, 0

    def __call__(self) -> int:
        self.asked += 1
        if self.asked <= self.times:
            raise UnavailableError("away", code=self.code)
        return self.asked


class Clock:
    """A clock that only pauses move on."""

    def __init__(self, slept: list[float]) -> None:
        self.sleep, self._slept = slept.append, slept

    def monotonic(self) -> float:
        return sum(self._slept)


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    slept: list[float] = []
    monkeypatch.setattr("cityledger.storage.patience.time", Clock(slept))
    return slept


def test_patience_grows_its_pauses_and_ends(pauses: list[float]) -> None:
    """Attempts without pauses finish off a service that comes back; without end they hang."""
    service = Away(times=1000)
    with pytest.raises(UnavailableError, match="60 s long") as caught:
        Patience(60).keep_trying(service)
    assert pauses[:6] == [0.5, 1, 2, 4, 8, 15]
    assert sum(pauses) == 60
    assert service.asked == len(pauses) + 1
    assert "CITYLEDGER_PATIENCE_SECONDS" in caught.value.fix


def test_a_request_that_hangs_counts_and_long_work_does_not(pauses: list[float]) -> None:
    """A store that answers an error after a minute would be tried for an hour."""

    def hang() -> None:
        pauses.append(25.0)
        raise UnavailableError("away", code="s3_unavailable")

    with pytest.raises(UnavailableError, match="long"):
        Patience(60).keep_trying(hang)
    assert pauses.count(25.0) == 4
    del pauses[:]
    works = iter([True, True, True, False])

    def work_for_an_hour() -> str:
        pauses.append(3600.0)
        if next(works):
            raise UnavailableError("away", code="s3_unavailable")
        return "done"

    assert Patience(60).keep_trying(work_for_an_hour) == "done"
    works = iter([True] * 10)
    with pytest.raises(UnavailableError, match="3600 s long"):
        Patience(60).keep_trying(work_for_an_hour)


def test_patience_tells_now_and_then(pauses: list[float], caplog: pytest.LogCaptureFixture) -> None:
    """Somebody who sees nothing for minutes kills the run; a line a second fills the disk."""
    Patience(420).keep_trying(Away(times=24))
    told = [record.message for record in caplog.records if "waiting, at most" in record.message]
    assert 5 <= len(told) <= sum(pauses) / 30 + 1
    assert "trying again after" in caplog.text


@pytest.mark.parametrize(
    ("seconds", "code"), [(60.0, "disk_full"), (60.0, "clock_off"), (0.0, "s3_unavailable")]
)
def test_patience_does_not_wait_for_what_does_not_pass(
    pauses: list[float], seconds: float, code: str
) -> None:
    """Waiting seven minutes for a person who has not been told yet."""
    with pytest.raises(CityLedgerError, match="away"):
        Patience(seconds).keep_trying(Away(times=1, code=code))
    assert pauses == []
