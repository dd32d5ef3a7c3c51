"""The embedded stack as others use it: up, down, status, logs."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
from cityledger.errors import BadInputError, UnavailableError
from cityledger.settings import Settings, get_settings, home_dir

from cityledger_stack import airflow, celery, orphans
from cityledger_stack.layout import Layout, is_locked
from cityledger_stack.plan import (
    AIRFLOW_PARTS,
    BROKER_PART,
    LOGS_PART,
    PARTS,
    Plan,
    wanted_workers,
    worker_name,
)
from cityledger_stack.processes import Identity
from cityledger_stack.state import PartState, StackState

Progress = Callable[[str], None]

_START_LIMIT = 420.0
_STOP_LIMIT = 60.0
_UNSEEN = 15.0  # a supervisor that has not taken its lock by then has failed


@dataclass(frozen=True)
class PartStatus:
    """One part of the stack, as shown to users.

    Attributes:
        state: ``running``, ``starting``, ``restarting``, ``unhealthy``, ``stopped``, ``external``.
        address: Where it answers, without credentials.
        restarts: How often the supervisor had to start it again.
        note: Where it runs differently from the plain case, and why.
    """

    name: str
    state: str
    pid: int | None
    address: str
    restarts: int
    external: bool
    note: str = ""


@dataclass(frozen=True)
class StackInfo:
    """What a caller needs to know after `up`.

    Attributes:
        already_running: Nothing had to be started.
        seconds: How long this call took.
        airflow_url: The api-server with the user and password in the URL; None without Airflow.
        notices: Moved ports and other things worth a line.
    """

    parts: tuple[PartStatus, ...]
    home: Path
    drop_dir: Path
    airflow_url: str | None
    already_running: bool
    seconds: float
    notices: tuple[str, ...]


def up(
    *,
    wait: bool = True,
    on_progress: Progress | None = None,
    airflow: bool = True,
    workers: int | None = None,
) -> StackInfo:
    """Start the embedded stack; a running one is left as it is.

    It is started anew only when other parts are wanted than those that run: Airflow as well, or a
    part that the environment has made external or embedded meanwhile, or another number of workers.

    Args:
        wait: Return when every part answers (else as soon as the supervisor runs).
        on_progress: Called with a short sentence whenever the start moves on.
        airflow: False starts only what the command line needs.
        workers: Celery workers that run the tasks, 0 for none. None leaves a running stack as it
            is, and otherwise asks the environment (``CITYLEDGER_WORKERS``).

    Raises:
        BadInputError: The number of workers is not usable.
        UnavailableError: A part does not start; the message names its log.
    """
    begun = time.monotonic()
    layout = _layout()
    settings = get_settings()
    layout.create(settings.drop_dir, settings.spool_dir)
    tell = on_progress or (lambda _phase: None)
    state = _running_state(layout)
    plan = _plan(state, airflow=airflow, workers=workers)
    if state is not None and _embedded(state) != set(plan.embedded()):
        tell("restarting: other parts are wanted now")
        down()
        state = None
    already = state is not None
    if not already:
        tell("starting the supervisor")
        _spawn_supervisor(layout, plan)
    if wait:
        _await_ready(layout, tell)
    get_settings.cache_clear()
    return _info(layout, get_settings(), already, time.monotonic() - begun)


def down() -> bool:
    """Stop the embedded stack and whatever a killed supervisor left of it.

    Returns:
        Whether anything had to be stopped.

    Raises:
        UnavailableError: The supervisor does not stop.
    """
    layout = _layout()
    if not layout.home.exists():
        return False
    state = _running_state(layout)
    if state is None:
        left = orphans.find(layout)
        orphans.end(layout)
        _mark_stopped(layout)
        return bool(left)
    process = Identity(state.pid, state.started).process()
    if process is None:
        return True
    try:
        process.terminate()
        process.wait(_STOP_LIMIT)  # also reaps it when this very process started it
    except psutil.NoSuchProcess:
        return True
    except psutil.TimeoutExpired as error:
        raise UnavailableError(
            f"the supervisor (pid {state.pid}) does not stop",
            where=str(layout.log("supervisor")),
            fix=f"kill -9 {state.pid}, then cityledger down",
            code="supervisor_stuck",
        ) from error
    return True


def status() -> list[PartStatus]:
    """Every part of the stack and how it is now."""
    layout = _layout()
    state = _running_state(layout)
    if state is None:
        external = Plan.from_environment(airflow=True).external()
        return [_absent(name, external.get(name)) for name in PARTS]
    answers = _health(state)
    return [_seen(name, part, answers) for name, part in _in_order(state)]


def is_running() -> bool:
    """Whether a supervisor lives for this home."""
    return _running_state(_layout()) is not None


def logs(part: str | None = None, follow: bool = False, lines: int = 50) -> Iterator[str]:
    """The last lines of a part's log, or of all, and with ``follow`` the coming ones.

    Raises:
        BadInputError: There is no such part.
    """
    layout = _layout()
    files = [layout.log(part)] if part else sorted(layout.logs.glob("*.log"))
    if part and not files[0].exists():
        known = ", ".join(sorted(file.stem for file in layout.logs.glob("*.log"))) or "none yet"
        raise BadInputError(
            f"there is no log of {part!r}", fix=f"known logs: {known}", code="unknown_part"
        )
    prefix = len(files) > 1
    offsets: dict[Path, int] = {}
    for file in files:
        text, offsets[file] = _read_from(file, 0)
        yield from _labelled(file, text[-lines:], prefix)
    while follow:
        time.sleep(0.3)
        for file in files:
            text, offsets[file] = _read_from(file, offsets[file])
            yield from _labelled(file, text, prefix)


def _layout() -> Layout:
    return Layout(home_dir())


def _running_state(layout: Layout) -> StackState | None:
    """The state of a living supervisor, else None."""
    if not is_locked(layout.lock):
        return None
    deadline = time.monotonic() + _UNSEEN
    while time.monotonic() < deadline:
        state = StackState.load(layout.state)
        if Identity(state.pid, state.started).process() is not None:
            return state
        time.sleep(0.05)
    return None


def _embedded(state: StackState) -> set[str]:
    return {name for name, part in state.parts.items() if not part.external}


def _plan(state: StackState | None, *, airflow: bool, workers: int | None) -> Plan:
    if workers is None:
        workers = wanted_workers(os.environ)
    if state is not None:
        # A caller that can do without Airflow or workers does not take them away from others.
        airflow = airflow or state.airflow
        workers = state.workers if workers is None else workers
    return Plan.from_environment(airflow=airflow, workers=workers or 0)


def _in_order(state: StackState) -> list[tuple[str, PartState]]:
    return sorted(state.parts.items(), key=lambda part: _place(part[0]))


def _place(name: str) -> tuple[int, str]:
    # What others run is noted first; readers look for parts where they start.
    servers = ("postgres", "s3", BROKER_PART, *AIRFLOW_PARTS, LOGS_PART)
    return (servers.index(name) if name in servers else len(servers), name)


def _spawn_supervisor(layout: Layout, plan: Plan) -> None:
    words = [sys.executable, "-m", "cityledger_stack.supervisor", "--home", str(layout.home)]
    words += ["--workers", str(plan.workers)]
    with layout.log("supervisor").open("ab") as output:
        subprocess.Popen(  # noqa: S603 - our own words, no shell
            words if plan.with_airflow else [*words, "--no-airflow"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=layout.home,
            env={**os.environ, "CITYLEDGER_HOME": str(layout.home)},
            start_new_session=True,
        )


def _await_ready(layout: Layout, tell: Progress) -> None:
    begun, phase, seen = time.monotonic(), "", False
    while time.monotonic() - begun < _START_LIMIT:
        state = _running_state(layout)
        if state is None and (seen or time.monotonic() - begun > _UNSEEN):
            break
        if state is not None:
            seen = True
            if state.phase != phase:
                phase = state.phase
                tell(phase)
            if state.ready:
                return
        time.sleep(0.1)
    _raise_start_failure(layout)


def _raise_start_failure(layout: Layout) -> None:
    error = StackState.load(layout.state).error or {}
    raise UnavailableError(
        error.get("what") or "the embedded stack did not start",
        where=error.get("where") or str(layout.log("supervisor")),
        fix=error.get("fix") or "read the log; `cityledger doctor` checks the usual causes",
        code=error.get("code") or "stack_not_started",
    )


def _info(layout: Layout, settings: Settings, already: bool, seconds: float) -> StackInfo:
    url = settings.airflow_url
    state = StackState.load(layout.state)
    return StackInfo(
        parts=tuple(status()),
        home=layout.home,
        drop_dir=settings.drop_dir,
        airflow_url=None if url is None else url.get_secret_value(),
        already_running=already,
        seconds=seconds,
        notices=tuple(state.moved_ports.values()),
    )


def _absent(name: str, address: str | None) -> PartStatus:
    state = "external" if address else "stopped"
    return PartStatus(name, state, None, address or "", 0, external=bool(address))


def _seen(name: str, part: PartState, answers: dict[str, bool]) -> PartStatus:
    state = part.state
    if state == "running" and not answers.get(name, True):
        state = "unhealthy"
    return PartStatus(name, state, part.pid, part.address, part.restarts, part.external, part.note)


def _health(state: StackState) -> dict[str, bool]:
    part = state.parts.get("api-server")
    if part is None or part.external or part.state != "running":
        return {}
    names = [worker_name(number) for number in range(1, state.workers + 1)]
    workers = {name: celery.beats(_layout(), name) for name in names}
    return {**(airflow.health(part.address) or {"api-server": False}), **workers}


def _mark_stopped(layout: Layout) -> None:
    state = StackState.load(layout.state)
    if state.parts:
        state.phase, state.ready = "stopped", False
        for part in state.parts.values():
            if not part.external:
                part.state, part.pid, part.started = "stopped", None, None
        state.save(layout.state)


def _read_from(file: Path, offset: int) -> tuple[list[str], int]:
    try:
        size = file.stat().st_size
        start = offset if size >= offset else 0  # rotated meanwhile
        with file.open("rb") as reader:
            reader.seek(max(start, size - 1_000_000))
            raw = reader.read()
            return raw.decode("utf-8", "replace").splitlines(), reader.tell()
    except FileNotFoundError:
        return [], 0


def _labelled(file: Path, lines: list[str], prefix: bool) -> Iterator[str]:
    for line in lines:
        yield f"{file.stem} | {line}" if prefix else line
