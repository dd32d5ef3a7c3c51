"""Rows of a table that are no data: totals, notes, group headings, blank rows.

They are taken out with a reason and, where they state figures, kept as control totals.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from cityledger.contracts.model import Contract
from cityledger.lifecycle.readers.base import Chunk, Reject, reject

_BLANK = re.compile(r"[\s\u200b\ufeff]+")
_GROUP = re.compile(r"^(?P<name>.+?)[(（]\s*(?:共|计)?\s*(?P<count>\d+)\s*[^\d()（）]*[)）]$")
# How far from the left the first filled cell of a total row or note may lie in text formats.
_LEAD = 3


@dataclass(frozen=True, slots=True)
class _Odd:
    reason: str
    total: dict[str, str] | None = None
    group: str | None = None


class TableLayout:
    """Sorts the rows of one file; keeps the current group from chunk to chunk.

    Args:
        contract: Whose layout and columns apply.
        names: Contract column per file column, None for those not read.
    """

    def __init__(self, contract: Contract, names: Sequence[str | None]) -> None:
        layout = contract.layout
        self._columns = tuple(column.name for column in contract.columns)
        self._names = tuple(names)
        self._totals = tuple(_squeeze(marker) for marker in layout.total_markers)
        self._notes = tuple(_squeeze(marker) for marker in layout.note_markers)
        self._note = re.compile(
            rf"^(?:{'|'.join(map(re.escape, self._notes))})\d*(?:$|[:：、.．])"
            if self._notes
            else r"(?!)"
        )
        self._letters = sorted(
            {marker[0] for marker in self._totals + self._notes if marker} | set(" \u3000\t\xa0")
        )
        self._group_column = layout.group_column
        self._group: str | None = None

    @property
    def raw_schema(self) -> dict[str, type[pl.String]]:
        """Columns of the frames that :meth:`sort` takes: one per file column."""
        return {f"f{index}": pl.String for index in range(len(self._names))}

    def sort(self, raw: pl.DataFrame, rows: pl.Series, rejects: list[Reject]) -> Chunk:
        """Split raw rows into records and rejects.

        Args:
            raw: Frame of `raw_schema`, no nulls.
            rows: Line or row number of each.
            rejects: What the reader has rejected so far.
        """
        odd = self._odd_rows(raw)
        told = [self._relabel(entry) for entry in rejects]
        told += [reject(rows[at], odd[at].reason, _text(raw.row(at))) for at in sorted(odd)]
        groups = self._groups(odd, raw.height)
        frame = self._named(raw, groups).with_columns(rows.alias("_source_row").cast(pl.Int64))
        if odd:
            keep = pl.Series([True]).new_from_index(0, raw.height)
            frame = frame.filter(keep.scatter(list(odd), False))
        totals = [odd[at].total for at in sorted(odd)]
        return Chunk(frame, told, [total for total in totals if total])

    def _odd_rows(self, raw: pl.DataFrame) -> dict[int, _Odd]:
        found: dict[int, _Odd] = {}
        for at in self._suspects(raw):
            odd = self._classify(raw.row(at))
            if odd:
                found[at] = odd
        return found

    def _suspects(self, raw: pl.DataFrame) -> list[int]:
        """Cheap test that lets no odd row pass; what it catches is looked at closely."""
        open_rows: list[pl.Series] = []
        rows = pl.int_range(raw.height, eager=True)
        for index in range(min(len(self._names), _LEAD)):
            lead = raw[f"f{index}"].gather(rows) if index else raw["f0"]
            strange = self._strange(lead)
            open_rows.append(rows.filter(strange))
            rows = rows.filter((lead == "") & ~strange)
            if rows.is_empty():
                break
        open_rows.append(rows)
        if self._group_column and len(self._names) > 1:
            open_rows.append(self._sparse(raw))
        return pl.concat(open_rows).unique().sort().to_list()

    def _strange(self, cells: pl.Series) -> pl.Series:
        """Cells that start like a total, a note or white space."""
        return cells.str.head(1).is_in(self._letters)

    def _sparse(self, raw: pl.DataFrame) -> pl.Series:
        """Rows with at most one filled cell."""
        width = raw.width
        empty = pl.sum_horizontal(
            (pl.col(name).str.strip_chars() == "").cast(pl.Int32) for name in raw.columns
        )
        return raw.select((empty >= width - 1).arg_true()).to_series().cast(pl.Int64)

    def _classify(self, cells: tuple[str, ...]) -> _Odd | None:
        filled = [_squeeze(cell) for cell in cells if _squeeze(cell)]
        if not filled:
            return _Odd("blank_record")
        first = filled[0]
        # Titles merged over the whole width come back repeated from some readers.
        alone = len(set(filled)) == 1 and len(cells) > 1
        if first.rstrip(":：") in self._totals:
            return _Odd("total_row", self._control_total(cells, first))
        if self._is_note(first, alone=alone, beside=len(filled)):
            return _Odd("note")
        if alone and self._group_column:
            return self._heading(next(cell.strip() for cell in cells if cell.strip()))
        return None

    def _is_note(self, first: str, *, alone: bool, beside: int) -> bool:
        if self._note.match(first):
            return alone or beside <= 2 or len(self._names) == 1
        return alone and first.startswith(self._notes or ("\0",))

    def _control_total(self, cells: tuple[str, ...], marker: str) -> dict[str, str]:
        total = {
            name: cell.strip()
            for name, cell in zip(self._names, cells, strict=True)
            if name and cell.strip() and _squeeze(cell) != marker
        }
        return {"_marker": marker.rstrip(":："), **total}

    def _heading(self, text: str) -> _Odd:
        match = _GROUP.match(text)
        if match is None or self._group_column is None:
            return _Odd("group_heading", group=text)
        name = match["name"].strip()
        total = {"_marker": "group", self._group_column: name, "_count": match["count"]}
        return _Odd("group_heading", total, group=name)

    def _relabel(self, entry: Reject) -> Reject:
        """A ragged line that is a note or a total is not held against the department."""
        if entry.reason not in ("too_few_fields", "too_many_fields"):
            return entry
        first = _squeeze(re.split(r"[,\t;|]", entry.text, maxsplit=1)[0].strip('"'))
        if self._note.match(first):
            return entry._replace(reason="note")
        if first.rstrip(":：") in self._totals:
            return entry._replace(reason="total_row")
        return entry

    def _groups(self, odd: dict[int, _Odd], height: int) -> pl.Series | None:
        if self._group_column is None or self._group_column in self._names:
            return None
        values: list[str | None] = [None] * height
        if height:
            values[0] = self._group
        for at, what in sorted(odd.items()):
            if what.group is not None:
                values[at] = self._group = what.group
        return pl.Series(values, dtype=pl.String).forward_fill()

    def _named(self, raw: pl.DataFrame, groups: pl.Series | None) -> pl.DataFrame:
        at = {name: f"f{index}" for index, name in enumerate(self._names) if name}
        columns = []
        for name in self._columns:
            if name in at:
                columns.append(raw[at[name]].alias(name))
            elif name == self._group_column and groups is not None:
                columns.append(groups.alias(name))
            else:
                columns.append(pl.Series(name, [None], pl.String).new_from_index(0, raw.height))
        return pl.DataFrame(columns)


def _squeeze(text: str) -> str:
    return _BLANK.sub("", text)


def _text(cells: tuple[str, ...]) -> str:
    return "\t".join(cells).rstrip("\t")
