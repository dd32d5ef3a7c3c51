"""A table of text cells that defects are planted in, and the defects that many datasets share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from cityledger.demo.generate.city import FORMER_COUNTY
from cityledger.demo.generate.planting import Book
from cityledger.demo.generate.spellings import full_width
from cityledger.demo.generate.text_files import csv_line

Columns = dict[str, list[str]]


UNREADABLE_AREA = ("district.type", "district.not_null")
"""What a required area code breaks that can't be read: it has no value either."""


class Table:
    """Columns of text beside the book of what is planted in them.

    Args:
        book: Where the defects are booked.
        columns: Column name → cells; all of the same length, in the file's order.
    """

    def __init__(self, book: Book, columns: Columns) -> None:
        self.book = book
        self.columns = columns

    def records(self) -> Iterator[tuple[str, ...]]:
        """The rows, in order."""
        return zip(*self.columns.values(), strict=True)

    def cell(self, row: int, column: str) -> str:
        """One cell."""
        return self.columns[column][row]

    def put(self, row: int, column: str, text: str) -> None:
        """Write one cell."""
        self.columns[column][row] = text

    def filled(self, column: str) -> Callable[[int], bool]:
        """Says whether a row has a value in the column."""
        return lambda row: bool(self.columns[column][row])

    def spoil(self, defect: str, rate: float, column: str, text: str, *rules: str) -> None:
        """Replace cells by a text that breaks blocking rules."""
        self.deform(defect, rate, column, lambda _: text, *rules)

    def deform(
        self, defect: str, rate: float, column: str, change: Callable[[str], str], *rules: str
    ) -> None:
        """Change cells so that they break blocking rules; keys stay different that way."""
        for row in self.book.take(defect, rate, self.filled(column)):
            self.put(row, column, change(self.cell(row, column)))
            self.book.bad(defect, row, blocks=rules)

    def drop(self, rate: float, column: str, token: str) -> None:
        """Empty cells of a required column."""
        self.spoil("missing_required", rate, column, token, f"{column}.not_null")

    def former_area(self, rate: float) -> None:
        """The county's code after the date on which it ended."""
        self.spoil("old_area_code", rate, "district", FORMER_COUNTY, *UNREADABLE_AREA)

    def repeat(self, rate: float, rule: str) -> None:
        """Whole rows delivered again further down."""
        for row, original in self.book.repeats(rate):
            for column in self.columns.values():
                column[row] = column[original]
            self.book.bad("duplicate_key", row, blocks=(rule,))

    def placeholder(self, rate: float, column: str, tokens: Sequence[str]) -> None:
        """Null tokens in an optional column: no value, and no complaint."""
        for place, row in enumerate(self.book.take("placeholder", rate)):
            self.put(row, column, tokens[place % len(tokens)])
            self.book.tolerated("placeholder", row, column, None)

    def widen(self, rate: float, column: str) -> None:
        """Digits in full width."""
        for row in self.book.take("full_width_digits", rate, self.filled(column)):
            self.book.tolerated("full_width_digits", row, column, self.cell(row, column))
            self.put(row, column, full_width(self.cell(row, column)))

    def respell(
        self, defect: str, rate: float, column: str, spell: Callable[[int, str], tuple[str, str]]
    ) -> None:
        """Other spellings of good values.

        Args:
            defect: Name of the dirt.
            rate: Share of all rows.
            column: Where.
            spell: Row and cell → new text and the value that it must be read as.
        """
        for row in self.book.take(defect, rate, self.filled(column)):
            text, value = spell(row, self.cell(row, column))
            self.put(row, column, text)
            self.book.tolerated(defect, row, column, value)


def broken_lines(
    table: Table, rate: float, codec: str, *, undecodable: bool = True
) -> dict[int, bytes]:
    """Records that parsing must reject, as bytes by row: ragged, NUL, undecodable.

    Args:
        table: Rows are taken from it and stay in place.
        rate: Share of all rows for each kind.
        codec: Of the file.
        undecodable: Whether to plant 0xFF, which neither UTF-8 nor GB 18030 knows.
    """
    records = list(table.records())

    def line(row: int) -> str:
        return csv_line(records[row])

    kinds: list[tuple[str, str, Callable[[str], bytes]]] = [
        ("ragged_row", "too_many_fields", lambda text: (text + ",").encode(codec)),
        ("ragged_row", "too_few_fields", lambda text: text.rsplit(",", 2)[0].encode(codec)),
        (
            "nul_byte",
            "nul_byte",
            lambda text: text[:6].encode(codec) + b"\0" + text[6:].encode(codec),
        ),
    ]
    if undecodable:
        kinds.append(("undecodable", "undecodable", lambda text: b"\xff\xff" + text.encode(codec)))
    raw: dict[int, bytes] = {}
    for defect, reason, spoil in kinds:
        for row in table.book.take(defect, rate):
            raw[row] = spoil(line(row))
            table.book.lost(defect, row, reason)
    return raw
