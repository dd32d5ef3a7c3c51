"""``area_code``: a code of an effective-dated list (GB/T 2260 and its successors).

Codes are merged, split and renamed every year, so a code is judged as of a day: that of the column
named by the option ``dateColumn``, or the delivery's reference date. Names and aliases become the
code of that day (``松溪区`` → 990106); suffixes may be missing, blanks inside are ignored, and
``990102.0`` is 990102.

Options: ``codes`` (name of the list, default ``area``: the city's own), ``dateColumn``, and
``special``: texts such as ``市辖区`` or ``外地来沪`` that are no area but no error either; they
stay as they are.

Reason codes: ``not_in_force`` (a code or name of another time), ``unknown``.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from datetime import date

import polars as pl
from cityledger.contracts.codes import CodeList
from cityledger.contracts.model import Column

from quality_checks.values.base import BLANKS, Context, Reading, ValueType, reading_of

_SUFFIX = re.compile(r"(?:自治州|自治县|自治旗|地区|新区|市|区|县|旗|州|盟)$")
_FLOAT = re.compile(r"^(\d+)\.0+$")
_FIELDS = {"value": pl.String(), "reason": pl.String()}


class AreaCode(ValueType):
    """``area_code``: the code in force on the record's day."""

    name = "area_code"
    options = ("codes", "dateColumn", "special")

    def needs(self, column: Column) -> tuple[str, ...]:
        """The date column, if the contract names one."""
        dated = column.options.get("dateColumn")
        return (str(dated),) if dated else ()

    def read(self, text: pl.Expr, column: Column, context: Context) -> Reading:
        """Codes in force on every day of the batch pass as they are; the rest is looked up."""
        finder = _Finder(
            context.codes(str(column.options.get("codes", "area"))),
            frozenset(column.options.get("special", ())),
        )
        tokens = frozenset(("", *context.null_tokens))
        day: pl.Expr = pl.lit(context.as_of)
        for name in self.needs(column):
            day = pl.col(f"__value__{name}").cast(pl.Date).fill_null(context.as_of)

        def fill(columns: Sequence[pl.Series]) -> pl.Series:
            texts, days = columns
            return _read(texts, days, finder, tokens).to_struct("work")

        work = pl.map_batches([text, day], fill, return_dtype=pl.Struct(_FIELDS))
        return reading_of(column, work)


def _read(
    texts: pl.Series, days: pl.Series, finder: _Finder, tokens: frozenset[str]
) -> pl.DataFrame:
    lasting = finder.lasting(days.min(), days.max())  # type: ignore[arg-type]
    plain = texts.is_in(lasting).fill_null(value=False)
    frame = pl.select(value=pl.when(plain).then(texts), reason=pl.lit(None, pl.String))
    if plain.all():
        return frame
    if len(days) == 1:
        days = days.new_from_index(0, len(texts))
    rows = pl.DataFrame({"text": texts.alias("text"), "day": days.alias("day")})
    open_rows = ~plain & texts.is_not_null()
    pairs = rows.filter(open_rows).unique(maintain_order=True)
    found = [finder.find(text, day, tokens) for text, day in pairs.iter_rows()]
    known = pairs.with_columns(pl.DataFrame(found, schema=_FIELDS, orient="row"))
    filled = rows.join(known, on=["text", "day"], how="left", maintain_order="left")
    return filled.select(
        value=pl.coalesce(frame["value"], pl.col("value")), reason=pl.col("reason")
    )


class _Finder:
    """Looks texts up in one list."""

    def __init__(self, codes: CodeList, special: frozenset[str]) -> None:
        self._codes, self._special = codes, special
        self._texts = {t for e in codes.entries for t in (e.code, e.name, *e.aliases)}
        self._short: dict[str, list[str]] = {}
        for entry in codes.entries:
            self._short.setdefault(_SUFFIX.sub("", entry.name), []).append(entry.name)

    def lasting(self, first: date | None, last: date | None) -> list[str]:
        """Codes in force from the first to the last day."""
        if first is None or last is None:
            return []
        return [e.code for e in self._codes.entries if e.valid_on(first) and e.valid_on(last)]

    def find(self, text: str, day: date, tokens: frozenset[str]) -> tuple[str | None, str | None]:
        """Value and reason for one text on one day."""
        if text.strip(BLANKS) in tokens:
            return None, None
        clean = "".join(unicodedata.normalize("NFKC", text).split()).strip(BLANKS)
        if clean in self._special:
            return clean, None
        clean = _FLOAT.sub(r"\1", clean)
        for name in (clean, *self._full_names(clean)):
            entry = self._codes.recognise(name, day)
            if entry is not None:
                return entry.code, None
        return None, "not_in_force" if clean in self._texts else "unknown"

    def _full_names(self, text: str) -> list[str]:
        """Names that a text may shorten; a name of the list, in force or not, means itself."""
        return [] if text in self._texts else self._short.get(_SUFFIX.sub("", text), [])
