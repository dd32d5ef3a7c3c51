"""The one process that starts, watches, restarts and stops the embedded parts.

``python -m cityledger_stack.supervisor`` is started by `cityledger_stack.stack.up`, in the
background and in a session of its own. It holds a lock in the home folder while it lives. Its
children get a signal from the kernel when it dies, however it dies.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from cityledger.errors import CityLedgerError, UnavailableError

from cityledger_stack import bootstrap, orphans
from cityledger_stack.layout import Layout, take_lock
from cityledger_stack.logfiles import rotate
from cityledger_stack.plan import AIRFLOW_PARTS, Plan
from cityledger_stack.processes import Child, Identity, spawn
from cityledger_stack.servers import Server, last_line, wait_healthy
from cityledger_stack.state import PartState, StackState

log = logging.getLogger("cityledger.stack")

_TICK = 0.25
_LOG_CHECK_EVERY = 40  # ticks
_STEADY = 60.0  # seconds up after which a part's earlier restarts are forgiven
_LONGEST_PAUSE = 30.0


class StoppedEarlyError(Exception):
    """Somebody asked the supervisor to stop while it was starting the parts."""


@dataclass
class Watched:
    """A server, its process, and when to start it again."""

    server: Server
    child: Child | None = None
    since: float = 0.0
    failures: int = 0
    next_start: float | None = None


@dataclass
class Supervisor:
    """Runs one stack until it is told to stop."""

    layout: Layout
    plan: Plan
    stop: threading.Event = field(default_factory=threading.Event)
    watched: dict[str, Watched] = field(default_factory=dict)
    state: StackState = field(default_factory=StackState)

    def run(self) -> None:
        """Start everything, watch it, stop it.

        Raises:
            CityLedgerError: A part could not be started; the state file says so, too.
        """
        me = Identity.of(os.getpid())
        self.state.pid, self.state.started = me.pid, me.started
        self.state.airflow, self.state.workers = self.plan.with_airflow, self.plan.workers
        for part, address in self.plan.external().items():
            self.state.parts[part] = PartState("external", address=address, external=True)
        for part in self.plan.embedded():
            self.state.parts[part] = PartState()
        self._say("cleaning up after an earlier run")
        orphans.end(self.layout)
        try:
            bootstrap.start(self)
            self.state.ready = True
            self._say("ready")
            self._watch()
        except StoppedEarlyError:
            log.info("asked to stop while starting")
        except CityLedgerError as error:
            self.state.error = {"what": error.what, "where": error.where, "fix": error.fix}
            self.state.error["code"] = error.code
            raise
        except Exception as error:
            kind = type(error).__name__
            self.state.error = {"what": f"the supervisor failed unexpectedly: {kind}"}
            raise
        finally:
            self._stop_all()

    # -- used by bootstrap -----------------------------------------------------------------

    def launch(self, server: Server) -> None:
        """Prepare and start a server without waiting for it."""
        self._check_stop()
        server.prepare()
        self.watched[server.name] = Watched(server)
        self._start(self.watched[server.name])

    def await_healthy(self, name: str, timeout: float = 60.0) -> None:
        """Wait until a launched server answers.

        Raises:
            UnavailableError: It ended, or did not answer in time.
        """
        one = self.watched[name]
        if one.child is None:
            raise UnavailableError(f"{name} was not started", code="server_not_started")
        wait_healthy(
            one.server, one.child, self.layout.log(name), timeout=timeout, stop=self._check_stop
        )
        self._note(name, state="running")

    def await_child(self, child: Child, what: str, log_file: Path) -> None:
        """Wait for a one-off command.

        Raises:
            UnavailableError: It failed.
        """
        while child.running():
            self._check_stop()
            time.sleep(0.05)
        if child.popen.returncode != 0:
            raise UnavailableError(
                f"{what} failed: {last_line(log_file)}",
                where=str(log_file),
                fix="read the log file",
                code="command_failed",
            )

    def say(self, phase: str) -> None:
        """Publish what is going on."""
        self._check_stop()
        self._say(phase)

    # -- watching --------------------------------------------------------------------------

    def _watch(self) -> None:
        ticks = 0
        while not self.stop.wait(_TICK):
            ticks += 1
            for one in self.watched.values():
                self._tend(one)
            if ticks % _LOG_CHECK_EVERY == 0:
                rotate(self.layout.logs)

    def _tend(self, one: Watched) -> None:
        now = time.monotonic()
        if one.next_start is not None:
            if now >= one.next_start:
                self._restart(one)
        elif one.child is not None and not one.child.running():
            self._schedule_restart(one, now)

    def _schedule_restart(self, one: Watched, now: float) -> None:
        name = one.server.name
        assert one.child is not None  # noqa: S101 - narrowed by the caller
        code = one.child.popen.returncode
        one.failures = 0 if now - one.since > _STEADY else one.failures + 1
        pause = min(_LONGEST_PAUSE, 0.25 * 2**one.failures)
        one.next_start = now + pause
        log.warning("%s ended (%s); starting it again in %.1f s", name, code, pause)
        part = self.state.parts[name]
        self._note(name, state="restarting", restarts=part.restarts + 1)
        one.child.kill_leftovers()

    def _restart(self, one: Watched) -> None:
        try:
            one.server.after_death()
            self._start(one)
            self._note(one.server.name, state="running")
        except OSError as error:
            log.warning("%s cannot be started: %s", one.server.name, error.strerror)
            one.failures += 1
            one.next_start = time.monotonic() + min(_LONGEST_PAUSE, 0.25 * 2**one.failures)

    def _start(self, one: Watched) -> None:
        name = one.server.name
        one.child = spawn(one.server.command(), self.layout.log(name))
        one.since, one.next_start = time.monotonic(), None
        who = one.child.identity
        log.info("%s started, pid %d", name, who.pid)
        self._note(
            name,
            state="starting",
            pid=who.pid,
            started=who.started,
            address=one.server.address,
            note=one.server.note,
        )

    # -- stopping --------------------------------------------------------------------------

    def _stop_all(self) -> None:
        self.state.ready = False
        self._say("stopping")
        clients = {*AIRFLOW_PARTS, *self.plan.worker_parts()}
        self._stop_group([one for name, one in self.watched.items() if name in clients])
        self._stop_group([one for name, one in self.watched.items() if name not in clients])
        orphans.end(self.layout)
        self._say("stopped")

    def _stop_group(self, group: list[Watched]) -> None:
        running = [(one, one.child) for one in group if one.child is not None]
        for _, child in running:
            child.ask_to_stop()
        asked = time.monotonic()
        for one, child in sorted(running, key=lambda pair: pair[0].server.patience):
            child.await_end(timeout=asked + one.server.patience - time.monotonic())
            one.server.after_death()
            self._note(one.server.name, state="stopped", pid=None, started=None)

    # -- state -----------------------------------------------------------------------------

    def _check_stop(self) -> None:
        if self.stop.is_set():
            raise StoppedEarlyError

    def _say(self, phase: str) -> None:
        self.state.phase = phase
        log.info("%s", phase)
        self.state.save(self.layout.state)

    def _note(self, name: str, **changes: object) -> None:
        part = self.state.parts.setdefault(name, PartState())
        for field_name, value in changes.items():
            setattr(part, field_name, value)
        self.state.save(self.layout.state)


def main() -> int:
    """Run the supervisor in this process until it gets SIGTERM."""
    parser = argparse.ArgumentParser(prog="cityledger-supervisor", description=__doc__)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--no-airflow", action="store_true")
    parser.add_argument("--workers", type=int, default=0)
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    layout = Layout(options.home)
    os.umask(0o077)
    lock = take_lock(layout.lock)
    if lock is None:
        log.info("another supervisor is running")
        return 0
    plan = Plan.from_environment(airflow=not options.no_airflow, workers=options.workers)
    supervisor = Supervisor(layout, plan)

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        supervisor.stop.set()

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        supervisor.run()
    except CityLedgerError as error:
        log.error("%s", error)  # noqa: TRY400 - the message says it all, users read this log
        return int(error.exit_code)
    finally:
        os.close(lock)
    return 0


if __name__ == "__main__":
    sys.exit(main())
