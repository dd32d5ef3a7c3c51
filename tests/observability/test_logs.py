"""Log lines as JSON: whole, in place, and without what must not be in them."""

from __future__ import annotations

import io
import json
import logging
import sys
import traceback
from collections.abc import Iterator
from typing import Any

import pytest
from cityledger.errors import BadInputError
from cityledger.ledger.lineage import StageRun
from cityledger.observability import logs, stages
from cityledger.records import Stage
from cityledger.settings import LineageTarget, Settings
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from tests.observability.conftest import Command
from tests.observability.receiver import Receiver

#: Generated; the check character fits, no such person is meant.
PERSON = "11010119900307451" + "10X98765432"[
    sum(int(d) * w for d, w in zip("11010119900307451",
        (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2), strict=True)) % 11
]  # fmt: skip
SETTINGS = Settings(
    log_format="json",
    database_url=SecretStr("postgresql://owner:data%2Fbase-word@db:5432/city"),
    metrics_token=SecretStr("metrics-token-for-tests"),
    lineage_targets=(
        LineageTarget(name="other", url="http://other", token=SecretStr("target-word")),
    ),
)


@pytest.fixture
def log() -> Iterator[tuple[logging.Logger, io.StringIO]]:
    """A logger of ours, and what it wrote."""
    written = io.StringIO()
    logs.configure(SETTINGS, written)
    yield logging.getLogger("cityledger.test"), written
    logs.configure(SETTINGS.model_copy(update={"log_format": "text"}))


def _read(row: str) -> None:
    try:
        int(row)
    except ValueError as cause:
        raise BadInputError(f"cannot read {PERSON}", where="f.csv:3", code="bad_row") from cause


def _quote() -> None:
    try:
        int(f"x{PERSON}")
    except ValueError as cause:
        cause.add_note(f"the row of {PERSON}")
        raise KeyError(PERSON, int(PERSON[:17]), "column", 3) from cause


def lines(written: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in written.getvalue().splitlines()]


def test_a_line_says_what_it_is_about(log: tuple[logging.Logger, io.StringIO]) -> None:
    """A line without its run and dataset cannot be found among those of a hundred workers."""
    logger, written = log
    with logs.about(dataset="a.b", partition="2026-03-31"), logs.about(stage="parse", run="r1"):
        logger.info("read %d rows", 12, extra={"rows": 12})
    logger.info("after")
    inside, after = lines(written)
    wanted = {"dataset": "a.b", "partition": "2026-03-31", "stage": "parse", "run": "r1"}
    assert wanted.items() <= inside.items()
    assert (inside["level"], inside["rows"]) == ("info", 12)
    assert inside["message"] == "read 12 rows"
    assert inside["time"].endswith("+00:00")
    assert "dataset" not in after


def test_an_id_number_in_an_exception_does_not_appear(
    log: tuple[logging.Logger, io.StringIO],
) -> None:
    """Libraries quote the row that they could not handle."""
    logger, written = log
    try:
        _read(f"bad row: 张三,{PERSON},13800138000")
    except BadInputError:
        logger.exception(
            "row of %s failed", PERSON, extra={"person": PERSON, "number": 13800138000}
        )
    (line,) = lines(written)
    text = written.getvalue()
    for secret in (PERSON, "13800138000", "张三"):
        assert secret not in text
    ours, cause = line["exception"]
    assert (ours["type"], ours["code"]) == ("BadInputError", "bad_row")
    assert "f.csv:3" in ours["text"]
    assert cause["type"] == "ValueError"
    assert "text" not in cause
    assert any("test_logs.py" in frame for frame in cause["frames"])


def test_numbers_are_gone_from_an_exception_before_anybody_prints_it() -> None:
    """Airflow's log of a task prints the text of whatever ended it."""
    run = StageRun(Stage.PARSE, "a.b", "2026-03-31")
    with pytest.raises(KeyError) as caught, stages.telling(run, root=None):
        _quote()
    printed = "".join(traceback.format_exception(caught.value))
    assert PERSON not in printed
    assert PERSON[:17] not in printed
    assert "column" in printed
    assert caught.value.args[3] == 3


@given(st.lists(st.one_of(st.text(), st.integers(), st.none(), st.binary())))
def test_any_exception_can_be_scrubbed(args: list[object]) -> None:
    """What fails while a failure is handled hides the failure."""
    error = RuntimeError(*args)
    error.__context__ = error  # a circle
    logs.scrub_exception(error)
    assert len(error.args) == len(args)


def test_secrets_do_not_appear(log: tuple[logging.Logger, io.StringIO]) -> None:
    """Logs are read by more people than settings are."""
    logger, written = log
    logger.error("connecting to postgresql://owner:data%2Fbase-word@db:5432/city failed")
    logger.error("password data/base-word, token metrics-token-for-tests, target-word")
    logger.error("fetching https://somebody:unknown-word@elsewhere/x")
    text = written.getvalue()
    for secret in ("base-word", "metrics-token", "target-word", "unknown-word", "somebody"):
        assert secret not in text
    assert "elsewhere/x" in text


@given(st.text(), st.one_of(st.none(), st.integers(), st.text(), st.binary(), st.floats()))
def test_whatever_is_logged_is_one_json_line(message: str, value: object) -> None:
    """A line that cannot be parsed stops the shipping of all the others."""
    record = logging.makeLogRecord({"msg": message, "args": (), "value": value, "name": "x"})
    line = logs.JsonLines().format(record)
    assert "\n" not in line
    assert json.loads(line)["logger"] == "x"


def test_arguments_that_do_not_fit_are_not_printed() -> None:
    """Python's own answer to a bad call prints all the arguments."""
    record = logging.makeLogRecord({"msg": "one %d", "args": (PERSON,), "name": "x"})
    assert json.loads(logs.JsonLines().format(record))["message"] == "one %d"


def test_text_is_left_to_others() -> None:
    """A handler more in Airflow's processes would write every line twice."""
    before = list(logging.getLogger().handlers)
    logs.configure(Settings())
    assert logging.getLogger().handlers == before
    assert logs.for_server(Settings()) == {}
    assert logs.for_server(SETTINGS) == {"log_config": None}
    assert logs.airflow_environment(Settings()) == {}
    assert logs.airflow_environment(SETTINGS) == {"AIRFLOW__LOGGING__JSON_LOGS": "True"}


def test_airflows_lines_name_the_partition() -> None:
    """A task's log goes through Airflow's own machinery, not ours."""
    import structlog

    with logs.about(dataset="a.b", stage="parse"):
        inside = structlog.contextvars.get_contextvars()
    assert {"dataset": "a.b", "stage": "parse"}.items() <= inside.items()
    assert "dataset" not in structlog.contextvars.get_contextvars()
    assert "structlog" in sys.modules


def test_a_command_writes_lines_with_run_and_trace(command: Command, receiver: Receiver) -> None:
    """Log and trace of one run are found through each other."""
    done = command(
        *("run", "transport.metro_trips", "-p", "2026-03-31", "--to-stage", "land"),
        CITYLEDGER_LOG_FORMAT="json",
        CITYLEDGER_OTLP_URL=receiver.url,
    )
    assert done.returncode == 0, done.stderr
    told = [json.loads(line) for line in done.stderr.splitlines() if line.startswith("{")]
    by_stage = {one["stage"]: one for one in told if one["logger"] == "cityledger.stage"}
    assert set(by_stage) == {"extract", "land"}
    land, span = by_stage["land"], receiver.named("land")
    assert (land["dataset"], land["partition"]) == ("transport.metro_trips", "2026-03-31")
    assert (land["trace_id"], land["span_id"]) == (span.trace, span.span)
    assert (land["status"], land["run"]) == ("success", span.facts["cityledger.run"])
