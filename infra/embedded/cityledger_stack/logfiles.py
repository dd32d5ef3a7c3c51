"""Log files that stay small while their writers keep them open."""

from __future__ import annotations

import shutil
from pathlib import Path

MAX_BYTES = 10 * 1024 * 1024
KEPT = 3


def rotate(folder: Path, *, max_bytes: int = MAX_BYTES) -> None:
    """Copy and empty each log over the limit; the writers append, so they go on at the start.

    Lines written between copy and truncation are lost; a pipe through the supervisor would lose
    none, but would stop every server when the supervisor is killed.
    """
    for log in folder.glob("*.log"):
        if log.stat().st_size > max_bytes:
            for number in range(KEPT, 1, -1):
                older = log.with_name(f"{log.name}.{number - 1}")
                if older.exists():
                    older.replace(log.with_name(f"{log.name}.{number}"))
            shutil.copyfile(log, log.with_name(f"{log.name}.1"))
            with log.open("r+b") as writer:
                writer.truncate(0)
