"""Files with secrets or accounts in them: for their owner only, and never half there."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def write_private(path: Path, *, lasting: bool = True) -> Iterator[Path]:
    """Write a file (mode 0600) all or nothing: yields the path to write to, then replaces.

    Args:
        path: The file; of two writers the later one stays.
        lasting: It must be on the disk before it replaces what a power cut would leave otherwise.
    """
    with _draft(path) as draft:
        yield draft
        if lasting:
            _to_disk(draft)
        draft.replace(path)


@contextmanager
def make_private(path: Path) -> Iterator[Path]:
    """As :func:`write_private`, but a file that is there, or comes first, is left as it is."""
    with _draft(path) as draft:
        yield draft
        _to_disk(draft)
        with suppress(FileExistsError):
            os.link(draft, path)


@contextmanager
def _draft(path: Path) -> Iterator[Path]:
    draft = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    try:
        yield draft
    finally:
        draft.unlink(missing_ok=True)


def _to_disk(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
