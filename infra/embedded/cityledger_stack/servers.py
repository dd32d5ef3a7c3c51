"""What every embedded server has in common, and how to run some for a while."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from cityledger.errors import UnavailableError

from cityledger_stack.processes import Child, Command, spawn


class Server(ABC):
    """One server of the stack."""

    name: str
    note: str = ""
    patience: float = 15.0  # seconds that an orderly end may take

    @abstractmethod
    def prepare(self) -> None:
        """Create what the server needs on disk; harmless when it is there already."""

    @abstractmethod
    def command(self) -> Command:
        """How to start it."""

    @abstractmethod
    def healthy(self) -> bool:
        """Whether it answers."""

    @property
    @abstractmethod
    def address(self) -> str:
        """Where it answers, without credentials."""

    def after_death(self) -> None:  # noqa: B027 - most servers leave nothing
        """Clear away what a killed server left, before it is started again."""


@contextmanager
def running(*servers: Server, logs: Path, timeout: float = 30.0) -> Iterator[None]:
    """Run servers for the length of a ``with`` block (used by tests and one-off tools).

    Raises:
        UnavailableError: A server ended or did not answer in time; its log says why.
    """
    children: list[tuple[Server, Child]] = []
    try:
        for server in servers:
            server.prepare()
            children.append((server, spawn(server.command(), logs / f"{server.name}.log")))
        for server, child in children:
            wait_healthy(server, child, logs / f"{server.name}.log", timeout=timeout)
        yield
    finally:
        for _, child in children:
            child.ask_to_stop()
        for _, child in reversed(children):
            child.await_end(timeout=1.0)  # temporary data: nothing is worth a longer wait


def wait_healthy(
    server: Server,
    child: Child,
    log: Path,
    *,
    timeout: float,
    stop: Callable[[], None] = lambda: None,
) -> None:
    """Wait until a server answers.

    Args:
        server: Whom to ask.
        child: Its process.
        log: Where its output goes, quoted when it fails.
        timeout: Seconds.
        stop: Called again and again; raises when waiting is no longer wanted.

    Raises:
        UnavailableError: It ended or did not answer in time.
    """
    deadline = time.monotonic() + timeout
    while not server.healthy():
        stop()
        if not child.running() or time.monotonic() > deadline:
            ended = "ended" if not child.running() else f"did not answer within {timeout:.0f} s"
            raise UnavailableError(
                f"{server.name} {ended}: {last_line(log)}",
                where=str(log),
                fix="read the log file; `cityledger doctor` checks the usual causes",
                code="server_not_started",
            )
        time.sleep(0.05)


def last_line(log: Path) -> str:
    """The last line of a log that says something."""
    try:
        lines = log.read_text("utf-8", "replace")[-4000:].splitlines()
    except FileNotFoundError:
        return "no log"
    return next((line.strip() for line in reversed(lines) if line.strip()), "empty log")[:300]
