"""Judging one delivery: masks batch by batch, results at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import polars as pl
from cityledger.contracts.model import RuleSpec, Severity
from cityledger.contracts.rules import LOWER_IS_BETTER
from cityledger.records import RuleResult, RuleStatus

from quality_checks.judging import Bench, Judgement, by_expression
from quality_checks.rules.base import (
    Call,
    CannotCheckError,
    Form,
    Judge,
    Measuring,
    Rule,
    Totals,
)


@dataclass(frozen=True, slots=True)
class BoundRule:
    """A rule of the library, bound to one contract's use of it."""

    rule: Rule
    call: Call

    @property
    def spec(self) -> RuleSpec:
        """What the contract says."""
        return self.call.spec


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the rules say about one batch.

    Attributes:
        failing: Rule key → Boolean mask, True where a row breaks it; rules that all rows obey are
            left out.
        blocked: Boolean, True where a row breaks a blocking rule.
        rules: List[String], keys of the broken rules (any severity); null where there are none.
    """

    failing: dict[str, pl.Series]
    blocked: pl.Series
    rules: pl.Series


@dataclass(slots=True)
class Tally:
    """What was counted of one rule."""

    evaluated: int = 0
    failed: int = 0
    undecided: int = 0
    error: str = ""
    measured: float | None = None


class Session:
    """Judges one delivery or table; memory grows by 16 bytes for each key of a unique rule.

    Args:
        where: Dataset, for error messages.
        types: Columns of the frames, with their types; None leaves a type open.
        rules: The rules to judge by; totals are judged at the end.
        judged: What was counted of rules that somebody else has judged, by key; the rows that
            break them come with each batch.
    """

    def __init__(
        self,
        where: str,
        types: Mapping[str, pl.DataType | None],
        rules: Sequence[BoundRule],
        judged: Mapping[str, Tally] = MappingProxyType({}),
    ) -> None:
        self._where = where
        self._rules = {bound.spec.key: bound for bound in rules}
        self._tallies = {key: judged.get(key) or Tally() for key in self._rules}
        self._judged = frozenset(judged)
        self._totals: dict[str, Totals] = {}
        judges: dict[str, tuple[str, Judge]] = {}
        for key, bound in self._rules.items():
            if key in self._judged:
                continue
            built = bound.rule.build(bound.call)
            if bound.rule.form is Form.TOTAL:
                self._totals[key] = built
            else:
                judge = by_expression(built) if bound.rule.form is Form.ROW else built
                judges[key] = (bound.call.column, judge)
        self._bench = Bench(types, judges, where)

    def check(
        self, typed: pl.DataFrame, known: Mapping[str, pl.Series] = MappingProxyType({})
    ) -> Verdict:
        """Judge one batch; batches come in file order.

        Args:
            typed: As :meth:`Suite.read` makes it.
            known: Masks of the rules that somebody else has judged, as in :class:`Verdict`.

        Raises:
            CityLedgerError: the frame is not what :meth:`Suite.read` makes.
        """
        judgement = self._bench.judge(typed)
        self._count(typed, judgement)
        for key, totals in self._totals.items():
            self._guard(key, totals.add, typed)
        masks = {**known, **judgement.failing}
        failing = {key: masks[key] for key in self._rules if key in masks}
        return _verdict(failing, self._rules, typed.height)

    @property
    def tallies(self) -> Mapping[str, Tally]:
        """What was counted so far, by rule; totals come with :meth:`finish`."""
        return self._tallies

    def finish(self, control_totals: Sequence[Mapping[str, str]] = ()) -> tuple[RuleResult, ...]:
        """The result of every rule, in the contract's order.

        Args:
            control_totals: 合计 rows found while parsing: column → text.
        """
        for key in self._totals:
            self._guard(key, self._close, key, control_totals)
        return tuple(
            rule_result(self._rules[key].spec, tally) for key, tally in self._tallies.items()
        )

    def _count(self, typed: pl.DataFrame, judgement: Judgement) -> None:
        for key, tally in self._tallies.items():
            if key in self._totals or key in self._judged:
                continue
            tally.evaluated += self._looked_at(self._rules[key], typed)
            self._take(key, tally, judgement)

    @staticmethod
    def _looked_at(bound: BoundRule, typed: pl.DataFrame) -> int:
        rule, call = bound.rule, bound.call
        if rule.looks_at is not None:
            return int(typed.select(rule.looks_at(call).sum()).item())
        if not rule.skips_null:
            return typed.height
        return typed.height - typed[call.column].null_count()

    @staticmethod
    def _take(key: str, tally: Tally, judgement: Judgement) -> None:
        if key in judgement.failing:
            tally.failed += int(judgement.failing[key].sum())
        tally.undecided += judgement.undecided.get(key, 0)
        if key in judgement.raised:
            tally.error = judgement.raised[key]

    def _guard(self, key: str, step: Callable[..., None], *arguments: Any) -> None:
        try:
            step(*arguments)
        except CannotCheckError as error:
            self._tallies[key].error = str(error)
        except Exception as error:  # noqa: BLE001 - whatever a rule raises is that rule's result
            self._tallies[key].error = f"the rule raised {type(error).__name__}"

    def _close(self, key: str, control: Sequence[Mapping[str, str]]) -> None:
        tally = self._tallies[key]
        if tally.error:
            return
        totals = self._totals[key]
        table, good = totals.table(control)
        tally.measured = totals.measured if isinstance(totals, Measuring) else None
        first = table.columns[0]
        bench = Bench({first: None}, {key: (first, by_expression(good))}, self._where)
        tally.evaluated = table.height
        self._take(key, tally, bench.judge(table))


def _verdict(failing: dict[str, pl.Series], rules: Mapping[str, BoundRule], rows: int) -> Verdict:
    # Where the contract asks for failing rows, none of them is broken by itself.
    failing = {key: mask for key, mask in failing.items() if _judges_rows(rules[key].spec)}
    blocking = [m for key, m in failing.items() if rules[key].spec.severity is Severity.BLOCK]
    return Verdict(failing, _any(blocking, rows), _broken(failing, rows))


def _judges_rows(spec: RuleSpec) -> bool:
    return spec.threshold is None or not spec.threshold.asks_for_failures


def _any(masks: Iterable[pl.Series], rows: int) -> pl.Series:
    found = pl.repeat(value=False, n=rows, dtype=pl.Boolean, eager=True)
    for mask in masks:
        found = found | mask
    return found.alias("blocked")


def _broken(failing: Mapping[str, pl.Series], rows: int) -> pl.Series:
    """Per row the keys that it breaks, in rule order."""
    dtype = pl.List(pl.String)
    if not failing:
        return pl.repeat(None, rows, dtype=dtype, eager=True).alias("rules")
    pairs = pl.concat(
        [
            pl.DataFrame({"row": mask.arg_true()}).with_columns(key=pl.lit(key))
            for key, mask in failing.items()
        ]
    )
    lists = pairs.group_by("row").agg(pl.col("key"))
    # Few rows break rules: taking their lists by position costs a tenth of a join with all rows.
    place = pl.repeat(None, rows, dtype=pl.UInt32, eager=True)
    place = place.scatter(lists["row"], pl.int_range(lists.height, dtype=pl.UInt32, eager=True))
    return lists["key"].gather(place).alias("rules")


def rule_result(spec: RuleSpec, tally: Tally) -> RuleResult:
    """The result that the counts amount to."""
    threshold = spec.threshold
    message = tally.error
    if not message and tally.undecided:
        message = f"{tally.undecided} rows could not be decided"
    return RuleResult(
        key=spec.key,
        rule=spec.rule,
        columns=spec.columns,
        scope=spec.scope,
        severity=spec.severity,
        gb_code=spec.gb_code,
        dimension=spec.dimension,
        evaluated=tally.evaluated,
        failed=tally.failed,
        status=RuleStatus.ERROR if message else _status(spec, tally),
        threshold=threshold.maximum if threshold and threshold.is_limit else None,
        threshold_unit=threshold.unit if threshold else None,
        message=message,
        direction="lower" if spec.gb_code in LOWER_IS_BETTER else "higher",
        threshold_text=str(threshold) if threshold else "",
        threshold_reason=threshold.reason if threshold else "",
        measured=tally.measured,
    )


def _status(spec: RuleSpec, tally: Tally) -> RuleStatus:
    threshold = spec.threshold
    if threshold is None:
        return RuleStatus.WARNING if tally.failed else RuleStatus.PASSED
    amount: float = tally.failed
    if threshold.unit == "percent":
        amount = 100 * tally.failed / max(tally.evaluated, 1)
    if not threshold.holds(amount):
        return RuleStatus.FAILED
    bad = tally.failed and not threshold.asks_for_failures
    return RuleStatus.WARNING if bad else RuleStatus.PASSED
