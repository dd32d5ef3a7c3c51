"""Files that a department puts into a folder."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from cityledger.contracts.identity import Partition
from cityledger.errors import BadInputError
from cityledger.sources.base import Source, SourceItem

#: Endings of files that are still being written.
UNFINISHED_SUFFIXES = (".part", ".partial", ".tmp", ".crdownload", ".filepart", ".swp")
#: Beginnings of files that an office program or file system keeps beside the real one.
UNFINISHED_PREFIXES = ("~$", ".~", ".")

_PLACEHOLDER = re.compile(r"\{(\w+)\}")
_GLOB = re.compile(r"[*?\[]")
_COUNT = re.compile(r"\d+")


class DropFolder(Source):
    """Files below the drop folder that match a pattern.

    Options: ``path`` (pattern with ``{yyyy} {mm} {dd} {q} {partition}`` and globs, relative to the
    drop folder) and ``controlFile`` (pattern of a file that holds the declared row count).
    """

    def __init__(self, options: Mapping[str, Any], *, drop_dir: Path) -> None:
        super().__init__(options, drop_dir=Path(os.path.realpath(drop_dir)))

    def list(self, partition: Partition) -> list[SourceItem]:
        """Matching files in name order.

        Raises:
            BadInputError: ``nothing_delivered``, ``still_being_written`` (files are there, but
                unfinished), ``empty_file``, ``outside_drop_folder`` or ``bad_pattern``.
        """
        pattern = expand(str(self.options["path"]), partition)
        found = self._matches(pattern)
        ready = [path for path in found if not _is_unfinished(path.name)]
        if not ready:
            raise self._nothing(pattern, unfinished=self._unfinished(pattern))
        return [self._item(path) for path in ready]

    @contextmanager
    def open(self, item: SourceItem) -> Iterator[BinaryIO]:
        """Stream a file; ``source_changed`` if it isn't the same file at the end."""
        path = self.drop_dir / str(item.token)
        self._check_inside(path)
        with path.open("rb") as stream:
            before = _state(os.fstat(stream.fileno()))
            if before[1] != item.size:
                raise _changed(item.uri)
            yield stream
            same = before == _state(os.fstat(stream.fileno())) == _state_of(path)
        if not same:
            raise _changed(item.uri)

    def declared_rows(self, partition: Partition) -> int | None:
        """The number in the control file: the last one on a line that names rows, or the only one.

        Raises:
            BadInputError: ``missing_control_file`` or ``bad_control_file``.
        """
        option = self.options.get("controlFile")
        if option is None:
            return None
        pattern = expand(str(option), partition)
        found = self._matches(pattern)
        if len(found) != 1:
            raise BadInputError(
                f"the control file {pattern} was found {len(found)} times, not once",
                where=str(self.drop_dir),
                fix="have the control file handed in beside the data",
                code="missing_control_file",
            )
        return _count(found[0].read_bytes()[:4096], where=self._uri(found[0]))

    def _matches(self, pattern: str) -> Sequence[Path]:
        """Files that match, in name order; names are compared in Unicode's composed form."""
        parts = PurePosixPath(_normal(pattern)).parts
        if not parts or pattern.startswith("/") or ".." in parts:
            raise BadInputError(
                f"the pattern '{pattern}' leaves the drop folder",
                fix="write a path below the drop folder, without '..'",
                code="bad_pattern",
            )
        folders: Iterable[Path] = [self.drop_dir]
        for part in parts[:-1]:
            folders = [path for path in _entries(folders, part) if path.is_dir()]
        files = [path for path in _entries(folders, parts[-1]) if path.is_file()]
        return sorted(files, key=lambda path: _normal(path.name))

    def _item(self, path: Path) -> SourceItem:
        self._check_inside(path)
        stat = path.stat()
        if stat.st_size == 0:
            raise BadInputError(
                "the file is empty (0 bytes), or its writer has not started yet",
                where=self._uri(path),
                fix="have it handed in again; a day without records still has its header",
                code="empty_file",
            )
        return SourceItem(
            name=_normal(path.name),
            uri=self._uri(path),
            size=stat.st_size,
            modified_at=datetime.fromtimestamp(stat.st_mtime, UTC),
            token=str(path.relative_to(self.drop_dir)),
        )

    def _check_inside(self, path: Path) -> None:
        if not Path(os.path.realpath(path)).is_relative_to(self.drop_dir):
            raise BadInputError(
                "the file is a link that leads out of the drop folder",
                where=self._uri(path),
                fix="put the file itself into the drop folder",
                code="outside_drop_folder",
            )

    def _unfinished(self, pattern: str) -> Sequence[str]:
        name = PurePosixPath(pattern)
        patterns = [f"{pattern}{suffix}" for suffix in UNFINISHED_SUFFIXES]
        patterns += [str(name.with_name(f"{prefix}{name.name}")) for prefix in UNFINISHED_PREFIXES]
        return sorted({path.name for one in patterns for path in self._matches(one)})

    def _nothing(self, pattern: str, *, unfinished: Sequence[str]) -> BadInputError:
        if unfinished:
            return BadInputError(
                f"still being written: {'、'.join(unfinished)}",
                where=str(self.drop_dir),
                fix=f"wait until it is renamed to {pattern}",
                code="still_being_written",
            )
        return BadInputError(
            f"no file matches {pattern}",
            where=str(self.drop_dir),
            fix="ask the department for the delivery, or correct the path in the contract",
            code="nothing_delivered",
        )

    def _uri(self, path: Path) -> str:
        return f"drop://{path.relative_to(self.drop_dir).as_posix()}"


def expand(pattern: str, partition: Partition) -> str:
    """Fill in ``{yyyy} {yy} {mm} {dd} {q} {partition}`` from a partition's first day.

    Raises:
        BadInputError: ``bad_pattern`` for another placeholder.
    """
    start = partition.start
    values = {
        "yyyy": f"{start:%Y}",
        "yy": f"{start:%y}",
        "mm": f"{start:%m}",
        "dd": f"{start:%d}",
        "q": str((start.month + 2) // 3),
        "partition": partition.key,
    }

    def value(match: re.Match[str]) -> str:
        if match[1] not in values:
            raise BadInputError(
                f"unknown placeholder {match[0]} in '{pattern}'",
                fix=f"use {', '.join(f'{{{name}}}' for name in values)}",
                code="bad_pattern",
            )
        return values[match[1]]

    return _PLACEHOLDER.sub(value, pattern)


def _entries(folders: Iterable[Path], part: str) -> Iterator[Path]:
    for folder in folders:
        try:
            entries = sorted(folder.iterdir())
        except (FileNotFoundError, NotADirectoryError):
            continue
        yield from (entry for entry in entries if _name_matches(_normal(entry.name), part))


def _name_matches(name: str, part: str) -> bool:
    if not _GLOB.search(part):
        return name == part
    return fnmatchcase(name, part) and (part.startswith(".") or not name.startswith("."))


def _is_unfinished(name: str) -> bool:
    lower = name.lower()
    return lower.endswith(UNFINISHED_SUFFIXES) or lower.startswith(UNFINISHED_PREFIXES)


def _normal(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _state(stat: os.stat_result) -> tuple[int, int, int, int]:
    return stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_dev


def _state_of(path: Path) -> tuple[int, int, int, int] | None:
    try:
        return _state(path.stat())
    except FileNotFoundError:
        return None


def _changed(where: str) -> BadInputError:
    return BadInputError(
        "the file changed while it was read; nothing of it was kept",
        where=where,
        fix="run again when the department has finished writing",
        code="source_changed",
    )


def _count(data: bytes, where: str) -> int:
    """Row count of a control file: one number, or the number after a word for rows."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("gb18030", "replace")
    labelled = re.findall(r"(?i)(?:rows?|records?|count|行数|记录数|条数)\D{0,20}(\d+)", text)
    numbers = labelled or _COUNT.findall(text)
    if len(set(numbers)) != 1:
        raise BadInputError(
            f"the control file holds {len(numbers)} numbers, not one row count",
            where=where,
            fix="write the row count alone, or as rows=…",
            code="bad_control_file",
        )
    return int(numbers[0])
