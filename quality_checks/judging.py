"""pandera as the judge: rules in, Boolean masks out.

Each rule is a ``Check`` of a ``pandera.polars`` schema that validates an eager frame (a lazy one
would only have its schema looked at) and collects all errors. A check tells pandera no more than
whether its rule holds, and keeps the mask here: masks that went through pandera would carry
personal data into its messages as failure cases, and took as long as all rules together.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import polars as pl
from cityledger.errors import CityLedgerError

from quality_checks.rules.base import CannotCheckError, Judge

if TYPE_CHECKING:
    from pandera.polars import Check

# Where the engine's client is installed, pandera imports it; nobody here uses its pandas part.
warnings.filterwarnings("ignore", "PySpark does not yet fully support pandas", FutureWarning)


@dataclass(slots=True)
class Judgement:
    """What pandera found in one frame.

    Attributes:
        failing: Rule key → mask, True where a row breaks the rule or the rule could not decide.
        undecided: Rule key → rows that the rule gave no verdict on.
        raised: Rule key → why the rule could not judge (no values of the data).
    """

    failing: dict[str, pl.Series] = field(default_factory=dict)
    undecided: dict[str, int] = field(default_factory=dict)
    raised: dict[str, str] = field(default_factory=dict)


class _BrokenRuleError(Exception):
    """Tells pandera that rows break a rule."""


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
        self._frame = pl.DataFrame()
        self._masks: dict[str, pl.Series] = {}
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

        self._current, self._frame, self._masks = Judgement(), frame, {}
        depth = ValidationDepth.SCHEMA_AND_DATA
        try:
            # An environment variable can switch pandera off; nobody may switch the ledger's off.
            with config_context(validation_enabled=True, validation_depth=depth):
                self.schema.validate(frame, lazy=True)
        except SchemaErrors as errors:
            self._take_errors(errors.schema_errors)
        finally:
            self._frame = pl.DataFrame()
        return self._current

    def _check(self, key: str, judge: Judge) -> Check:
        from pandera.polars import Check

        def outcome(_: Any) -> bool:
            try:
                verdict = judge(self._frame)
            except CannotCheckError as error:
                self._current.raised[key] = str(error)
                raise
            except Exception as error:
                self._current.raised[key] = f"the rule raised {type(error).__name__}"
                raise
            if verdict.null_count():
                self._current.undecided[key] = verdict.null_count()
                verdict = verdict.fill_null(value=False)
            if verdict.all():
                return True
            self._masks[key] = ~verdict
            # Not False: pandera can't tell of those together with columns that don't fit.
            raise _BrokenRuleError(key)

        return Check(outcome, name=key, error=key, ignore_na=False)

    def _take_errors(self, errors: Sequence[Any]) -> None:
        broken = set()
        for error in errors:
            key = getattr(error.check, "name", None)
            if key not in self._keys:
                raise CityLedgerError(
                    f"the frame does not fit the suite: {error.reason_code.name}",
                    where=f"{self._where}, column {error.column_name or error.failure_cases}",
                    fix="judge only frames that Suite.read made",
                    code="suite_mismatch",
                ) from None
            broken.add(key)
        self._current.failing = {
            key: self._masks[key] for key in self._keys if key in broken & self._masks.keys()
        }


def by_expression(good: pl.Expr) -> Judge:
    """A judge that evaluates an expression which is True for good rows."""

    def judge(batch: pl.DataFrame) -> pl.Series:
        return batch.select(good.alias("ok")).to_series()

    return judge
