"""What was read of contract files, kept in one JSON file until they change.

A contract's specification follows from its own file and from those that all contracts share (city,
glossary, code lists). So a changed contract costs one reading; a changed code list costs them all.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cityledger import __version__

SUFFIX = ".odcs.yaml"


@dataclass(frozen=True, slots=True)
class Reading:
    """What one contract file gave.

    Attributes:
        stamp: Of the file, when it was read.
        spec: The specification's fields; None when the contract has violations.
        problems: One line each.
    """

    stamp: str
    spec: Mapping[str, Any] | None
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class State:
    """The files of a contracts directory at one moment.

    Attributes:
        shared: Changes with any file that all contracts share, and with our own version.
        contracts: Path → stamp of each contract file.
    """

    shared: str
    contracts: Mapping[str, str]

    @classmethod
    def of(cls, directory: Path) -> State:
        """Look at a directory; no file is opened."""
        shared, contracts = [f"{__version__} {directory}"], {}
        for path, stamp in _stamps(str(directory)):
            if path.endswith(SUFFIX):
                contracts[path] = stamp
            else:
                shared.append(f"{path} {stamp}")
        return cls("\n".join(shared), contracts)


@dataclass(frozen=True, slots=True)
class Kept:
    """The content of the cache.

    Attributes:
        shared: See :class:`State`.
        problems: Of the shared files.
        readings: Path → what the contract file gave.
    """

    shared: str
    problems: tuple[str, ...]
    readings: Mapping[str, Reading]

    def current(self, state: State) -> dict[str, Reading]:
        """The readings that still hold."""
        if self.shared != state.shared:
            return {}
        return {
            path: reading
            for path, reading in self.readings.items()
            if state.contracts.get(path) == reading.stamp
        }


NOTHING = Kept("", (), {})


def recall(file: Path) -> Kept:
    """What the cache holds; nothing if there is none or another version wrote it."""
    try:
        content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        readings = {
            path: Reading(stamp, spec, tuple(problems))
            for path, (stamp, spec, problems) in content["readings"].items()
        }
        return Kept(content["shared"], tuple(content["problems"]), readings)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return NOTHING


def remember(file: Path, kept: Kept) -> None:
    """Replace the cache's content, atomically."""
    content = {
        "shared": kept.shared,
        "problems": kept.problems,
        "readings": {
            path: (reading.stamp, reading.spec, reading.problems)
            for path, reading in kept.readings.items()
        },
    }
    temporary = file.with_suffix(f".{os.getpid()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
        temporary.replace(file)
    except OSError:
        temporary.unlink(missing_ok=True)  # a read-only home costs time, not correctness


def _stamps(directory: str) -> Iterator[tuple[str, str]]:
    """Path and stamp of every file below a directory, in order."""
    try:
        entries = sorted(os.scandir(directory), key=lambda entry: entry.name)
    except FileNotFoundError:
        return
    for entry in entries:
        if entry.is_dir():
            yield from _stamps(entry.path)
            continue
        found = entry.stat()
        yield entry.path, f"{found.st_mtime_ns} {found.st_size}"
