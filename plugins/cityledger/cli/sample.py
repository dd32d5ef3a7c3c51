"""The first records of a department's file, without a contract: for `contract infer`."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path, PurePath
from typing import Any

from cityledger.contracts.infer import Sample
from cityledger.errors import BadInputError
from cityledger.lifecycle.readers.archives import Member, members
from cityledger.lifecycle.readers.encoding import decode_blocks
from cityledger.lifecycle.readers.xls import open_xls
from cityledger.lifecycle.readers.xlsx import open_xlsx

MAX_ROWS = 10_000
_MAX_BYTES = 1024**3
_TEXT_BYTES = 8 * 1024**2
_DELIMITERS = ",\t;|"
_TITLE_ROWS = 20
_FORMATS = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".xls": "excel",
    ".xlsx": "excel",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".zip": "csv",
}


def read_sample(path: Path) -> Sample:
    """Read up to 10,000 records.

    Args:
        path: A CSV, Excel, JSON or JSON-lines file, or one in a gzip or zip.

    Raises:
        BadInputError: the file can't be read, or has no records.
    """
    if not path.is_file():
        raise BadInputError("no such file", where=str(path), fix="check the path", code="no_file")
    name = path.name.removesuffix(".gz")
    kind = _FORMATS.get(PurePath(name).suffix.lower(), "csv")
    with path.open("rb") as stream:
        found = members(stream, path.name, path.stat().st_size, _MAX_BYTES, kind)
        table = _table(next(found), kind, path)
    if len(table) < 2:
        raise BadInputError(
            "no records below a header", where=str(path), fix="take a fuller sample", code="no_rows"
        )
    return Sample(table[0], table[1 : MAX_ROWS + 1], path.name, kind)


def _table(member: Member, kind: str, path: Path) -> list[list[str]]:
    where = str(path)
    if kind == "excel":
        data = member.stream.read()
        is_zip = data.startswith(b"PK")
        book = open_xlsx(data, _MAX_BYTES, where) if is_zip else open_xls(data, where)
        return _below_title(list(islice(book.sheet(0).rows(), MAX_ROWS + _TITLE_ROWS)))
    text = _text(member, where, whole=kind == "json")
    if kind == "csv":
        first = text.split("\n", 1)[0]
        delimiter = max(_DELIMITERS, key=first.count)
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
        return _below_title(list(islice(reader, MAX_ROWS + _TITLE_ROWS)))
    try:
        return _objects_table(list(islice(_objects(text, kind), MAX_ROWS)))
    except (ValueError, AttributeError):
        raise BadInputError(
            "the sample is no JSON objects", where=where, fix="correct it", code="invalid_json"
        ) from None


def _text(member: Member, where: str, *, whole: bool) -> str:
    data = b""
    for block in decode_blocks(member.stream, "auto", where):
        data += block
        if len(data) > _TEXT_BYTES and not whole:
            data = data[: data.rfind(b"\n") + 1]
            break
    return data.decode("utf-8", "replace")


def _objects(text: str, kind: str) -> Iterator[dict[str, Any]]:
    if kind == "json":
        yield from json.loads(text)
        return
    for line in text.splitlines():
        if line.strip():
            yield json.loads(line)


def _objects_table(objects: list[dict[str, Any]]) -> list[list[str]]:
    keys = list(dict.fromkeys(key for item in objects for key in item))
    return [keys, *([_cell(item.get(key)) for key in keys] for item in objects)]


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _below_title(rows: Sequence[list[str]]) -> list[list[str]]:
    """From the header on: the first of the top rows with the most filled cells."""
    filled = [sum(1 for cell in row if cell.strip()) for row in rows[:_TITLE_ROWS]]
    start = filled.index(max(filled, default=0)) if filled else 0
    return [row for row in rows[start:] if any(cell.strip() for cell in row)]
