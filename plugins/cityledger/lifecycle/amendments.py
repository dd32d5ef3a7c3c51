"""What people decided about a delivery's rows, as parse and validate apply it.

Corrections replace the text of source rows before it is read into types; waivers let rows pass
that break a blocking rule. Neither touches what has landed.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from cityledger.contracts.model import Contract, Severity
from cityledger.lifecycle.cells import displayed
from cityledger.lifecycle.corrections import ROW_ID, read_corrections
from cityledger.records import Correction, LandedObject, Validation, Waiver

if TYPE_CHECKING:
    from cityledger.storage.objects import ObjectStore
    from quality_checks.suite import Verdict


@dataclass(frozen=True, slots=True)
class Amendments:
    """Corrections in the order of their acceptance, and the waivers in force."""

    corrections: tuple[Correction, ...] = ()
    waivers: tuple[Waiver, ...] = ()

    @property
    def files(self) -> tuple[LandedObject, ...]:
        """The landed files of the corrections."""
        return tuple(one.file for one in self.corrections)

    @property
    def tag(self) -> str:
        """Eight hex digits that name what is applied, empty for nothing; part of object keys."""
        if not self.corrections and not self.waivers:
            return ""
        files = [[one.file.sha256, list(one.row_ids)] for one in self.corrections]
        leaves = [
            [one.rule, one.partition, one.delivery, sorted(one.row_ids)] for one in self.waivers
        ]
        return hashlib.sha256(json.dumps([files, leaves]).encode()).hexdigest()[:8]

    def used_by(self, validation: Validation) -> bool:
        """Whether judging again would apply just what that judgement has applied."""
        mine, theirs = (tuple(one.id for one in w) for w in (self.waivers, validation.waivers))
        return mine == theirs and self.files == validation.corrections


#: For a delivery about which nobody has decided anything.
NOTHING = Amendments()


class CorrectedRows:
    """The newest corrected text of each corrected row.

    Args:
        corrections: In the order of their acceptance: of two for one row the later counts.
        contract: Names the columns; a column that a file doesn't have keeps its source text.
        store: Where the files lie.
    """

    def __init__(
        self, corrections: tuple[Correction, ...], contract: Contract, store: ObjectStore
    ) -> None:
        self.applied = 0
        self._rows: pl.DataFrame | None = None
        if corrections:
            parts = [_rows(one, contract, store) for one in corrections]
            self._rows = pl.concat(parts, how="diagonal").unique(
                ROW_ID, keep="last", maintain_order=True
            )

    def apply(self, text: pl.DataFrame) -> pl.DataFrame:
        """Put corrected texts in the place of what was handed in: same rows, same order."""
        if self._rows is None or not text[ROW_ID].is_in(self._rows[ROW_ID].implode()).any():
            return text
        hits = text.with_row_index("_at").join(
            self._rows, on=ROW_ID, how="inner", suffix="_new", maintain_order="left"
        )
        self.applied += hits.height
        replaced = [name for name in self._rows.columns if name in text.columns and name != ROW_ID]
        return text.with_columns(
            text[name]
            .cast(pl.String)
            .scatter(hits["_at"], _newest(hits[name], hits[f"{name}_new"]))
            for name in replaced
        )


def _newest(old: pl.Series, new: pl.Series) -> list[str | None]:
    """The corrected texts; where nobody saw a difference, the text as it was handed in."""
    return [
        before if after is None or displayed(after) == displayed(before) else after
        for before, after in zip(old.cast(pl.String), new, strict=True)
    ]


def _rows(correction: Correction, contract: Contract, store: ObjectStore) -> pl.DataFrame:
    with store.open(correction.file) as stream:
        frame = read_corrections(stream.read(), correction.file.name, contract)
    wanted = pl.Series(correction.row_ids, dtype=pl.String)
    return frame.filter(pl.col(ROW_ID).is_in(wanted.implode())).select(
        pl.exclude("_line"), pl.lit(correction.file.uri).alias("_source_object")
    )


class Leave:
    """Lets rows pass that break a blocking rule by leave of a waiver.

    Attributes:
        waived: Rule key → rows that broke it by leave of a waiver.
    """

    def __init__(self, waivers: tuple[Waiver, ...], contract: Contract) -> None:
        self.waived: Counter[str] = Counter()
        self._blocking = {one.key for one in contract.rules if one.severity is Severity.BLOCK}
        self._waivers: dict[str, list[Waiver]] = {}
        for one in waivers:
            self._waivers.setdefault(one.rule, []).append(one)

    def blocked(self, verdict: Verdict, row_ids: pl.Series) -> pl.Series:
        """Boolean, True where a row breaks a blocking rule that nobody has waived for it."""
        if not self._waivers.keys() & verdict.failing.keys():
            return verdict.blocked
        found = pl.repeat(value=False, n=len(row_ids), dtype=pl.Boolean, eager=True)
        for key, failing in verdict.failing.items():
            if key in self._blocking:
                found = found | (failing & ~self._excused(key, failing, row_ids))
        return found

    def _excused(self, key: str, failing: pl.Series, row_ids: pl.Series) -> pl.Series:
        found = pl.repeat(value=False, n=len(row_ids), dtype=pl.Boolean, eager=True)
        for waiver in self._waivers.get(key, ()):
            if waiver.row_ids:
                named = pl.Series(waiver.row_ids, dtype=pl.String)
                found = found | row_ids.is_in(named.implode())
            else:
                found = ~found | found
        excused = failing & found
        if count := int(excused.sum()):
            self.waived[key] += count
        return excused
