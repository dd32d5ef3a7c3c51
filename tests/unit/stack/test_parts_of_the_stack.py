"""The pieces of the embedded stack that need no server."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import psutil
import pytest
from cityledger.errors import BadInputError
from cityledger_stack import logfiles
from cityledger_stack.credentials import load_or_create
from cityledger_stack.layout import is_locked, take_lock
from cityledger_stack.plan import Plan, without_credentials
from cityledger_stack.ports import is_free, pick
from cityledger_stack.processes import MARKER, Command, Identity, clean_env, spawn
from cityledger_stack.seaweed import SeaweedFS, pick_ports
from cityledger_stack.state import PartState, StackState


def test_taken_port_is_passed_over() -> None:
    """Prevents a server that cannot bind."""
    with socket.socket() as blocker:
        blocker.bind(("127.0.0.1", 0))
        blocker.listen()
        port = blocker.getsockname()[1]
        assert not is_free(port)
        assert pick([port]) != port
    assert pick([port]) == port


def test_port_promised_to_another_part_is_passed_over() -> None:
    """Prevents two parts from being given one port before either listens."""
    port = pick()
    assert pick([port], taken=[port]) != port


def test_seaweed_ports_are_distinct_and_kept() -> None:
    """Prevents clashes among ten listeners, and addresses that change at every start."""
    first = pick_ports({}, s3=None)
    assert len(set(first.values())) == len(first) == 10
    assert first["admin.grpc"] == first["admin"] + 10000
    assert pick_ports(first) == first


@pytest.mark.parametrize(("centers", "healthy"), [([], False), ([{"Id": "Default"}], True)])
def test_store_is_ready_only_when_its_volumes_are_known(
    tmp_path: Path, centers: list[dict[str, str]], healthy: bool
) -> None:
    """Prevents `up` from ending while every object is "not found", seen after crashes for 5 s."""

    class Starting(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known = self.path == "/dir/status"
            self.send_response(200 if known else 403)
            self.end_headers()
            if known:
                self.wfile.write(json.dumps({"Topology": {"DataCenters": centers}}).encode())

        def log_message(self, *_: object) -> None:
            """Keep the test's output free of requests."""

    with HTTPServer(("127.0.0.1", 0), Starting) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        ports = {**pick_ports({}), "s3": server.server_port, "master": server.server_port}
        store = SeaweedFS(tmp_path, ports, "key", "secret", "internal")
        assert store.healthy() is healthy
        server.shutdown()


def test_secrets_are_made_once_kept_and_private(tmp_path: Path) -> None:
    """Prevents new passwords for existing databases, and readable ones."""
    path = tmp_path / "secrets.json"
    made = load_or_create(path)
    assert load_or_create(path) == made
    assert path.stat().st_mode & 0o777 == 0o600
    assert made.postgres not in repr(made)
    assert len(made.airflow_jwt) >= 64


@pytest.mark.parametrize("content", ["{", "[]", '{"postgres": 1}'])
def test_damaged_secrets_are_not_replaced(tmp_path: Path, content: str) -> None:
    """Prevents locking oneself out of the databases by writing new passwords."""
    path = tmp_path / "secrets.json"
    path.write_text(content)
    with pytest.raises(BadInputError, match="damaged"):
        load_or_create(path)
    assert path.read_text() == content


def test_lost_secrets_are_not_replaced_while_data_is_there(tmp_path: Path) -> None:
    """Prevents a time-out without a reason: the database knows other passwords."""
    with pytest.raises(BadInputError, match="missing"):
        load_or_create(tmp_path / "secrets.json", needed_by=[tmp_path])


@pytest.mark.parametrize(
    ("environ", "embedded"),
    [
        ({}, {"postgres", "s3", "api-server", "scheduler", "dag-processor", "triggerer"}),
        ({"CITYLEDGER_AIRFLOW_URL": "http://u:p@host:1"}, {"postgres", "s3"}),
        (
            {
                "CITYLEDGER_DATABASE_URL": "postgresql://u:p@host/d",
                "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "postgresql://u:p@host/a",
            },
            {"s3", "api-server", "scheduler", "dag-processor", "triggerer"},
        ),
        (
            {"CITYLEDGER_DATABASE_URL": "postgresql://u:p@host/d", "CITYLEDGER_S3_URL": "http://x"},
            {"postgres", "api-server", "scheduler", "dag-processor", "triggerer"},
        ),
    ],
)
def test_one_variable_moves_a_part_out(environ: dict[str, str], embedded: set[str]) -> None:
    """Prevents starting what is external, and not starting what somebody still needs."""
    assert set(Plan.from_environment(airflow=True, environ=environ).embedded()) == embedded


def test_addresses_are_shown_without_credentials() -> None:
    """Prevents passwords in `status`."""
    assert without_credentials("http://key:secret@host:8333/x") == "http://host:8333"


def test_log_is_rotated_under_its_writer(tmp_path: Path) -> None:
    """Prevents logs that fill the disk, and a writer that goes on in a deleted file."""
    log = tmp_path / "part.log"
    with log.open("ab", buffering=0) as writer:
        for number in range(5):
            writer.write(f"{number}".encode() * 100)
            logfiles.rotate(tmp_path, max_bytes=50)
        writer.write(b"after")
    assert log.read_bytes() == b"after"
    assert [path.read_bytes()[:1] for path in sorted(tmp_path.glob("part.log.*"))] == [
        b"4",
        b"3",
        b"2",
    ]


def test_lock_has_one_holder(tmp_path: Path) -> None:
    """Prevents two supervisors in one home."""
    path = tmp_path / "lock"
    assert not is_locked(path)
    lock = take_lock(path)
    assert lock is not None
    assert is_locked(path)
    assert take_lock(path, patience=0.05) is None
    os.close(lock)
    assert not is_locked(path)


def test_looking_at_the_lock_does_not_keep_a_supervisor_out(tmp_path: Path) -> None:
    """Prevents a start that gives up because `status` looked at the same moment."""
    path = tmp_path / "lock"
    path.touch()
    with path.open() as looking:
        fcntl.flock(looking, fcntl.LOCK_SH)
        assert not is_locked(path)
        threading.Timer(0.2, fcntl.flock, (looking, fcntl.LOCK_UN)).start()
        lock = take_lock(path)
        assert lock is not None
        os.close(lock)


def test_recycled_pid_is_not_the_process() -> None:
    """Prevents `down` from stopping a stranger that got the pid after a reboot."""
    me = Identity.of(os.getpid())
    assert me.process() is not None
    assert Identity(me.pid, me.started - 3600).process() is None


@pytest.mark.parametrize("content", ["", "{", "{}", '{"parts": {"s3": {"unknown": 1}}}'])
def test_damaged_state_file_is_an_empty_state(tmp_path: Path, content: str) -> None:
    """Prevents `status` and `up` from failing on half a file after a crash."""
    path = tmp_path / "stack.json"
    path.write_text(content)
    assert StackState.load(path).parts == {}


def test_state_survives_the_way_through_its_file(tmp_path: Path) -> None:
    """Prevents a supervisor and readers that misunderstand each other."""
    state = StackState(pid=1, started=2.0, parts={"s3": PartState("running", restarts=2)})
    state.save(tmp_path / "stack.json")
    assert StackState.load(tmp_path / "stack.json") == state


def test_child_ends_with_its_parent(tmp_path: Path) -> None:
    """Prevents servers that outlive a supervisor which was killed."""
    script = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from cityledger_stack.processes import Command, clean_env, spawn\n"
        "log = Path(sys.argv[1])\n"
        "command = Command(('sleep', '60'), clean_env(), log.parent)\n"
        "print(spawn(command, log).identity.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path / "log")], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    child = psutil.Process(int(parent.stdout.readline()))
    parent.kill()
    parent.communicate()
    child.wait(10)
    assert not child.is_running()


def test_server_does_not_inherit_the_shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Prevents a user's PYTHONPATH or PGPASSWORD from changing what a server does."""
    monkeypatch.setenv("PYTHONPATH", "/nowhere")
    monkeypatch.setenv("PGPASSWORD", "x")
    log = tmp_path / "log"
    child = spawn(Command(("env",), clean_env({MARKER: "home"}), tmp_path), log)
    child.popen.wait(10)
    words = log.read_text()
    assert f"{MARKER}=home" in words
    assert "PYTHONPATH" not in words
    assert "PGPASSWORD" not in words


def test_a_port_chosen_by_one_process_is_not_chosen_by_another() -> None:
    """Two stacks that start at once would take the same free port, and one would not come up."""
    port = pick()
    code = f"from cityledger_stack.ports import pick; print(pick([{port}]))"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(other.stdout) != port
