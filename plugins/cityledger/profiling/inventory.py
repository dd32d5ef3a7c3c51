"""Which files does a department have, and which of them does a contract take in?"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from cityledger.contracts.model import Contract
from cityledger.errors import BadInputError
from cityledger.profiling.records import FileGroup, Inventory, Oddity, Problem

LIMIT = 1_000_000
_ODDITIES = 200
_KINDS: Mapping[str, tuple[str, ...]] = {
    "table": (".csv", ".tsv", ".xls", ".xlsx", ".xlsm", ".et", ".ods", ".parquet"),
    "structured": (".json", ".jsonl", ".ndjson", ".xml", ".yaml", ".yml"),
    "document": (".pdf", ".doc", ".docx", ".wps", ".ofd", ".ppt", ".pptx", ".txt", ".rtf", ".md"),
    "image": (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".gif", ".webp", ".heic"),
    "recording": (".mp3", ".wav", ".m4a", ".mp4", ".avi", ".mov", ".mkv"),
    "map": (".shp", ".shx", ".dbf", ".prj", ".geojson", ".kml", ".gpkg", ".dwg", ".dxf"),
    "archive": (".zip", ".gz", ".7z", ".rar", ".tar", ".bz2", ".xz"),
    "database": (".mdb", ".accdb", ".db", ".sqlite", ".sql", ".bak", ".dmp"),
}
_KIND_OF = {suffix: kind for kind, suffixes in _KINDS.items() for suffix in suffixes}
#: Suffix → how such a file begins. An .xls that is a web page is the classic of exports.
_MAGIC: Mapping[str, tuple[bytes, ...]] = {
    ".xls": (b"\xd0\xcf\x11\xe0",),
    ".doc": (b"\xd0\xcf\x11\xe0",),
    ".xlsx": (b"PK",),
    ".docx": (b"PK",),
    ".pptx": (b"PK",),
    ".ofd": (b"PK",),
    ".zip": (b"PK",),
    ".gz": (b"\x1f\x8b",),
    ".pdf": (b"%PDF",),
    ".png": (b"\x89PNG",),
    ".jpg": (b"\xff\xd8",),
    ".jpeg": (b"\xff\xd8",),
    ".parquet": (b"PAR1",),
}
_PLACEHOLDER = re.compile(r"\\\{(\w+)\\\}")
_DIGITS = {"yyyy": r"\d{4}", "yy": r"\d\d", "mm": r"\d\d", "dd": r"\d\d", "q": r"[1-4]"}


@dataclass
class _Count:
    files: int = 0
    size: int = 0
    covered: int = 0
    newest: float = 0.0


@dataclass
class _Stock:
    counts: dict[tuple[str, str, str], _Count] = field(default_factory=dict)
    oddities: list[Oddity] = field(default_factory=list)
    files: int = 0
    truncated: bool = False

    def note(self, path: str, problem: Problem) -> None:
        if len(self.oddities) < _ODDITIES:
            self.oddities.append(Oddity(path=path, problem=problem))


def take_inventory(root: Path, contracts: Iterable[Contract], *, limit: int = LIMIT) -> Inventory:
    """Count the files below a folder by department, kind and suffix.

    Nothing is opened but the first bytes; links are not followed.

    Args:
        root: Usually the drop folder; its first-level folders are the departments.
        contracts: Their source patterns say which files are taken in.
        limit: Files after which the walk stops.

    Raises:
        BadInputError: there is no such folder.
    """
    if not root.is_dir():
        raise BadInputError(
            "no such folder", where=str(root), fix="name a folder that exists", code="no_folder"
        )
    covered = re.compile("|".join(map(_pattern, _paths(contracts))) or r"(?!)")
    stock = _Stock()
    for entry in _walk(root, stock):
        if stock.files >= limit:
            stock.truncated = True
            break
        _count(entry, root, covered, stock)
    groups = tuple(_group(key, count) for key, count in sorted(stock.counts.items()))
    return Inventory(
        root=str(root),
        taken_at=datetime.now(UTC),
        groups=groups,
        oddities=tuple(stock.oddities),
        truncated=stock.truncated,
        files=stock.files,
        size=sum(group.size for group in groups),
    )


def _walk(root: Path, stock: _Stock) -> Iterator[os.DirEntry[str]]:
    pending = [root]
    while pending:
        folder = pending.pop()
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError:
            stock.note(_relative(folder, root), Problem.UNREADABLE)
            continue
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                pending.append(Path(entry.path))
            elif entry.is_file(follow_symlinks=False):
                yield entry


def _count(entry: os.DirEntry[str], root: Path, covered: re.Pattern[str], stock: _Stock) -> None:
    path = _relative(Path(entry.path), root)
    suffix = PurePosixPath(entry.name).suffix.lower()
    department = path.split("/", 1)[0] if "/" in path else ""
    state = entry.stat(follow_symlinks=False)
    kind = _KIND_OF.get(suffix, "other")
    count = stock.counts.setdefault((department, kind, suffix), _Count())
    count.files += 1
    count.size += state.st_size
    count.covered += bool(covered.fullmatch(path))
    count.newest = max(count.newest, state.st_mtime)
    stock.files += 1
    problem = _problem(entry.path, suffix, state.st_size)
    if problem:
        stock.note(path, problem)


def _problem(path: str, suffix: str, size: int) -> Problem | None:
    if size == 0:
        return Problem.EMPTY
    if suffix not in _MAGIC:
        return None
    try:
        with Path(path).open("rb") as stream:
            start = stream.read(512)
    except OSError:
        return Problem.UNREADABLE
    if start.startswith(_MAGIC[suffix]):
        return None
    is_page = start.lstrip().lower().startswith((b"<html", b"<!doctype html", b"<table", b"<?xml"))
    return Problem.WEB_PAGE if is_page else Problem.OTHER_CONTENT


def _group(key: tuple[str, str, str], count: _Count) -> FileGroup:
    department, kind, suffix = key
    return FileGroup(
        department=department,
        kind=kind,
        suffix=suffix,
        files=count.files,
        size=count.size,
        covered=count.covered,
        newest=datetime.fromtimestamp(count.newest, UTC),
    )


def _paths(contracts: Iterable[Contract]) -> Iterator[str]:
    for contract in contracts:
        options = contract.source.options
        yield from (str(options[name]) for name in ("path", "controlFile") if name in options)


def _pattern(path: str) -> str:
    """A source pattern as a regular expression over all its partitions."""
    text = re.escape(path).replace(r"\*", "[^/]*").replace(r"\?", "[^/]")
    return _PLACEHOLDER.sub(lambda match: _DIGITS.get(match[1], "[^/]+"), text)


def _relative(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()
