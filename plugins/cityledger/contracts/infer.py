"""Draft a contract from a sample: names, types, keys, enums and suspected personal data.

A draft is a proposal that a person completes. What can't be known from a sample (who answers for
it, under which condition it is shared) is left empty, and the lint refuses it until it is filled.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from cityledger.contracts.columns import NAME, fold_header
from cityledger.contracts.identity import DatasetId
from cityledger.contracts.model import ColumnType

_MAX_ENUM = 12
_MIN_REPEATS = 5  # values of an enum occur this often on average
_MOSTLY = 0.8
_FORMATS: tuple[tuple[ColumnType, str, str], ...] = (
    (ColumnType.DATE, "%Y-%m-%d", "yyyy-MM-dd"),
    (ColumnType.DATE, "%Y/%m/%d", "yyyy/MM/dd"),
    (ColumnType.DATE, "%Y%m%d", "yyyyMMdd"),
    (ColumnType.TIMESTAMP, "%Y-%m-%d %H:%M:%S", "yyyy-MM-dd HH:mm:ss"),
    (ColumnType.TIMESTAMP, "%Y-%m-%d %H:%M", "yyyy-MM-dd HH:mm"),
    (ColumnType.TIMESTAMP, "%Y/%m/%d %H:%M:%S", "yyyy/MM/dd HH:mm:ss"),
    (ColumnType.TIMESTAMP, "%Y-%m-%dT%H:%M:%S", "yyyy-MM-dd'T'HH:mm:ss"),
    (ColumnType.TIMESTAMP, "%m/%d/%Y %I:%M:%S %p", "MM/dd/yyyy hh:mm:ss a"),
)
# Value type → how nearly all of its texts look. Personal data is suspected by these shapes.
_SHAPES = (
    ("citizen_id", re.compile(r"[1-9]\d{5}(?:18|19|20)\d{9}[\dXx]")),
    ("uscc", re.compile(r"[1-9ANY][0-9A-HJ-NPQRTUWXY]\d{6}[0-9A-HJ-NPQRTUWXY]{10}")),
    ("phone", re.compile(r"1[3-9]\d{9}")),
    ("chinese_date", re.compile(r"[12]\d{3}年\d{1,2}月(?:\d{1,2}日)?")),
)
_PERSONAL_HEADER = re.compile(
    r"姓名|电话|手机|地址|住址|身份证|证件号|邮箱|\b(?:name of person|phone|address|email)\b",
    re.IGNORECASE,
)
_INTEGER = re.compile(r"-?(?:0|[1-9]\d{0,17})")
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?")
_PERIODS: tuple[tuple[str, str, str], ...] = (
    (r"(20\d\d)([-_]?)(0[1-9]|1[0-2])\2(0[1-9]|[12]\d|3[01])", r"{yyyy}\2{mm}\2{dd}", "d"),
    (r"(20\d\d)年(0[1-9]|1[0-2])月", "{yyyy}年{mm}月", "m"),
    (r"(20\d\d)([-_]?)(0[1-9]|1[0-2])(?!\d)", r"{yyyy}\2{mm}", "m"),
    (r"20\d\d(?!\d)", "{yyyy}", "y"),
)


@dataclass(frozen=True, slots=True)
class Sample:
    """The first records of a file, as text.

    Attributes:
        headers: Header texts, left to right.
        rows: Cells by row; None or an empty text is no value. Rows may be short.
        file_name: Name of the file, which shows the period that a delivery covers.
        format: ``csv``, ``excel``, ``jsonl`` or ``json``.
    """

    headers: Sequence[str]
    rows: Sequence[Sequence[str | None]]
    file_name: str
    format: str


@dataclass(frozen=True, slots=True)
class People:
    """Who answers for a dataset; empty texts are to be filled in."""

    owner: str = ""
    steward: str = ""
    contact: str = ""
    condition: str = ""


@dataclass(frozen=True, slots=True)
class _Guess:
    """What the sample says about one column."""

    name: str
    header: str
    type: ColumnType
    known_name: bool
    format: str | None = None
    value_type: str | None = None
    enum: tuple[str, ...] = ()
    required: bool = False
    distinct: bool = False
    classification: str = "internal"


def draft_contract(
    dataset: DatasetId, sample: Sample, people: People, vocabulary: Mapping[str, str]
) -> str:
    """The YAML text of a draft.

    Args:
        dataset: Its future id.
        sample: What was read.
        people: Fields that no sample holds.
        vocabulary: Folded header text → column name, from contracts and the glossary.
    """
    guesses = list(_guesses(sample, vocabulary))
    key = next((guess.name for guess in guesses if guess.distinct and guess.required), None)
    columns = "\n".join(_column_text(guess, is_key=guess.name == key) for guess in guesses)
    path, unit = _period(f"{dataset.department}/{sample.file_name}")
    no_key = "" if key else "\n  - {property: noKeyReason, value: ''}  # FILL IN, or mark the key"
    return f"""\
# Drafted from {len(sample.rows)} rows of a sample. Check every line; complete what says FILL IN.
apiVersion: v3.2.0
kind: DataContract
id: {dataset}
name: {dataset.name}
version: 0.1.0
status: draft
domain: {dataset.department}
schema:
  - name: {dataset.name}
    properties:
{columns}
servers:
  - server: drop
    type: local
    path: {_quoted(path)}
    format: {sample.format}
slaProperties:
  - {{property: frequency, value: 1, unit: {unit}}}
  - {{property: latency, value: 1, unit: d}}
  - {{property: retention, value: 3, unit: y}}
team:
  members:
    - {{username: {_quoted(people.owner)}, role: owner}}{_fill_in(people.owner)}
    - {{username: {_quoted(people.steward)}, role: steward}}{_fill_in(people.steward)}
support:
  - {{channel: {_quoted(people.contact)}}}{_fill_in(people.contact)}
customProperties:
  - property: sharing  # 1 unconditional, 2 conditional (condition), 3 not shared (basis)
    value: {{type: 2, condition: {_quoted(people.condition)}}}{_fill_in(people.condition)}{no_key}
"""


def vocabulary_of(headers: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Folded header → column name, from column name → header texts."""
    return {fold_header(text): name for name, texts in headers.items() for text in texts}


# --- guesses -----------------------------------------------------------------------------------


def _guesses(sample: Sample, vocabulary: Mapping[str, str]) -> Iterator[_Guess]:
    taken: set[str] = set()
    for index, header in enumerate(sample.headers):
        cells = [row[index] if index < len(row) else None for row in sample.rows]
        values = [cell.strip() for cell in cells if cell is not None and cell.strip()]
        name = vocabulary.get(fold_header(header)) or _snake_case(header)
        known = bool(name) and name not in taken
        if not known:
            name = f"column_{index + 1}"
        taken.add(name)
        yield _guess(name, header, values, known_name=known, full=len(values) == len(cells))


def _guess(name: str, header: str, values: list[str], *, known_name: bool, full: bool) -> _Guess:
    value_type = _shape(values)
    kind, form = _type(values)
    if value_type is not None:
        kind, form = ColumnType.DATE if value_type == "chinese_date" else ColumnType.STRING, None
    distinct = len(set(values)) == len(values) > 1
    text = kind is ColumnType.STRING and value_type is None
    return _Guess(
        name=name,
        header=header,
        type=kind,
        known_name=known_name,
        format=form,
        value_type=value_type,
        enum=_enum(values) if text else (),
        required=full and bool(values),
        distinct=distinct and kind in (ColumnType.STRING, ColumnType.INTEGER),
        classification=_classification(header, value_type),
    )


def _snake_case(header: str) -> str:
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", header.strip())
    name = re.sub(r"[^A-Za-z0-9]+", "_", words).strip("_").lower()
    return name if NAME.fullmatch(name) and header.isascii() else ""


def _shape(values: list[str]) -> str | None:
    for name, pattern in _SHAPES:
        fitting = sum(1 for value in values if pattern.fullmatch(value))
        if values and fitting >= _MOSTLY * len(values):
            return name
    return None


def _type(values: list[str]) -> tuple[ColumnType, str | None]:
    if not values:
        return ColumnType.STRING, None
    for kind, code, form in _FORMATS:
        if all(_parses(value, code) for value in values):
            return kind, form
    if all(_INTEGER.fullmatch(value) for value in values):
        return ColumnType.INTEGER, None
    if all(_NUMBER.fullmatch(value) for value in values):
        return ColumnType.NUMBER, None
    return ColumnType.STRING, None


def _parses(value: str, code: str) -> bool:
    try:
        return datetime.strptime(value, code).year >= 1800
    except ValueError:
        return False


def _enum(values: list[str]) -> tuple[str, ...]:
    found = sorted(set(values))
    few = 1 < len(found) <= _MAX_ENUM and len(values) >= _MIN_REPEATS * len(found)
    return tuple(found) if few and all(value.isprintable() for value in found) else ()


def _classification(header: str, value_type: str | None) -> str:
    if value_type == "citizen_id":
        return "sensitive"
    if value_type == "phone" or _PERSONAL_HEADER.search(header):
        return "personal"
    return "internal"


# --- text --------------------------------------------------------------------------------------


def _column_text(guess: _Guess, *, is_key: bool) -> str:
    options = f"{{format: {_quoted(guess.format)}}}" if guess.format else None
    enum = ", ".join(f"{{value: {_quoted(value)}}}" for value in guess.enum)
    custom = f"[{{property: valueType, value: {guess.value_type}}}]" if guess.value_type else None
    rename = "" if guess.known_name else "  # rename: lower snake case"
    lines = {
        "businessName": _quoted(" ".join(guess.header.split())),
        "logicalType": guess.type.value,
        "logicalTypeOptions": options,
        "primaryKey": "true" if is_key else None,
        "required": "true" if guess.required else None,
        "classification": guess.classification,
        "enum": f"[{enum}]" if enum else None,
        "customProperties": custom,
    }
    body = "".join(f"\n        {key}: {text}" for key, text in lines.items() if text is not None)
    return f"      - name: {guess.name}{rename}{body}"


def _period(path: str) -> tuple[str, str]:
    for pattern, replacement, unit in _PERIODS:
        replaced, count = re.subn(pattern, replacement, path)
        if count:
            return replaced, unit
    return path, "d"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _fill_in(text: str) -> str:
    return "" if text else "  # FILL IN"
