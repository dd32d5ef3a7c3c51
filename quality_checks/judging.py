"""pandera as the judge: rules in, Boolean masks out.

Each rule is a ``Check`` of a ``pandera.polars`` schema that validates an eager frame (a lazy one
would only have its schema looked at) and collects all errors. The masks are the checks' outputs.
pandera's failure cases are switched off (``n_failure_cases=0``): they would carry personal data
into messages, and cost time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import polars as pl
from cityledger.errors import CityLedgerError

from quality_checks.rules.base import Judge

if TYPE_CHECKING:
    from pandera.polars import Check


@dataclass(slots=True)
class Judgement:
    """What pandera found in one frame.

    Attributes:
        failing: Rule key → mask, True where a row breaks the rule or the rule could not decide.
        undecided: Rule key → rows that the rule gave no verdict on.
        raised: Rule key → name of the exception that the rule raised.
    """

    failing: dict[str, pl.Series] = field(default_factory=dict)
    undecided: dict[str, int] = field(default_factory=dict)
    raised: dict[str, str] = field(default_factory=dict)


class Bench:
    """A pandera schema over some columns, with the rules that judge them.

    Args:
        columns: Column → type; None leaves a column's type open.
        rules: Rule key → (column that the rule is attached to, its judge).
        where: What errors name as the place.
    """

    def __init__(
        self,
        columns: Mapping[str, pl.DataType | None],
        rules: Mapping[str, tuple[str, Judge]],
        where: str,
    ) -> None:
        from pandera.polars import Column, DataFrameSchema

        self._where = where
        self._keys = tuple(rules)
        self._current = Judgement()
        checks: dict[str, list[Check]] = {}
        for key, (column, judge) in rules.items():
            checks.setdefault(column, []).append(self._check(key, judge))
        self.schema = DataFrameSchema(
            {
                name: Column(dtype, checks.get(name, []), nullable=True)
                for name, dtype in columns.items()
            }
        )

    def judge(self, frame: pl.DataFrame) -> Judgement:
        """Let pandera validate the frame.

        Raises:
            CityLedgerError: the frame lacks a column or has a wrong type.
        """
        from pandera.config import ValidationDepth, config_context
        from pandera.errors import SchemaErrors

        self._current = Judgement()
        depth = ValidationDepth.SCHEMA_AND_DATA
        try:
            # An environment variable can switch pandera off; nobody may switch the ledger's off.
            with config_context(validation_enabled=True, validation_depth=depth):
                self.schema.validate(frame, lazy=True)
        except SchemaErrors as errors:
            self._take_masks(errors.schema_errors)
        return self._current

    def _check(self, key: str, judge: Judge) -> Check:
        from pandera.polars import Check

        def outcome(data: Any) -> pl.LazyFrame:
            try:
                verdict = judge(data.lazyframe.collect())
            except Exception as error:
                self._current.raised[key] = type(error).__name__
                raise
            if verdict.null_count():
                self._current.undecided[key] = verdict.null_count()
            return verdict.alias("ok").to_frame().lazy()

        return Check(outcome, name=key, error=key, ignore_na=False, n_failure_cases=0)

    def _take_masks(self, errors: Sequence[Any]) -> None:
        found: dict[str, pl.Series] = {}
        for error in errors:
            key = getattr(error.check, "name", None)
            if key not in self._keys:
                raise CityLedgerError(
                    f"the frame does not fit the suite: {error.reason_code.name}",
                    where=f"{self._where}, column {error.column_name or error.failure_cases}",
                    fix="judge only frames that Suite.read made",
                    code="suite_mismatch",
                ) from None
            if error.check_output is not None:
                found[key] = ~error.check_output.to_series()
        self._current.failing = {key: found[key] for key in self._keys if key in found}


def by_expression(good: pl.Expr) -> Judge:
    """A judge that evaluates an expression which is True for good rows."""

    def judge(batch: pl.DataFrame) -> pl.Series:
        return batch.select(good.alias("ok")).to_series()

    return judge
