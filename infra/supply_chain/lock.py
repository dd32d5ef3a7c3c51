"""What the lock file pins: names, versions and the hashes of their files."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

LOCK = Path(__file__).resolve().parents[2] / "requirements.lock"
_PIN = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^\s;\\]+)")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Pin:
    """One package of the lock.

    Attributes:
        name: Normalised (PEP 503).
        hashes: SHA-256 of each file that may be installed.
    """

    name: str
    version: str
    hashes: tuple[str, ...]


def pins(lock: Path = LOCK) -> list[Pin]:
    """The packages of a lock file, in its order.

    Raises:
        ValueError: a line is neither a pin with hashes nor a comment.
    """
    entries = lock.read_text("utf-8").replace("\\\n", " ").splitlines()
    return [_pin(entry) for entry in entries if entry.strip() and not entry.startswith("#")]


def _pin(entry: str) -> Pin:
    found, hashes = _PIN.match(entry), tuple(_HASH.findall(entry))
    if found is None or not hashes:
        raise ValueError(f"no pinned package with hashes: {entry[:80]}")
    return Pin(re.sub(r"[-_.]+", "-", found[1]).lower(), found[2], hashes)
