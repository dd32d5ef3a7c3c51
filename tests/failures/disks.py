"""Small disks that tests may fill."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[None]:
    """A disk of its own for a server's data; who runs this must be allowed to mount."""
    folder.mkdir(parents=True, exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=0711", "tmpfs", str(folder)]
    done = subprocess.run(mount, capture_output=True, text=True)
    assert done.returncode == 0, f"this test has to mount a file system: {done.stderr}"
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder: Path) -> Path:
    """Leave not a byte on the disk of a folder, whatever others write to it meanwhile."""
    ballast, size = folder / "ballast", 0
    with ballast.open("wb") as file:
        while room := os.statvfs(folder).f_bavail * os.statvfs(folder).f_frsize:
            with suppress(OSError):  # somebody else has taken of it
                os.posix_fallocate(file.fileno(), size, room)
                size += room
    return ballast
