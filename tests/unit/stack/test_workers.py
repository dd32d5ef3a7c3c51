"""The queue shape's processes and settings, and its broker as a real process."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import psutil
import pytest
from cityledger.errors import BadInputError, UnavailableError
from cityledger_stack import airflow, bootstrap, celery, redis
from cityledger_stack.celery import Worker, WorkerLogs
from cityledger_stack.credentials import Credentials, load_or_create
from cityledger_stack.layout import Layout
from cityledger_stack.plan import PARTS, Plan
from cityledger_stack.ports import pick
from cityledger_stack.processes import clean_env
from cityledger_stack.redis import Redis
from cityledger_stack.servers import running
from cityledger_stack.supervisor import Supervisor

WORKING = ("worker-logs", "worker-1", "worker-2")


def plan(environ: dict[str, str] | None = None, **options: object) -> Plan:
    return Plan.from_environment(airflow=True, environ=environ or {}, **options)  # type: ignore[arg-type]


# -- which processes ---------------------------------------------------------------------------


def test_one_setting_brings_broker_and_workers() -> None:
    """A queue that needs five settings is a queue that is set up wrongly."""
    assert set(plan().embedded()) == set(PARTS)
    for asked in (plan(workers=2), plan({"CITYLEDGER_WORKERS": "2"})):
        assert set(asked.embedded()) == {*PARTS, "redis", *WORKING}
    assert plan({"CITYLEDGER_WORKERS": "2"}, workers=0).embedded() == PARTS


def test_an_external_broker_is_not_started_nor_shown_with_its_password() -> None:
    """A city that runs Redis must not get a second one, nor read its password in `status`."""
    asked = plan({"CITYLEDGER_BROKER_URL": "redis://:hush@queue.city:6380/1"}, workers=2)
    assert "redis" not in asked.embedded()
    assert set(WORKING) <= set(asked.embedded())
    assert asked.external() == {"redis": "redis://queue.city:6380"}


def test_no_workers_without_our_airflow() -> None:
    """Workers without the scheduler that feeds them would wait for ever."""
    elsewhere = {"CITYLEDGER_AIRFLOW_URL": "http://a:b@airflow.city:8080"}
    assert {"redis", *WORKING}.isdisjoint(plan(elsewhere, workers=2).embedded())
    without = Plan.from_environment(airflow=False, workers=2, environ={})
    assert without.embedded() == ("postgres", "s3")


@pytest.mark.parametrize("written", ["-1", "two", "33", "1.5", "²"])
def test_a_number_that_is_none_is_refused(written: str) -> None:
    """Prevents a stack without workers that was meant to have some."""
    with pytest.raises(BadInputError, match="CITYLEDGER_WORKERS"):
        plan({"CITYLEDGER_WORKERS": written})


# -- their settings ----------------------------------------------------------------------------


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    made = Layout(tmp_path)
    made.create()
    return made


@pytest.fixture
def credentials(layout: Layout) -> Credentials:
    return load_or_create(layout.secrets)


def environment(layout: Layout, credentials: Credentials, asked: Plan) -> dict[str, str]:
    ports = {"postgres": 1, "api-server": 2, "redis": 3, "worker-logs": 4, "s3:s3": 5}
    return bootstrap.airflow_env(Supervisor(layout, asked), credentials, ports)


def test_without_workers_nothing_speaks_of_a_queue(
    layout: Layout, credentials: Credentials, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The small shape must not depend on packages and settings of the large one."""
    _forget_airflow(monkeypatch)
    env = environment(layout, credentials, plan())
    assert env["AIRFLOW__CORE__EXECUTOR"] == "LocalExecutor"
    assert not [name for name in env if "CELERY" in name or "QUEUED" in name]


@pytest.mark.parametrize("workers", [1, 2, 3, 8])
def test_no_more_tasks_than_places(
    workers: int, layout: Layout, credentials: Credentials, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A task that waits in the queue for a place would be taken for lost after three minutes."""
    _forget_airflow(monkeypatch)
    env = environment(layout, credentials, plan(workers=workers))
    places = workers * int(env["AIRFLOW__CELERY__WORKER_CONCURRENCY"])
    assert int(env["AIRFLOW__CORE__PARALLELISM"]) == places >= airflow.task_slots()
    assert env["AIRFLOW__CORE__EXECUTOR"] == "CeleryExecutor"
    assert env["AIRFLOW__CELERY__WORKER_PREFETCH_MULTIPLIER"] == "1"
    assert env["AIRFLOW__CELERY__TASK_ACKS_LATE"] == "True"
    assert f":{credentials.redis}@127.0.0.1:3/" in env["AIRFLOW__CELERY__BROKER_URL"]
    assert celery.loopback_of(workers) in env["NO_PROXY"].split(",")


def test_what_the_city_sets_wins(
    layout: Layout, credentials: Credentials, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Recovery times are the city's decision."""
    _forget_airflow(monkeypatch)
    name = "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT"
    monkeypatch.setenv(name, "77")
    assert environment(layout, credentials, plan(workers=2))[name] == "77"


def test_workers_share_nothing_on_disk_but_the_log_servers_folder(layout: Layout) -> None:
    """A file that both workers see here would be missing on the second machine of a city."""
    workers = [Worker(number, layout, {}) for number in (1, 2)]
    envs = [worker.command().env for worker in workers]
    spools = {env["CITYLEDGER_SPOOL_DIR"] for env in envs}
    assert len(spools) == len({worker.address for worker in workers}) == 2
    assert {env["AIRFLOW__LOGGING__BASE_LOG_FOLDER"] for env in envs} == {
        str(celery.log_folder(layout))
    }
    assert celery.log_folder(layout) != layout.airflow / "logs"


def test_a_killed_worker_leaves_no_scratch_files(layout: Layout) -> None:
    """A worker that is killed every night would fill the disk with halves of deliveries."""
    first, second = (Worker(number, layout, {}) for number in (1, 2))
    for worker in (first, second):
        worker.prepare()
        spool = Path(worker.command().env["CITYLEDGER_SPOOL_DIR"])
        (spool / "half").mkdir()
        (spool / "half" / "rows.parquet").write_bytes(b"PAR1")
        (spool / "loose").write_bytes(b"x")
    first.after_death()
    left = {path.name for path in (layout.home / "spool").rglob("*") if path.is_file()}
    assert [*(layout.home / "spool" / "worker-1").iterdir()] == []
    assert left == {"rows.parquet", "loose"}, "the other worker is at work"


def test_a_worker_is_healthy_while_it_beats(layout: Layout) -> None:
    """A worker cut off from the broker takes no task, though its process runs."""
    worker = Worker(1, layout, {})
    worker.prepare()
    assert not worker.healthy()
    worker.pulse.touch()
    assert worker.healthy()
    long_ago = time.time() - 60
    os.utime(worker.pulse, (long_ago, long_ago))
    assert not worker.healthy()
    worker.pulse.touch()
    worker.after_death()
    assert not worker.healthy(), "a restarted worker has to speak for itself"


def test_a_worker_can_be_loaded_and_beats(tmp_path: Path) -> None:
    """Prevents a lock whose Celery the executor cannot import: no worker would ever start.

    Nor may a task pay for every import, or a worker seem dead for ever. polars, pyarrow and DuckDB
    must stay out: a worker forks, and the locks that their threads hold stay locked.
    """
    code = (
        "import sys; from cityledger.airflow import worker; from celery.signals import "
        "heartbeat_sent; heartbeat_sent.send(sender=None); print(worker.address()); "
        "print(*sorted({'polars', 'pyarrow', 'duckdb', 'cityledger.runner'} & set(sys.modules))); "
        "import airflow.providers.celery.executors.celery_executor_utils"
    )
    variables = {
        "AIRFLOW_HOME": str(tmp_path),
        "CITYLEDGER_WORKER_ADDRESS": "127.0.0.11",
        "CITYLEDGER_WORKER_PULSE": str(tmp_path / "pulse"),
    }
    done = subprocess.run(
        [sys.executable, "-c", code], env=clean_env(variables), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-500:]
    assert done.stdout.split()[:2] == ["127.0.0.11", "cityledger.runner"]
    assert (tmp_path / "pulse").exists()


# -- the broker --------------------------------------------------------------------------------


@pytest.fixture
def broker(tmp_path: Path) -> Redis:
    return Redis(data_dir=tmp_path / "redis", port=pick(), password="opensesame")


def test_broker_wants_its_password_and_only_answers_here(broker: Redis, tmp_path: Path) -> None:
    """Whoever can write into the queue can run anything on a worker."""
    with running(broker, logs=tmp_path):
        assert broker.healthy()
        wrong = Redis(data_dir=broker.data_dir, port=broker.port, password="guess")
        assert not wrong.healthy()
        assert _say(broker.port, "PING").startswith("-NOAUTH")
        assert _listens_on(broker.port) == {"127.0.0.1"}
    assert not broker.healthy()
    secret = broker.data_dir / "redis.conf"
    assert secret.stat().st_mode & 0o777 == 0o600
    assert all(broker.password not in word for word in broker.command().argv)
    assert broker.password not in broker.address


def test_messages_survive_a_killed_broker(broker: Redis, tmp_path: Path) -> None:
    """A queue that forgets is a day of tasks that wait for their time-out."""
    with running(broker, logs=tmp_path):
        assert "OK" in _say(broker.port, "AUTH opensesame", "LPUSH queue message")
        time.sleep(1.2)  # written to disk every second
        os.kill(_pid(broker.port), signal.SIGKILL)
    with running(broker, logs=tmp_path):
        assert "message" in _say(broker.port, "AUTH opensesame", "LRANGE queue 0 -1")


def test_without_a_server_the_message_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prevents a traceback for somebody who installed without the development packages."""
    monkeypatch.setattr(redis.shutil, "which", lambda _name: None)
    monkeypatch.setattr(redis, "find_spec", lambda _name: None)
    with pytest.raises(UnavailableError, match="CITYLEDGER_BROKER_URL"):
        redis.redis_binary()


# -- the logs ----------------------------------------------------------------------------------


def test_worker_logs_want_a_signature_and_only_answer_here(layout: Layout, tmp_path: Path) -> None:
    """Airflow's own log server listens on all interfaces, which a laptop must not."""
    env = clean_env({"AIRFLOW_HOME": str(layout.airflow), "AIRFLOW__API__SECRET_KEY": "k" * 64})
    logs = WorkerLogs(("127.0.0.11", "127.0.0.12"), pick(), layout, env)
    with running(logs, logs=tmp_path):
        (celery.log_folder(layout) / "task.log").write_text("rows", "utf-8")
        for address in logs.addresses:
            url = f"http://{address}:{logs.port}/log/task.log"
            assert httpx.get(url, trust_env=False).status_code == 403
        assert _listens_on(logs.port) == set(logs.addresses)


def _forget_airflow(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [one for one in os.environ if one.startswith(("AIRFLOW", "CITYLEDGER_"))]:
        monkeypatch.delenv(name)


def _say(port: int, *words: str) -> str:
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall("".join(f"{word}\r\n" for word in (*words, "QUIT")).encode())
        with connection.makefile("rb") as answers:
            return answers.read().decode()


def _listens_on(port: int) -> set[str]:
    return {
        found.laddr.ip
        for found in psutil.net_connections("tcp")
        if found.status == psutil.CONN_LISTEN and found.laddr.port == port
    }


def _pid(port: int) -> int:
    (found,) = {
        one.pid
        for one in psutil.net_connections("tcp")
        if one.status == psutil.CONN_LISTEN and one.laddr.port == port
    }
    assert found is not None
    return found
