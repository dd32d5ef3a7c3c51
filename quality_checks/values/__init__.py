"""Value types: how a column's texts become values (``semanticType`` in contracts).

A package adds its own by an entry point of group ``cityledger.values`` that names an object of
type :class:`quality_checks.values.base.ValueType`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from importlib.metadata import entry_points

from cityledger.contracts.model import Column, ColumnType

from quality_checks.values.area_code import AreaCode
from quality_checks.values.base import ValueType
from quality_checks.values.boolean import Boolean
from quality_checks.values.citizen_id import CitizenId
from quality_checks.values.clock import Duration, Time
from quality_checks.values.dates import ChineseDate, Date
from quality_checks.values.identifier import Identifier
from quality_checks.values.money import Money
from quality_checks.values.number import Integer, Number
from quality_checks.values.phone import Phone
from quality_checks.values.quantity import Quantity
from quality_checks.values.sex import Sex
from quality_checks.values.text import Text
from quality_checks.values.timestamp import Timestamp
from quality_checks.values.uscc import Uscc

__all__ = ["ValueType", "all_value_types", "value_type_of"]

ENTRY_POINTS = "cityledger.values"

_BUILT_IN: tuple[ValueType, ...] = (
    AreaCode(),
    Boolean(),
    ChineseDate(),
    CitizenId(),
    Date(),
    Duration(),
    Identifier(),
    Integer(),
    Money(),
    Number(),
    Phone(),
    Quantity(),
    Sex(),
    Text(),
    Time(),
    Timestamp(),
    Uscc(),
)
_PLAIN = {
    ColumnType.STRING: "string",
    ColumnType.INTEGER: "integer",
    ColumnType.NUMBER: "number",
    ColumnType.BOOLEAN: "boolean",
    ColumnType.DATE: "date",
    ColumnType.TIMESTAMP: "timestamp",
    ColumnType.TIME: "time",
}


@lru_cache(maxsize=1)
def all_value_types() -> Mapping[str, ValueType]:
    """Name → value type: the built-in ones and those of installed packages."""
    found = {kind.name: kind for kind in _BUILT_IN}
    for entry in entry_points(group=ENTRY_POINTS):
        kind = entry.load()
        if kind.name in found:
            raise ValueError(f"two value types are called '{kind.name}'")
        found[kind.name] = kind
    return found


def value_type_of(column: Column) -> ValueType:
    """The value type that reads a column: the named one, or that of its logical type.

    Raises:
        KeyError: no value type has the name.
    """
    return all_value_types()[column.semantic_type or _PLAIN[column.type]]
