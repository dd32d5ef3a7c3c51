"""The rules of a contract: those that its columns imply, and those that it names."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from cityledger.contracts.catalogue import RuleCatalogue
from cityledger.contracts.columns import NAME, check_pattern
from cityledger.contracts.custom import custom_properties
from cityledger.contracts.identity import DatasetId
from cityledger.contracts.model import (
    Column,
    ColumnType,
    QualityNote,
    RuleSpec,
    Scope,
    Severity,
    Threshold,
)
from cityledger.contracts.node import Node, nearest
from cityledger.contracts.query import QueryRefusedError, read_query

# GB/T 36344-2018: the 20 indicators under their dimensions.
DIMENSIONS: Mapping[str, tuple[str, ...]] = {
    "conformity": ("0101", "0102", "0103", "0104", "0105", "0106"),
    "completeness": ("0201", "0202"),
    "accuracy": ("0301", "0302", "0303", "0304", "0305"),
    "consistency": ("0401", "0402"),
    "timeliness": ("0501", "0502", "0503"),
    "accessibility": ("0601", "0602"),
}
# Their formulas count what is bad (repeated, dirty), so less is better.
LOWER_IS_BETTER = frozenset({"0303", "0305"})
_DIMENSION_OF = {code: name for name, codes in DIMENSIONS.items() for code in codes}
# ODCS names two dimensions that GB/T 36344 counts under others.
_DEFAULT_CODE = {
    "conformity": "0104",
    "completeness": "0201",
    "accuracy": "0301",
    "consistency": "0402",
    "timeliness": "0503",
    "accessibility": "0602",
    "coverage": "0202",
    "uniqueness": "0304",
}
_METRICS = {
    "nullValues": "not_null",
    "missingValues": "not_null",
    "duplicateValues": "unique",
    "invalidValues": "type",
    "rowCount": "row_count",
}
_LIBRARY_CODE = {
    "type": "0302",
    "not_null": "0201",
    "not_missing": "0201",
    "in_set": "0101",
    "pattern": "0302",
    "length": "0302",
    "between": "0302",
    "unique": "0304",
    "row_count": "0202",
}
OPERATORS = (
    "mustBe",
    "mustNotBe",
    "mustBeGreaterThan",
    "mustBeGreaterOrEqualTo",
    "mustBeLessThan",
    "mustBeLessOrEqualTo",
    "mustBeBetween",
    "mustNotBeBetween",
)
_COMMON_KEYS = (
    "id",
    "type",
    "name",
    "description",
    "dimension",
    "severity",
    "businessImpact",
    "method",
    "tags",
    "authoritativeDefinitions",
)
# ODCS leaves severity to its users; its examples and other tools write these.
_SEVERITIES: Mapping[str, Severity] = {
    **{severity.value: severity for severity in Severity},
    "error": Severity.BLOCK,
    "warning": Severity.WARN,
}
_THRESHOLD_KEYS = ("unit", *OPERATORS)


@dataclass(frozen=True, slots=True)
class _Draft:
    """A rule without its key."""

    rule: str
    columns: tuple[str, ...]
    part: str
    gb_code: str
    severity: Severity = Severity.BLOCK
    scope: Scope = Scope.ROW
    arguments: Mapping[str, Any] = field(default_factory=dict)
    threshold: Threshold | None = None
    description: str = ""
    line: int = 0


def resolve_rules(
    table: Node,
    dataset: DatasetId,
    columns: tuple[Column, ...],
    catalogue: RuleCatalogue | None,
) -> tuple[RuleSpec, ...]:
    """All rules of a contract, in a stable order.

    Implied rules come first, column by column, then the composite key, then ``quality`` entries
    in the file's order; an entry for the columns and the rule of an implied one replaces it in
    place.
    """
    lines = _lines_of(table)
    drafts = {
        (draft.rule, draft.columns): replace(draft, line=lines.get(draft.columns[0], 0))
        for draft in _implied(columns)
    }
    extra: list[_Draft] = []
    for draft in _explicit(table, columns, catalogue):
        implied = drafts.get((draft.rule, draft.columns))
        if implied is None:
            extra.append(draft)
        else:
            arguments = {**implied.arguments, **draft.arguments}
            drafts[draft.rule, draft.columns] = replace(
                draft, part=implied.part, scope=implied.scope, arguments=arguments
            )
    return tuple(_keyed(dataset, [*drafts.values(), *extra]))


def _keyed(dataset: DatasetId, drafts: list[_Draft]) -> Iterator[RuleSpec]:
    seen: dict[str, int] = {}
    for draft in drafts:
        base = f"{dataset}.{draft.part}.{draft.rule}"
        seen[base] = seen.get(base, 0) + 1
        yield RuleSpec(
            key=base if seen[base] == 1 else f"{base}.{seen[base]}",
            rule=draft.rule,
            columns=draft.columns,
            severity=draft.severity,
            gb_code=draft.gb_code,
            dimension=_DIMENSION_OF[draft.gb_code],
            scope=draft.scope,
            arguments=draft.arguments,
            threshold=draft.threshold,
            description=draft.description,
            line=draft.line,
        )


def _lines_of(table: Node) -> dict[str, int]:
    return {
        node["name"].value: _line(node)
        for node in table["properties"].items()
        if isinstance(node["name"].value, str)
    }


def _line(node: Node) -> int:
    return node.findings.document.place(node.path).line


def quality_notes(table: Node) -> tuple[QualityNote, ...]:
    """What ``type: text`` entries promise in words, columns first."""
    places = [(node["name"].value, node) for node in table["properties"].items()]
    return tuple(
        QualityNote(
            text=entry["description"].text(required=True, what="the promise") or "",
            column=column,
            name=entry["name"].text() or "",
            dimension=entry["dimension"].text() or "",
        )
        for column, holder in [*places, (None, table)]
        for entry in holder["quality"].items()
        if entry["type"].value == "text"
    )


# --- implied by columns ------------------------------------------------------------------------


def _implied(columns: tuple[Column, ...]) -> Iterator[_Draft]:
    keys = tuple(column.name for column in columns if column.primary_key)
    for column in columns:
        for rule, arguments in _column_rules(column):
            yield _library(rule, (column.name,), column.name, arguments)
        if column.unique or keys == (column.name,):
            yield _library("unique", (column.name,), column.name, {})
    if len(keys) > 1:
        yield _library("unique", keys, "_key", {})


def _column_rules(column: Column) -> Iterator[tuple[str, dict[str, Any]]]:
    options = column.options
    if column.type is not ColumnType.STRING or column.semantic_type is not None:
        yield "type", {}
    if column.required or column.primary_key:
        yield "not_null", {}
    if column.enum:
        yield "in_set", {"values": list(column.enum)}
    if "pattern" in options:
        yield "pattern", {"pattern": options["pattern"]}
    for rule, low, high in (
        ("length", "minLength", "maxLength"),
        ("between", "minimum", "maximum"),
    ):
        bounds = {"minimum": options.get(low), "maximum": options.get(high)}
        given = {name: bound for name, bound in bounds.items() if bound is not None}
        if given:
            yield rule, given


def _library(rule: str, columns: tuple[str, ...], part: str, arguments: dict[str, Any]) -> _Draft:
    scope = Scope.DATASET if rule in ("unique", "row_count") else Scope.ROW
    return _Draft(rule, columns, part, _LIBRARY_CODE[rule], scope=scope, arguments=arguments)


# --- written in the contract -------------------------------------------------------------------


def _explicit(
    table: Node, columns: tuple[Column, ...], catalogue: RuleCatalogue | None
) -> Iterator[_Draft]:
    reader = _QualityReader(tuple(column.name for column in columns), catalogue)
    for node in table["properties"].items():
        name = node["name"].value
        for entry in node["quality"].items():
            draft = reader.read(entry, name if isinstance(name, str) else None)
            if draft is not None:
                yield draft
    for entry in table["quality"].items():
        draft = reader.read(entry, None)
        if draft is not None:
            yield draft


@dataclass(frozen=True, slots=True)
class _QualityReader:
    """Reads ``quality`` entries of one contract."""

    names: tuple[str, ...]
    catalogue: RuleCatalogue | None

    def read(self, entry: Node, column: str | None) -> _Draft | None:
        """One entry; None if it can't be understood (noted)."""
        kind = _kind(entry)
        readers = {"library": self._metric, "custom": self._custom, "sql": self._sql}
        if kind == "text":
            self._only(entry)
            entry["dimension"].choice(tuple(_DEFAULT_CODE))
        draft = readers[kind](entry, column) if kind in readers else None
        if draft is None:
            return None
        return replace(
            draft,
            severity=_severity(entry, required=kind == "custom"),
            description=entry["description"].text() or entry["name"].text() or "",
            line=_line(entry),
        )

    def _metric(self, entry: Node, column: str | None) -> _Draft | None:
        self._only(entry, "metric", "arguments", *_THRESHOLD_KEYS)
        metric = entry["metric"].choice(tuple(_METRICS), required=True)
        if metric is None:
            return None
        if metric == "rowCount":
            return self._row_count(entry, column)
        rule, arguments = _METRICS[metric], dict[str, Any]()
        if metric in _WITH_ARGUMENTS:
            rule, arguments = _WITH_ARGUMENTS[metric](entry["arguments"])
        else:
            entry["arguments"].only(("properties",) if metric == "duplicateValues" else ())
        columns = self._columns(entry["arguments"]["properties"], column)
        if not columns:
            entry.add(f"{metric} of which column?", "put it under the column's 'quality'")
            return None
        draft = _library(rule, columns, _part(columns), arguments)
        code = self._code(entry, None) if entry["dimension"].present else draft.gb_code
        return replace(draft, gb_code=code, threshold=_threshold(entry, entry))

    def _sql(self, entry: Node, column: str | None) -> _Draft | None:
        self._only(entry, "query", "customProperties", *_THRESHOLD_KEYS)
        text = entry["query"].text(required=True, what="SELECT … FROM ${object}")
        properties = custom_properties(entry, ("scope", "gbCode"))
        condition = _condition(entry)
        code = self._code(entry, properties.get("gbCode"))
        known = (Scope.DATASET.value, Scope.HISTORY.value)
        scope = properties["scope"].choice(known) if "scope" in properties else None
        if text is None or condition is None:
            return None
        try:
            read_query(text, self.names, column)
        except QueryRefusedError as error:
            entry["query"].add(str(error), "one SELECT over ${object}: docs/contracts.md")
            return None
        columns = () if column is None else (column,)
        reason = entry["businessImpact"].text() or ""
        return _Draft(
            "sql",
            columns,
            _part(columns),
            code,
            scope=Scope(scope or Scope.DATASET),
            arguments={"query": text, **condition},
            threshold=Threshold(0.0, reason=reason),
        )

    def _row_count(self, entry: Node, column: str | None) -> _Draft | None:
        entry["arguments"].only(())
        bounds = _row_bounds(entry)
        if column is not None:
            entry["metric"].add("rowCount on a column", "move it to the schema's 'quality'")
            return None
        if not bounds:
            entry.add("rowCount without a bound", "add mustBeGreaterThan, mustBeBetween …")
            return None
        reason = entry["businessImpact"].text() or ""
        draft = _library("row_count", (), "_table", bounds)
        code = self._code(entry, None) if entry["dimension"].present else draft.gb_code
        return replace(draft, gb_code=code, threshold=Threshold(0.0, reason=reason))

    def _custom(self, entry: Node, column: str | None) -> _Draft | None:
        self._only(entry, "engine", "implementation")
        entry["engine"].choice(("cityledger",), required=True)
        entry["name"].text(required=True, what="a short name")
        implementation = entry["implementation"].mapping()
        implementation.only(("rule", "arguments", "columns", "scope", "gbCode", *_THRESHOLD_KEYS))
        rule = implementation["rule"].text(required=True, what="a rule of quality_checks/rules")
        columns = self._columns(implementation["columns"], column)
        arguments = implementation["arguments"].mapping()
        scope = implementation["scope"].choice([known.value for known in Scope])
        code = self._code(entry, implementation["gbCode"])
        if rule is None:
            return None
        self._check_rule(implementation, rule, len(columns))
        return _Draft(
            rule,
            columns,
            _part(columns),
            code,
            scope=Scope(scope or Scope.ROW),
            arguments=arguments.value if isinstance(arguments.value, dict) else {},
            threshold=_threshold(implementation, entry),
        )

    def _only(self, entry: Node, *more: str) -> None:
        known = (*_COMMON_KEYS, *more)
        for key in entry.names():
            if key not in known and entry[key].path not in entry.findings.paths:
                inside = "move it into 'implementation'" if key in _THRESHOLD_KEYS else ""
                entry[key].add(
                    f"'{key}' does nothing at this place",
                    inside or nearest(key, known),
                    at_key=True,
                )

    def _columns(self, node: Node, column: str | None) -> tuple[str, ...]:
        if not node.present:
            return (column,) if column is not None else ()
        names = node.texts()
        for index, name in enumerate(names):
            if name not in self.names:
                node[index].add(f"no column '{name}'", nearest(name, self.names))
        return names

    def _code(self, entry: Node, given: Node | None) -> str:
        dimension = entry["dimension"].choice(tuple(_DEFAULT_CODE), required=True)
        code = given.text() if given is not None else None
        default = _DEFAULT_CODE[dimension or "conformity"]
        if code is None or given is None:
            return default
        if code not in _DIMENSION_OF:
            given.add(f"'{code}' is no GB/T 36344 indicator", nearest(code, _DIMENSION_OF))
            return default
        if dimension is not None and _DIMENSION_OF[code] != _DIMENSION_OF[default]:
            given.add(
                f"{code} belongs to {_DIMENSION_OF[code]}, not to {dimension}",
                "correct the dimension or the code",
            )
            return default
        return code

    def _check_rule(self, implementation: Node, rule: str, columns: int) -> None:
        node, arguments = implementation["rule"], implementation["arguments"]
        if not NAME.fullmatch(rule):
            node.add(f"'{rule}' is not the name of a rule", "lower snake case: not_before")
        if self.catalogue is None:
            return
        known = self.catalogue.rules.get(rule)
        if known is None:
            node.add(f"unknown rule '{rule}'", nearest(rule, self.catalogue.rules))
            return
        arguments.only(known.allowed)
        for name in sorted(known.required - set(arguments.names())):
            node.add(f"rule {rule} needs argument '{name}'", f"add arguments: {{{name}: …}}")
        if columns < known.least_columns:
            node.add(
                f"rule {rule} needs {known.least_columns} columns, {columns} given",
                "add columns: [judged one first, …]",
            )
        scope = implementation["scope"].value or Scope.ROW.value
        if known.scopes and scope not in known.scopes:
            implementation["scope"].add(
                f"rule {rule} can't judge scope '{scope}'",
                f"write scope: {' or '.join(sorted(known.scopes))}",
            )


def _part(columns: tuple[str, ...]) -> str:
    return {0: "_table", 1: columns[0] if columns else ""}.get(len(columns), "_row")


def _kind(entry: Node) -> str | None:
    """The entry's type; it may be left out beside a metric (ODCS)."""
    implied = not entry["type"].present and entry["metric"].present
    known = ("library", "custom", "sql", "text")
    return "library" if implied else entry["type"].choice(known, required=True)


def _severity(entry: Node, *, required: bool) -> Severity:
    node = entry["severity"]
    if isinstance(node.value, str) and node.value in _SEVERITIES:
        return _SEVERITIES[node.value]
    known = [severity.value for severity in Severity]
    return Severity(node.choice(known, required=required) or Severity.BLOCK)


def _invalid_values(arguments: Node) -> tuple[str, dict[str, Any]]:
    arguments.mapping().only(("validValues", "pattern"))
    if arguments["validValues"].present and arguments["pattern"].present:
        arguments["pattern"].add(
            "validValues and pattern in one entry", "write two entries: two rules, two results"
        )
    if arguments["validValues"].present:
        return "in_set", {"values": list(arguments["validValues"].texts())}
    pattern = arguments["pattern"].text()
    if pattern is not None:
        check_pattern(arguments["pattern"], pattern)
        return "pattern", {"pattern": pattern}
    return "type", {}


def _missing_values(arguments: Node) -> tuple[str, dict[str, Any]]:
    arguments.mapping().only(("missingValues",))
    given = [item for item in arguments["missingValues"].items() if item.present]
    for item in given:
        if not isinstance(item.value, str):
            item.add("a text is expected here", f"quote it: '{item.written}'")
    values = [item.value for item in given if item.value != ""]
    return ("not_missing", {"values": values}) if values else ("not_null", {})


_WITH_ARGUMENTS = {"invalidValues": _invalid_values, "missingValues": _missing_values}


# --- thresholds --------------------------------------------------------------------------------


def _threshold(holder: Node, entry: Node) -> Threshold | None:
    """How many failing elements are borne: ``mustBe: 0``, ``mustBeLess…`` in rows or percent.

    Args:
        holder: Has the bound: the entry of a library metric, a custom rule's ``implementation``
            (ODCS allows no bound beside a custom rule).
        entry: Has the reason.
    """
    unit = holder["unit"].choice(("rows", "percent"))
    given = [name for name in OPERATORS if holder[name].present]
    if not given:
        if unit is not None:
            holder["unit"].add("a unit without a threshold", "add mustBeLessOrEqualTo: …")
        return None
    if len(given) > 1:
        holder[given[1]].add(f"'{given[0]}' and '{given[1]}' together", "keep one", at_key=True)
    reason = entry["businessImpact"].text() or ""
    bounds = _bounds(holder[given[0]], given[0], unit or "rows")
    return _bounded(given[0], bounds, unit or "rows", reason) if bounds else None


def _bounds(node: Node, operator: str, unit: str) -> tuple[float, ...]:
    """The numbers of an operator; none if they are wrong (noted)."""
    two = operator.endswith("Between")
    values = [item.number() for item in node.items()] if two else [node.number()]
    numbers = [value for value in values if value is not None]
    if len(numbers) != len(values) or len(numbers) != 1 + two:
        if two and node.path not in node.findings.paths:
            node.add(f"{operator} needs two numbers", "write [least, greatest]")
        return ()
    if any(_fits_unit(node, value, unit) is False for value in numbers):
        return ()
    if numbers[0] > numbers[-1]:
        node.add("the greater number stands first", f"write [{numbers[1]:g}, {numbers[0]:g}]")
        return ()
    if operator == "mustBeLessThan" and numbers[0] == 0:
        node.add("fewer than none can't be", "write mustBe: 0")
        return ()
    return tuple(float(value) for value in numbers)


def _fits_unit(node: Node, value: float, unit: str) -> bool:
    if unit == "percent" and not 0 <= value <= 100:
        node.add(f"{value:g} is no percentage", "write 0 to 100 (5 means five in a hundred)")
        return False
    if unit == "rows" and (value < 0 or value != int(value)):
        node.add(f"{value:g} is no number of rows", "write a whole number, 0 or more")
        return False
    return True


def _bounded(operator: str, bounds: tuple[float, ...], unit: str, reason: str) -> Threshold:
    """A threshold; bounds that say "at most N" in other words become that."""
    if operator == "mustBeLessThan" and unit == "rows":
        return Threshold(bounds[0] - 1, unit, reason)
    if operator == "mustBeLessOrEqualTo" or (operator == "mustBe" and bounds == (0.0,)):
        return Threshold(bounds[0], unit, reason)
    upper = operator in ("mustBe", "mustBeLessThan", "mustBeBetween")
    return Threshold(bounds[-1] if upper else math.inf, unit, reason, operator, bounds)


def _condition(entry: Node) -> dict[str, Any] | None:
    """What the value of a query must be: exactly one operator; None if it is wrong (noted)."""
    given = [name for name in OPERATORS if entry[name].present]
    unit = entry["unit"].text()
    if len(given) != 1:
        where = entry[given[1]] if given else entry
        where.add("a query needs exactly one condition", "add mustBe: 0 or another operator")
        return None
    operator, node = given[0], entry[given[0]]
    if operator in ("mustBe", "mustNotBe") and isinstance(node.value, str | bool):
        return {"operator": operator, "values": [node.value]}
    two = operator.endswith("Between")
    numbers = [item.number() for item in node.items()] if two else [node.number()]
    if None in numbers or len(numbers) != 1 + two:
        return None
    if unit == "percent" and not all(_fits_unit(node, value or 0, unit) for value in numbers):
        return None
    return {"operator": operator, "values": numbers}


def _row_bounds(entry: Node) -> dict[str, Any]:
    entry["unit"].choice(("rows",))
    shift = {
        "mustBe": ((0, "minimum"), (0, "maximum")),
        "mustBeGreaterThan": ((1, "minimum"),),
        "mustBeGreaterOrEqualTo": ((0, "minimum"),),
        "mustBeLessThan": ((-1, "maximum"),),
        "mustBeLessOrEqualTo": ((0, "maximum"),),
    }
    bounds: dict[str, Any] = {}
    for operator in OPERATORS:
        node = entry[operator]
        if not node.present:
            continue
        if operator == "mustBeBetween":
            pair = zip(("minimum", "maximum"), node.items(), strict=False)
            given = {name: item.integer(minimum=0) for name, item in pair}
            bounds.update({name: bound for name, bound in given.items() if bound is not None})
        elif operator in shift:
            value = node.integer(minimum=0)
            if value is not None:
                bounds.update({name: value + step for step, name in shift[operator]})
        else:
            bounds["excluded"] = _excluded(node, operator)
    if bounds.get("minimum", 0) > bounds.get("maximum", 2**63):
        entry.add("no row count can pass these bounds", "correct them")
    return bounds


def _excluded(node: Node, operator: str) -> list[int]:
    """Row counts that must not be, for ``mustNotBe`` and ``mustNotBeBetween``."""
    items = node.items() if operator == "mustNotBeBetween" else [node]
    found = [value for item in items if (value := item.integer(minimum=0)) is not None]
    if operator == "mustNotBeBetween" and (len(found) != 2 or found[0] > found[1]):
        node.add("a range needs two numbers, the lesser one first", "write [least, greatest]")
    return found
