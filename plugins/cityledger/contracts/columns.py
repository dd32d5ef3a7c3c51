"""The columns of a contract: names, headers, types, classification."""

from __future__ import annotations

import re
import unicodedata
from datetime import date, datetime, time
from typing import Any

from cityledger.contracts.catalogue import RuleCatalogue
from cityledger.contracts.custom import custom_properties
from cityledger.contracts.model import Column, ColumnType
from cityledger.contracts.node import Node, nearest

CLASSIFICATIONS = ("public", "internal", "personal", "sensitive")
COLUMN_PROPERTIES = ("valueType", "options", "unit", "nullTokens")
NAME = re.compile(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)*")
_NESTED = ("properties", "items", "map")
_DECIMAL = re.compile(r"decimal\( *([0-9]+) *, *([0-9]+) *\)", re.IGNORECASE)
_MAX_DIGITS = 38  # DECIMAL(38, s) is the widest that DuckDB, Arrow and Spark share
_MODELLING_ROLES = ("column", "measure", "dimension")
_OPTIONS: dict[ColumnType, tuple[str, ...]] = {
    ColumnType.STRING: ("pattern", "minLength", "maxLength"),
    ColumnType.INTEGER: ("minimum", "maximum"),
    ColumnType.NUMBER: ("minimum", "maximum"),
    ColumnType.BOOLEAN: (),
    ColumnType.DATE: ("format", "minimum", "maximum"),
    ColumnType.TIMESTAMP: ("format", "minimum", "maximum"),
    ColumnType.TIME: ("format", "minimum", "maximum"),
}
_READERS: dict[ColumnType, Any] = {
    ColumnType.DATE: date.fromisoformat,
    ColumnType.TIMESTAMP: datetime.fromisoformat,
    ColumnType.TIME: time.fromisoformat,
}
# Rust's regex engine, which judges millions of rows in linear time, has neither.
_UNSUPPORTED_PATTERN = re.compile(r"\(\?(?:[=!]|<[=!])|\\[1-9]")
_FORMAT = re.compile(r"(?:yyyy|yy|MM?|dd?|HH?|hh?|mm?|ss?|S{1,6}|a|'T'|[^A-Za-z'])+")


def resolve_columns(table: Node, catalogue: RuleCatalogue | None) -> tuple[Column, ...]:
    """Read ``schema[0].properties``; noted violations don't stop the next column."""
    columns = [_column(node, catalogue) for node in table["properties"].items()]
    if not columns:
        table.add("the schema has no columns", "list them under 'properties'")
    kept = [column for column in columns if column is not None]
    _check_names(table, [column.name if column else None for column in columns])
    _check_headers(table, columns)
    if catalogue is not None:
        _check_extras(table, columns, catalogue)
    return tuple(kept)


def _column(node: Node, catalogue: RuleCatalogue | None) -> Column | None:
    name = node["name"].text(required=True, what="lower_snake_case")
    if name is not None and not NAME.fullmatch(name):
        node["name"].add(f"'{name}' is not lower snake case", "write it like area_code")
    kind = node["logicalType"].choice([known.value for known in ColumnType], required=True)
    for key in _NESTED:
        if node[key].present:
            node[key].add("a column inside a column", "columns are flat", at_key=True)
    properties = custom_properties(node, COLUMN_PROPERTIES)
    classification = node["classification"].choice(CLASSIFICATIONS, required=True)
    business_name = node["businessName"].text(required=True, what="the header text") or ""
    type_ = ColumnType(kind or ColumnType.STRING)
    options = _type_options(node["logicalTypeOptions"], type_)
    semantic_type, own_options = _value_type(node, properties)
    _check_value_type(node, properties, semantic_type, type_, catalogue)
    column = Column(
        name=name or "",
        type=type_,
        business_name=business_name,
        headers=_headers(node, name, business_name),
        required=node["required"].flag(),
        unique=node["unique"].flag(),
        primary_key=node["primaryKey"].flag(),
        precision=_precision(node["physicalType"], type_),
        semantic_type=semantic_type,
        enum=_enum(node["enum"]),
        unit=properties["unit"].text() if "unit" in properties else None,
        null_tokens=properties["nullTokens"].texts() if "nullTokens" in properties else (),
        classification=classification or "internal",
        description=node["description"].text() or "",
        options={**options, **own_options},
    )
    return column if name else None


def _headers(node: Node, name: str | None, business_name: str) -> tuple[str, ...]:
    texts = [business_name, name or ""]
    texts += [item["synonym"].text(required=True) or "" for item in node["synonyms"].items()]
    return tuple(dict.fromkeys(text for text in texts if text))


def _precision(node: Node, kind: ColumnType) -> tuple[int, int] | None:
    written = node.text()
    if written is None or not written.lower().startswith("decimal"):
        return None
    match = _DECIMAL.fullmatch(written)
    if match is None:
        node.add(f"'{written}' is no decimal type", "write decimal(digits,scale): decimal(18,2)")
        return None
    digits, scale = int(match[1]), int(match[2])
    if not 0 < digits <= _MAX_DIGITS or scale > digits:
        node.add(f"'{written}' can't exist", f"1 to {_MAX_DIGITS} digits, scale not above digits")
        return None
    if kind is not ColumnType.NUMBER:
        node.add(f"decimal precision on a {kind.value}", "use logicalType: number")
        return None
    return digits, scale


def _enum(node: Node) -> tuple[str, ...]:
    values: list[str] = []
    for item in node.items():
        value = item["value"].text(required=True, what="the allowed value, quoted")
        if value in values:
            item["value"].add(f"enum value '{value}' is given twice", "keep one")
        elif value is not None:
            values.append(value)
    return tuple(values)


def _value_type(node: Node, properties: dict[str, Node]) -> tuple[str | None, dict[str, Any]]:
    """The value type and its options."""
    role = node["semanticType"].text()
    if role is not None and role not in _MODELLING_ROLES:
        node["semanticType"].add(
            f"ODCS keeps semanticType for {', '.join(_MODELLING_ROLES)}",
            f"write customProperties: [{{property: valueType, value: {role}}}]",
            at_key=True,
        )
    name = properties["valueType"].text() if "valueType" in properties else None
    if name is not None and not NAME.fullmatch(name):
        properties["valueType"].add(
            f"'{name}' is not the name of a value type", "lower snake case: citizen_id"
        )
        return None, {}
    if "options" not in properties:
        return name, {}
    options = properties["options"].mapping()
    if name is None:
        options.add("options without a value type", "add customProperty valueType")
    return name, options.value if isinstance(options.value, dict) else {}


def _check_value_type(
    node: Node,
    properties: dict[str, Node],
    name: str | None,
    kind: ColumnType,
    catalogue: RuleCatalogue | None,
) -> None:
    if catalogue is None or name is None:
        return
    source = properties["valueType"]
    facts = catalogue.value_types.get(name)
    if facts is None:
        source.add(f"unknown value type '{name}'", nearest(name, catalogue.value_types))
        return
    if facts.types and kind not in facts.types:
        node["logicalType"].add(
            f"a {name} is no {kind.value}", f"write {' or '.join(sorted(facts.types))}"
        )
    options = properties.get("options", node["options"])
    options.only(facts.allowed)
    for option in sorted(facts.required - set(options.names())):
        source.add(
            f"value type {name} needs option '{option}'",
            f"add customProperty options: {{{option}: …}}",
        )


# --- logicalTypeOptions ------------------------------------------------------------------------


def _type_options(node: Node, kind: ColumnType) -> dict[str, Any]:
    node.only(_OPTIONS[kind])
    options: dict[str, Any] = {
        "pattern": _pattern(node["pattern"]),
        "format": _format(node["format"]),
        "minLength": node["minLength"].integer(minimum=0),
        "maxLength": node["maxLength"].integer(minimum=0),
        "minimum": _bound(node["minimum"], kind),
        "maximum": _bound(node["maximum"], kind),
    }
    for low, high in (("minLength", "maxLength"), ("minimum", "maximum")):
        lowest, highest = options[low], options[high]
        if lowest is not None and highest is not None and lowest > highest:
            node[high].add(f"{high} is below {low}: no value can pass", "swap or correct them")
    return {name: value for name, value in options.items() if value is not None}


def _bound(node: Node, kind: ColumnType) -> float | int | str | None:
    """A bound as a number, or as ISO text for dates and times."""
    read = _READERS.get(kind)
    if read is None:
        return node.number()
    value = node.value
    if isinstance(value, datetime | date | time):
        value = value.isoformat()
    if not isinstance(value, str):
        if value is not None:
            node.add("a bound of a date or time is ISO text", "write '2026-01-01', quoted")
        return None
    try:
        read(value)
    except ValueError:
        node.add(f"'{value}' is not an ISO {kind.value}", "write it like '2026-01-01'")
        return None
    return value


def _pattern(node: Node) -> str | None:
    pattern = node.text()
    if pattern is None:
        return None
    return check_pattern(node, pattern)


def check_pattern(node: Node, pattern: str) -> str | None:
    """A regular expression that the engine can run; None and a violation otherwise."""
    try:
        re.compile(pattern)
    except re.error as error:
        node.add(f"no valid regular expression: {error.msg}", "correct the pattern")
        return None
    if _UNSUPPORTED_PATTERN.search(pattern):
        node.add(
            "look-around and back-references are not supported",
            "rewrite it without (?=…), (?!…), (?<…) and \\1",
        )
        return None
    return pattern


def _format(node: Node) -> str | None:
    text = node.text()
    if text is not None and not _FORMAT.fullmatch(text):
        node.add(f"'{text}' is no date format", "use yyyy MM dd HH mm ss, e.g. yyyy-MM-dd HH:mm:ss")
        return None
    return text


# --- agreement between columns -----------------------------------------------------------------


def _check_names(table: Node, names: list[str | None]) -> None:
    seen: set[str] = set()
    for index, name in enumerate(names):
        if name in seen:
            node = table["properties"][index]["name"]
            node.add(f"column '{name}' is given twice", "rename or remove one")
        elif name is not None:
            seen.add(name)


def _check_headers(table: Node, columns: list[Column | None]) -> None:
    owners: dict[str, str] = {}
    for index, column in enumerate(columns):
        for header in column.headers if column else ():
            folded = fold_header(header)
            owner = owners.setdefault(folded, column.name if column else "")
            if column is not None and owner != column.name:
                table["properties"][index].add(
                    f"header '{header}' could mean '{owner}' or '{column.name}'",
                    "give each header text to one column only",
                )


def _check_extras(table: Node, columns: list[Column | None], catalogue: RuleCatalogue) -> None:
    """Columns that value types add must not have the name of another column."""
    names = {column.name for column in columns if column}
    for index, column in enumerate(columns):
        facts = catalogue.value_types.get(column.semantic_type or "") if column else None
        if column is None or facts is None:
            continue
        for suffix in sorted(facts.suffixes):
            extra = f"{column.name}_{suffix}"
            if extra in names:
                table["properties"][index].add(
                    f"value type {column.semantic_type} adds a column '{extra}', which is there",
                    "rename one of the two",
                )


def fold_header(text: str) -> str:
    """How header texts are compared: without spaces and case, full-width forms folded."""
    return "".join(unicodedata.normalize("NFKC", text).split()).casefold()
