"""Known vulnerabilities of what the lock pins, from advisories that lie on the disk.

``python -m infra.supply_chain.advisories FILE`` takes OSV's export of the Python ecosystem (the zip
file that osv.dev publishes), or a folder of its JSON files, brought in on whatever medium a closed
network allows. It ends with 1 when something pinned is affected.
"""

from __future__ import annotations

import json
import re
import sys
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.version import InvalidVersion, Version

from infra.supply_chain.lock import LOCK, Pin, pins

Advisory = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Finding:
    """A pinned package that an advisory names."""

    pin: Pin
    advisory: str
    summary: str
    fixed: str

    def __str__(self) -> str:
        mended = f"; mended in {self.fixed}" if self.fixed else "; no mended version is named"
        return f"{self.pin.name} {self.pin.version}: {self.advisory} {self.summary}{mended}"


def read(source: Path) -> Iterator[Advisory]:
    """The advisories of a zip file or a folder.

    Raises:
        ValueError: there is none in it: an empty answer would look like a clean one.
    """
    texts = _zipped(source) if source.is_file() else _folder(source)
    count = 0
    for text in texts:
        count += 1
        yield json.loads(text)
    if not count:
        raise ValueError(f"no advisories in {source}")


def findings(advisories: Iterator[Advisory], lock: Path = LOCK) -> list[Finding]:
    """What of the lock the advisories name, withdrawn ones apart."""
    pinned = {pin.name: pin for pin in pins(lock)}
    found = []
    for advisory in advisories:
        for affected in () if advisory.get("withdrawn") else advisory.get("affected", ()):
            package = affected.get("package", {})
            pin = pinned.get(re.sub(r"[-_.]+", "-", package.get("name", "")).lower())
            if package.get("ecosystem") == "PyPI" and pin and _hits(affected, pin.version):
                text = str(advisory.get("summary", "")).strip()
                found.append(Finding(pin, advisory["id"], text, ", ".join(_fixes(affected))))
    return sorted(found, key=lambda one: (one.pin.name, one.advisory))


def main(arguments: Sequence[str]) -> int:
    """Print the findings; 1 when there are some, 2 when there is nothing to compare with."""
    if len(arguments) != 1 or not Path(arguments[0]).exists():
        sys.stderr.write("usage: make audit-deps ADVISORIES=FILE-OR-FOLDER\n")
        return 2
    found = findings(read(Path(arguments[0])))
    for one in found:
        sys.stdout.write(f"{one}\n")
    sys.stdout.write(f"{len(found)} findings for {len(pins())} pinned packages\n")
    return 1 if found else 0


def _zipped(source: Path) -> Iterator[bytes]:
    with zipfile.ZipFile(source) as archive:
        for name in archive.namelist():
            if name.endswith(".json"):
                yield archive.read(name)


def _folder(source: Path) -> Iterator[bytes]:
    for path in sorted(source.rglob("*.json")):
        yield path.read_bytes()


def _hits(affected: Advisory, version: str) -> bool:
    if version in affected.get("versions", ()):
        return True
    return any(
        _within(one.get("events", ()), Version(version))
        for one in affected.get("ranges", ())
        if one.get("type") == "ECOSYSTEM"
    )


def _within(events: Sequence[dict[str, str]], version: Version) -> bool:
    """OSV's rule: walk the events in order of versions; the last one before ours counts."""
    inside = False
    for event in sorted(events, key=_when):
        kind, text = next(iter(event.items()))
        reached = _parsed(text) < version if kind == "last_affected" else _parsed(text) <= version
        if reached and kind in {"introduced", "fixed", "last_affected"}:
            inside = kind == "introduced"
    return inside


def _when(event: dict[str, str]) -> tuple[Version, bool]:
    kind, text = next(iter(event.items()))
    return _parsed(text), kind != "introduced"


def _parsed(text: str) -> Version:
    try:
        return Version(text)
    except InvalidVersion:
        return Version("0")  # an advisory that cannot be read counts, it is not passed over


def _fixes(affected: Advisory) -> list[str]:
    return [
        event["fixed"]
        for one in affected.get("ranges", ())
        if one.get("type") == "ECOSYSTEM"
        for event in one.get("events", ())
        if "fixed" in event
    ]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
