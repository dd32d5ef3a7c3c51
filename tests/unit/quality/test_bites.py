"""Every rule of every contract bites: one spoilt row, and that rule says so.

Rows that obey a contract are made from the contract alone (no generator, no sample files). Then
each rule gets a row that breaks it, and the good rows must break nothing. A rule that can't be
spoilt here fails the test: add how to break it to ``BREAK``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from cityledger.contracts.codes import load_codes
from cityledger.contracts.model import Column, ColumnType, Contract, RuleSpec
from cityledger.contracts.registry import load_contract
from cityledger.settings import PROJECT_DIR
from hypothesis import Phase, find, settings
from hypothesis import strategies as st

from quality_checks.suite import Suite, compile_suite

CONTRACTS = PROJECT_DIR / "contracts"
REAL = PROJECT_DIR / "tests" / "realdata" / "contracts"
FILES = sorted([*CONTRACTS.glob("*/*.odcs.yaml"), *REAL.glob("*/*.odcs.yaml")])
AS_OF = date(2026, 3, 31)
NOON = datetime(2026, 3, 15, 12)
ROWS = 3
CITIZENS = ("11010519491231002X", "810000199408230021", "830000199201300022")
FIRMS = ("91350100M000100Y43", "110108000000016", "3205001234567")

Row = dict[str, str]
GOOD: Mapping[str, Callable[[int], str]] = {
    "citizen_id": lambda i: CITIZENS[i],
    "uscc": lambda i: FIRMS[i],
    "sex": lambda _: "2",
    "phone": lambda i: f"1380013800{i}",
    "money": lambda i: f"{i + 10}",
    "quantity": lambda i: f"{i + 10}",
    "duration": lambda _: "01:00:00",
    "chinese_date": lambda _: f"{NOON:%Y-%m-%d}",
}
PLAIN: Mapping[ColumnType, Callable[[int], str]] = {
    ColumnType.STRING: lambda i: f"文字{i}",
    ColumnType.INTEGER: lambda i: str(i + 10),
    ColumnType.NUMBER: lambda i: str(i + 10),
    ColumnType.BOOLEAN: lambda _: "1",
    ColumnType.DATE: lambda _: f"{NOON:%Y-%m-%d}",
    ColumnType.TIMESTAMP: lambda i: f"{NOON + timedelta(hours=i):%Y-%m-%d %H:%M:%S}",
    ColumnType.TIME: lambda _: "12:00:00",
}


class House:
    """One contract with good rows."""

    def __init__(self, contract: Contract, codes_dir: Path) -> None:
        self.contract, self.codes_dir = contract, codes_dir
        self.suite: Suite = compile_suite(contract, codes_dir=codes_dir, as_of=AS_OF)
        self.rows = [self._row(i) for i in range(ROWS)]
        for rule in contract.rules:
            self._obey(rule)
        for rule in contract.rules:
            if rule.rule == "sum_of_parts":
                self._add_up(rule)

    def _add_up(self, rule: RuleSpec) -> None:
        """The first row becomes the total of the others."""
        value, total = rule.columns[0], self.rows[0]
        for row in self.rows[1:]:
            row.update({name: total[name] for name in rule.arguments["by"]})
        for name, wanted in rule.arguments["total"].items():
            total[name] = total[name] if wanted == "*" else str(wanted or "")
        total[value] = f"{sum(float(row[value]) for row in self.rows[1:]):g}"

    def rule_of(self, column: str, name: str) -> RuleSpec | None:
        """The rule of that name that judges a column."""
        found = [r for r in self.contract.rules if r.rule == name and r.columns[:1] == (column,)]
        return found[0] if found else None

    def _row(self, i: int) -> Row:
        return {column.name: self._good(column, i) for column in self.contract.columns}

    def _good(self, column: Column, i: int) -> str:
        if column.semantic_type == "area_code":
            codes = load_codes(self.codes_dir, str(column.options.get("codes", "area")))
            return codes.valid(AS_OF)[-1].code
        if column.semantic_type in GOOD:
            return GOOD[column.semantic_type](i)
        allowed = self.rule_of(column.name, "in_set")
        if allowed is not None:
            return self._allowed(allowed)[i % len(self._allowed(allowed))]
        pattern = self.rule_of(column.name, "pattern")
        if pattern is not None:
            return matching(str(pattern.arguments["pattern"]), i)
        return self._within(column, PLAIN[column.type](i))

    def _allowed(self, rule: RuleSpec) -> list[str]:
        if "codes" not in rule.arguments:
            return [str(value) for value in rule.arguments["values"]]
        codes = load_codes(self.codes_dir, rule.arguments["codes"])
        return [entry.code for entry in codes.valid(AS_OF)]

    def _within(self, column: Column, text: str) -> str:
        bounds = self.rule_of(column.name, "between")
        low = bounds.arguments.get("minimum") if bounds else None
        high = bounds.arguments.get("maximum") if bounds else None
        if column.type not in (ColumnType.INTEGER, ColumnType.NUMBER):
            return str(low or high or text)
        if low is not None and float(text) < float(low):
            return str(low)
        return str(high) if high is not None and float(text) > float(high) else text

    def _obey(self, rule: RuleSpec) -> None:
        for row in self.rows:
            if rule.rule in ("not_before", "at_least_column", "at_most_column", "compare"):
                self._make_equal(row, *rule.columns[:2])
            if rule.rule in ("sum_of", "at_least_sum"):
                total = sum(float(row[name]) for name in rule.columns[1:])
                row[rule.columns[0]] = f"{total:g}"
            if rule.rule == "birth_matches_id":
                number = row[rule.columns[1]]
                row[rule.columns[0]] = f"{number[6:10]}-{number[10:12]}-{number[12:14]}"

    def _make_equal(self, row: Row, first: str, second: str) -> None:
        kinds = {self.contract.column(name).type for name in (first, second)}
        day = f"{NOON:%Y-%m-%d}"
        if len(kinds) == 1:
            row[first] = row[second]
        elif kinds == {ColumnType.DATE, ColumnType.TIMESTAMP}:
            row[first] = row[second] = day

    def control(self, wrong: RuleSpec | None = None) -> list[dict[str, str]]:
        """合计 rows and group headings that fit the good rows; of rule ``wrong`` they don't."""
        found = []
        for rule in self.contract.rules:
            name, error = rule.columns[0] if rule.columns else "", int(rule == wrong)
            if rule.rule == "matches_total":
                total = sum(float(row[name]) for row in self.rows) + error
                found.append({name: f"{total:g}", "_marker": "合计"})
            if rule.rule == "matches_group_counts":
                groups = [row[name] for row in self.rows]
                found += [
                    {name: group, "_marker": "group", "_count": str(groups.count(group) + error)}
                    for group in set(groups)
                ]
        return found

    def broken(self, rows: list[Row], control: list[dict[str, str]]) -> set[str]:
        """Keys of the rules that find something; a row count is only judged on no rows."""
        text = pl.DataFrame(rows, schema=dict.fromkeys(self.rows[0], pl.String))
        typed = self.suite.read(text)
        session = self.suite.session()
        session.check(typed)
        history = typed.select(list(self.suite.columns))
        results = [*session.finish(control), *self.suite.check_history(history)]
        assert not [result.key for result in results if result.message]
        counted = [result for result in results if result.rule != "row_count" or not rows]
        return {result.key for result in counted if result.failed}


@cache
def matching(pattern: str, i: int) -> str:
    """The i-th simplest text that matches a pattern as a whole."""
    quick = settings(database=None, phases=[Phase.generate, Phase.shrink], deadline=None)
    before = {matching(pattern, earlier) for earlier in range(i)}
    texts = st.from_regex(re.compile(pattern, re.ASCII), fullmatch=True)
    return find(texts, lambda text: text not in before, settings=quick)


Breaker = Callable[[House, RuleSpec, Row], None]


def _set(text: str) -> Breaker:
    def spoil(_: House, rule: RuleSpec, row: Row) -> None:
        row[rule.columns[0]] = text

    return spoil


def _unreadable(house: House, rule: RuleSpec, row: Row) -> None:
    kind = house.contract.column(rule.columns[0]).semantic_type
    row[rule.columns[0]] = "4.11E+09" if kind == "identifier" else "??"


def _not_in_set(house: House, rule: RuleSpec, row: Row) -> None:
    kind = house.contract.column(rule.columns[0]).type
    row[rule.columns[0]] = "987654321" if kind is ColumnType.INTEGER else "不在表中"


def _length(_: House, rule: RuleSpec, row: Row) -> None:
    maximum = rule.arguments.get("maximum")
    row[rule.columns[0]] = "长" * (maximum + 1) if maximum is not None else "短"


def _outside(house: House, rule: RuleSpec, row: Row) -> None:
    low, high = rule.arguments.get("minimum"), rule.arguments.get("maximum")
    name = rule.columns[0]
    if house.contract.column(name).semantic_type == "duration":
        row[name] = _clock(high + 1)
    elif house.contract.column(name).type in (ColumnType.INTEGER, ColumnType.NUMBER):
        row[name] = str(low - 1 if low is not None else high + 1)
    else:
        row[name] = "1949-10-01" if low is not None else "2099-12-31"


def _repeat(house: House, rule: RuleSpec, row: Row) -> None:
    whole = next(r for r in house.rows if all(r[name] for name in rule.columns))
    row.update({name: whole[name] for name in rule.columns})


def _earlier(house: House, rule: RuleSpec, row: Row) -> None:
    name = rule.columns[0]
    row[name] = "2001-01-01" + row[name][10:]


def _clock(seconds: int) -> str:
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"


def _shift(by: int) -> Breaker:
    def spoil(_: House, rule: RuleSpec, row: Row) -> None:
        hours, *rest = row[rule.columns[0]].split(":")
        if rest:
            row[rule.columns[0]] = _clock(int(hours) * 3600 + by)
        else:
            row[rule.columns[0]] = f"{float(hours) + by:g}"

    return spoil


def _compare(house: House, rule: RuleSpec, row: Row) -> None:
    by = {"<": 0, "<=": 1, "==": 1, "!=": 0, ">=": -1, ">": 0}[rule.arguments["operator"]]
    _shift(by * 1000)(house, rule, row)


def _leave_out(_: House, rule: RuleSpec, row: Row) -> None:
    wanted = rule.arguments.get("equals", rule.arguments.get("in", [row[rule.columns[1]]]))
    wanted = wanted[0] if isinstance(wanted, list) else wanted
    row[rule.columns[1]] = {True: "1", False: "0"}.get(wanted, str(wanted))
    row[rule.columns[0]] = ""


def _falls(house: House, rule: RuleSpec, row: Row) -> None:
    """The same series a day later, with less."""
    row.update(house.rows[0])
    order = rule.arguments["orderBy"]
    row[order] = f"{date.fromisoformat(row[order][:10]) + timedelta(days=1)}" + row[order][10:]
    row[rule.columns[0]] = "0"


def _nothing(_: House, __: RuleSpec, ___: Row) -> None:
    """Broken by the control totals, not by a row."""


BREAK: Mapping[str, Breaker] = {
    "type": _unreadable,
    "not_null": _set(""),
    "in_set": _not_in_set,
    "pattern": _set("??"),
    "length": _length,
    "between": _outside,
    "unique": _repeat,
    "not_before": _earlier,
    "at_least_column": _shift(-1),
    "at_most_column": _shift(1),
    "at_least_sum": _shift(-1),
    "compare": _compare,
    "sum_of": _shift(1),
    "required_if": _leave_out,
    "sex_matches_id": _set("1"),
    "birth_matches_id": _set("1990-01-01"),
    "no_mojibake": _set("云\ufffd区"),
    "no_placeholder": _set("测试"),
    "no_sentinel": _set("999"),
    "known_region": _set("180105194912310020"),
    "sum_of_parts": _shift(1),
    "non_decreasing": _falls,
    "matches_total": _nothing,
    "matches_group_counts": _nothing,
}


@cache
def _house(path: Path) -> House:
    return House(load_contract(path), CONTRACTS / "codes")  # the real ones use no code lists


def _cases() -> list[Any]:
    cases = []
    for path in FILES:
        contract = load_contract(path)
        cases += [pytest.param(path, rule, id=rule.key) for rule in contract.rules]
    return cases


def test_there_are_contracts_to_judge() -> None:
    """With none found, every test below would pass by not running."""
    assert {path.parents[1] for path in FILES} == {CONTRACTS, REAL}
    assert len(_cases()) >= 14 * 10


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_good_rows_break_nothing(path: Path) -> None:
    """A contract that no row can satisfy would quarantine everything."""
    house = _house(path)
    assert house.broken(house.rows, house.control()) == set()


@pytest.mark.parametrize(("path", "rule"), _cases())
def test_rule_bites(path: Path, rule: RuleSpec) -> None:
    """A rule that is compiled but never fires looks like perfect data."""
    house = _house(path)
    rows = [dict(row) for row in house.rows]
    if rule.rule == "row_count":
        rows = []
    else:
        BREAK[rule.rule](house, rule, rows[-1])
    found = house.broken(rows, house.control(wrong=rule))
    assert rule.key in found
    others = [r for r in house.contract.rules if r.key in found and r.key != rule.key]
    assert all(_reads(r) & set(rule.columns) for r in others), "it broke an unrelated rule"


def _reads(rule: RuleSpec) -> set[str]:
    """The columns that a rule judges, and those that its arguments name."""
    given = [part if isinstance(part, list | dict) else [part] for part in rule.arguments.values()]
    return {*rule.columns, *(name for part in given for name in part if isinstance(name, str))}
