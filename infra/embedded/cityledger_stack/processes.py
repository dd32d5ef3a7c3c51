"""Child processes that never outlive their parent, and processes recognised beyond their pid."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from cityledger_stack.account import Account

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)

#: Every process of a stack carries this variable; its value names the stack's home.
MARKER = "CITYLEDGER_STACK_HOME"


@dataclass(frozen=True)
class Identity:
    """A process by pid and start time: a recycled pid is not mistaken for the process."""

    pid: int
    started: float

    @classmethod
    def of(cls, pid: int) -> Identity:
        """Identify a running process.

        Raises:
            psutil.NoSuchProcess: It is gone.
        """
        return cls(pid, psutil.Process(pid).create_time())

    def process(self) -> psutil.Process | None:
        """The process while it runs, else None (a zombie does not run)."""
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.started) < 1.0
            if not same or process.status() == psutil.STATUS_ZOMBIE:
                return None
        except psutil.NoSuchProcess:
            return None
        return process


@dataclass(frozen=True)
class Command:
    """How to start one server.

    Attributes:
        account: Run as this account (root only); None runs as ourselves.
        stop: The signal on which the server ends in order.
        umask: For everything it creates, sockets included.
    """

    argv: tuple[str, ...]
    env: Mapping[str, str]
    cwd: Path
    account: Account | None = None
    stop: signal.Signals = signal.SIGTERM
    umask: int = 0o077


def clean_env(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """A small environment for a server: nothing of the caller's shell leaks into it."""
    kept = ("PATH", "LANG", "LC_ALL", "TZ", "TMPDIR", "LD_LIBRARY_PATH")
    env = {name: os.environ[name] for name in kept if name in os.environ}
    env.setdefault("PATH", "/usr/local/bin:/usr/bin:/bin")
    return {**env, **(extra or {})}


def spawn(command: Command, log: Path, *, death: signal.Signals | None = None) -> Child:
    """Start a server in its own session; output is appended to ``log``.

    The kernel sends ``death`` (default: the command's stop signal) to the server when the calling
    thread ends, so call this from a thread that lives as long as the server shall.
    """
    last_signal = int(death or command.stop)
    parent = os.getpid()

    def die_with_parent() -> None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, last_signal, 0, 0, 0)
        if os.getppid() != parent:  # the parent ended between fork and prctl
            os.kill(os.getpid(), signal.SIGKILL)

    account = command.account
    as_user = (
        {} if account is None else {"user": account.uid, "group": account.gid, "extra_groups": []}
    )
    with log.open("ab") as output:
        popen = subprocess.Popen(  # noqa: S603 - our own commands, no shell
            command.argv,
            env=dict(command.env),
            cwd=command.cwd,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            umask=command.umask,
            preexec_fn=die_with_parent,  # noqa: PLW1509 - only async-signal-safe calls
            **as_user,  # type: ignore[call-overload]
        )
    return Child(command, popen, Identity.of(popen.pid))


@dataclass
class Child:
    """A server that this process started."""

    command: Command
    popen: subprocess.Popen[bytes]
    identity: Identity

    def running(self) -> bool:
        """Whether it still runs (reaps it when it has ended)."""
        return self.popen.poll() is None

    def ask_to_stop(self) -> None:
        """Send the signal on which it ends in order."""
        if self.running():
            self.popen.send_signal(self.command.stop)

    def await_end(self, timeout: float) -> None:
        """Wait for the end, then insist; what is left of its session is killed."""
        try:
            self.popen.wait(max(0.0, timeout))
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()
        self.kill_leftovers()

    def kill_leftovers(self) -> None:
        """Kill what the ended server left behind in its process group."""
        try:
            os.killpg(self.identity.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            return


def end_all(processes: Iterable[psutil.Process], *, patience: float = 5.0) -> None:
    """End processes that are not our children: SIGTERM, then SIGKILL."""
    alive = list(processes)
    for process in alive:
        _signal(process, signal.SIGTERM)
    _, stubborn = psutil.wait_procs(alive, timeout=patience)
    for process in stubborn:
        _signal(process, signal.SIGKILL)
    psutil.wait_procs(stubborn, timeout=patience)


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return
