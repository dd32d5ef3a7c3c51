"""Which column of a file is which column of the contract."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from cityledger.contracts.model import Column, Contract, Drift
from cityledger.errors import BadInputError
from cityledger.masking import scrub

#: How many records from the top can hold titles before the header.
HEADER_SEARCH_ROWS = 40

_SPACE = re.compile(r"[\s\u200b\ufeff]+")
# "费用(元)" and "费用（万元）": the unit in the header is noted by the contract, not by the name.
_UNIT = re.compile(r"[(\[【][^()\[\]【】]*[)\]】]$")


@dataclass(frozen=True, slots=True)
class Header:
    """A matched header.

    Attributes:
        first: 0-based index of the header's first row among the rows looked at.
        depth: Rows that it takes.
        names: Contract column per file column; None for a column that isn't read.
        drift: Notes: renamed, missing and extra columns.
    """

    first: int
    depth: int
    names: tuple[str | None, ...]
    drift: tuple[str, ...]


def normalise(text: str) -> str:
    """Header text as it is compared: NFKC, no white space, lower case."""
    return _SPACE.sub("", unicodedata.normalize("NFKC", text)).casefold()


def without_unit(text: str) -> str:
    """Normalised header text without its bracketed unit."""
    return _UNIT.sub("", text) or text


class Vocabulary:
    """All header texts that a contract knows."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self.columns = tuple(columns)
        self._exact: dict[str, str] = {}
        for column in columns:
            for text in (column.business_name, column.name, *column.headers):
                self._exact.setdefault(normalise(text), column.name)
        self._loose: dict[str, str] = {}
        clashes: set[str] = set()
        for key, name in self._exact.items():
            short = without_unit(key)
            if self._loose.setdefault(short, name) != name:
                clashes.add(short)
        for short in clashes:
            del self._loose[short]

    def find(self, text: str) -> str | None:
        """The column that a header text names, if any.

        A text joined from several header rows (``个人信息-姓名``) is also tried by its last part,
        and a bilingual one (``姓名 / Name``) by each part.
        """
        for candidate in (text, *re.split(r"[\n\r/|]", text), text.rsplit("-", 1)[-1]):
            key = normalise(candidate)
            if not key:
                continue
            found = self._exact.get(key) or self._loose.get(without_unit(key))
            if found:
                return found
        return None

    def count(self, texts: Sequence[str]) -> int:
        """How many different columns the texts name."""
        return len({self.find(text) for text in texts} - {None})


def join_rows(rows: Sequence[Sequence[str]]) -> list[str]:
    """Join header rows cell by cell: ``-`` between different texts, repeats once."""
    width = max(len(row) for row in rows)
    texts = []
    for index in range(width):
        parts: list[str] = []
        for row in rows:
            part = row[index].strip() if index < len(row) else ""
            if part and part not in parts:
                parts.append(part)
        texts.append("-".join(parts))
    return texts


def locate(rows: Sequence[Sequence[str]], contract: Contract) -> tuple[int, int]:
    """Where the header is among the first rows: first row and how many columns it names.

    The first row that names most columns wins, so a data row that happens to hold a column's name
    doesn't.
    """
    vocabulary = Vocabulary(contract.columns)
    depth = contract.layout.header_rows
    if contract.layout.skip_rows is not None:
        first = contract.layout.skip_rows
        window = rows[first : first + depth]
        return first, vocabulary.count(join_rows(window)) if window else 0
    best, best_count = 0, -1
    for first in range(min(len(rows), HEADER_SEARCH_ROWS)):
        window = rows[first : first + depth]
        count = vocabulary.count(join_rows(window))
        if count > best_count:
            best, best_count = first, count
    return best, best_count


def match(rows: Sequence[Sequence[str]], contract: Contract, where: str) -> Header:
    """Find the header among the first rows and match it to the contract.

    Args:
        rows: First records of the file as text, from the top.
        contract: Whose columns, layout and drift policy apply.
        where: Names the file in errors.

    Raises:
        BadInputError: ``missing_column``, ``duplicate_header`` or ``extra_column``.
    """
    first, _ = locate(rows, contract)
    depth = contract.layout.header_rows
    texts = join_rows(rows[first : first + depth]) if rows[first : first + depth] else []
    names, notes = match_texts(texts, contract, f"{where}, header in row {first + depth}")
    return Header(first, depth, names, notes)


def match_texts(
    texts: Sequence[str], contract: Contract, where: str
) -> tuple[tuple[str | None, ...], tuple[str, ...]]:
    """Match header texts (or the keys of JSON objects) to the contract's columns.

    Returns:
        Contract column per text, None for those not read; notes on what differs.

    Raises:
        BadInputError: ``missing_column``, ``duplicate_header`` or ``extra_column``.
    """
    names = _assign(texts, contract, where)
    notes = (
        *_renamed(texts, names, contract),
        *_missing(texts, names, contract, where),
        *_extra(texts, names, contract, where),
    )
    return tuple(names), notes


def _assign(texts: Sequence[str], contract: Contract, where: str) -> list[str | None]:
    vocabulary = Vocabulary(contract.columns)
    names = [vocabulary.find(text) for text in texts]
    counts = Counter(name for name in names if name)
    twice = {name for name, count in counts.items() if count > 1}
    repeated = [text for text, n in Counter(map(normalise, texts)).items() if text and n > 1]
    if twice or repeated:
        shown = [text for text, name in zip(texts, names, strict=True) if name in twice] or repeated
        raise BadInputError(
            f"the header names a column more than once: {'、'.join(shown)}",
            where=where,
            fix="hand in each column once, each with a name of its own",
            code="duplicate_header",
        )
    return names


def _renamed(texts: Sequence[str], names: Sequence[str | None], contract: Contract) -> list[str]:
    notes = []
    for text, name in zip(texts, names, strict=True):
        if name is None:
            continue
        column = contract.column(name)
        last = normalise(text.rsplit("-", 1)[-1])
        if normalise(column.business_name) not in (normalise(text), last) and last != name:
            notes.append(f"renamed: '{text}' read as {name} ({column.business_name})")
    return notes


def _missing(
    texts: Sequence[str], names: Sequence[str | None], contract: Contract, where: str
) -> list[str]:
    found = {name for name in names if name}
    absent = [
        column
        for column in contract.columns
        if column.name not in found and column.name != contract.layout.group_column
    ]
    needed = [column for column in absent if column.required or column.primary_key]
    if needed or not found:
        # A file without a header has its first record here, which is nobody's business.
        unknown = [
            scrub(text) for text, name in zip(texts, names, strict=True) if text and not name
        ]
        raise _missing_error(needed or list(contract.columns), unknown if found else [], where)
    return [f"missing: optional column {c.name} ({c.business_name}) is empty" for c in absent]


def _missing_error(needed: list[Column], unknown: list[str], where: str) -> BadInputError:
    told = []
    for column in needed[:10]:
        near = get_close_matches(column.business_name, unknown, n=1, cutoff=0.3)
        hint = f", nearest header found: '{near[0]}'" if near else ""
        told.append(f"{column.business_name} ({column.name}{hint})")
    others = f"; unknown headers: {'、'.join(unknown[:10])}" if unknown else ""
    return BadInputError(
        f"required columns are missing: {'; '.join(told)}{others}",
        where=where,
        fix="hand in the columns, or add the department's new name to the column's synonyms",
        code="missing_column",
    )


def _extra(
    texts: Sequence[str], names: Sequence[str | None], contract: Contract, where: str
) -> list[str]:
    extra = [text for text, name in zip(texts, names, strict=True) if text and name is None]
    unnamed = sum(not text for text in texts)
    notes = [f"extra: {unnamed} columns without a header are not read"] if unnamed else []
    if extra and contract.drift is Drift.FREEZE:
        raise BadInputError(
            f"the header has columns that the contract does not know: {'、'.join(extra[:20])}",
            where=where,
            fix="add the columns to the contract, or set drift: discard",
            code="extra_column",
        )
    kept_out = (
        "not read (drift: discard)"
        if contract.drift is Drift.DISCARD
        else "not read until the contract has it (drift: evolve)"
    )
    return notes + [f"extra: column '{text}' {kept_out}" for text in extra]
