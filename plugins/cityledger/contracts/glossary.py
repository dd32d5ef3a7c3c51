"""The glossary (``contracts/columns.yaml``): one meaning per column name, all over the city."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cityledger.contracts.columns import CLASSIFICATIONS, NAME
from cityledger.contracts.document import read_document
from cityledger.contracts.model import Column, ColumnType
from cityledger.contracts.node import Findings, Node
from cityledger.contracts.violations import Violation


@dataclass(frozen=True, slots=True)
class Term:
    """What a column name means wherever it occurs.

    Attributes:
        zh: Business name.
        en: The same in English.
        unit: Unit of the value; None for columns without one.
        value_type: None leaves it to the contracts.
    """

    name: str
    zh: str
    en: str
    type: ColumnType
    classification: str
    unit: str | None = None
    value_type: str | None = None
    description: str = ""

    def disagreements(self, column: Column) -> list[tuple[str, str]]:
        """Where a contract's column differs: field and what the glossary says."""
        pairs = [
            ("logicalType", column.type.value, self.type.value),
            ("classification", column.classification, self.classification),
            ("unit", column.unit, self.unit),
        ]
        if self.value_type is not None:
            pairs.append(("valueType", column.semantic_type, self.value_type))
        return [(name, expected or "none") for name, is_, expected in pairs if is_ != expected]


def examine_glossary(path: Path) -> tuple[Mapping[str, Term], list[Violation]]:
    """Read ``columns.yaml`` as far as possible, with what is wrong with it.

    Raises:
        ContractError: the file can't be read as YAML at all.
    """
    document = read_document(path)
    root = Node(Findings(document), document.data)
    root.only(("columns",))
    columns = root["columns"].mapping()
    terms = {name: _term(columns[name], name) for name in columns.names()}
    return terms, root.findings.violations


def _term(node: Node, name: str) -> Term:
    if not NAME.fullmatch(name):
        node.add(f"'{name}' is not lower snake case", "write it like area_code", at_key=True)
    node.only(("zh", "en", "type", "classification", "unit", "value_type", "description"))
    kind = node["type"].choice([known.value for known in ColumnType], required=True)
    return Term(
        name=name,
        zh=node["zh"].text(required=True, what="the Chinese name") or "",
        en=node["en"].text(required=True, what="the English name") or "",
        type=ColumnType(kind or ColumnType.STRING),
        classification=node["classification"].choice(CLASSIFICATIONS, required=True) or "",
        unit=node["unit"].text(),
        value_type=node["value_type"].text(),
        description=node["description"].text() or "",
    )
