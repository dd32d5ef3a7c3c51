"""What the supervisor says about the stack: a small file that readers can trust or discard."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from cityledger.storage.private_files import write_private


@dataclass
class PartState:
    """One part as the supervisor sees it."""

    state: str = "waiting"  # waiting, starting, running, restarting, stopped, external
    pid: int | None = None
    started: float | None = None
    address: str = ""
    restarts: int = 0
    external: bool = False
    note: str = ""


@dataclass
class StackState:
    """The stack as the supervisor sees it.

    Attributes:
        phase: What it is doing, for progress displays.
        ready: Everything has been up at least once.
        workers: How many Celery workers it runs; none: the scheduler runs the tasks itself.
        error: Why it gave up, when it did (fields of a `CityLedgerError`).
    """

    pid: int = 0
    started: float = 0.0
    phase: str = "starting"
    ready: bool = False
    airflow: bool = True
    workers: int = 0
    error: dict[str, str] | None = None
    ports: dict[str, int] = field(default_factory=dict)
    moved_ports: dict[str, str] = field(default_factory=dict)
    parts: dict[str, PartState] = field(default_factory=dict)

    def save(self, path: Path) -> None:
        """Replace the state file, never leaving half of it."""
        with write_private(path) as target:
            target.write_text(json.dumps(asdict(self), indent=1), "utf-8")

    @classmethod
    def load(cls, path: Path) -> StackState:
        """Read the state file; an absent or damaged one is an empty state."""
        try:
            found = json.loads(path.read_text("utf-8"))
            parts = {name: PartState(**one) for name, one in found.pop("parts").items()}
            return cls(**found, parts=parts)
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return cls(phase="stopped")
