"""How quality is scored: GB/T 36344's indicators, and the city's own weights and grades.

The standard (GB/T 36344-2018) fixes six dimensions and 20 indicators, each X = A / B. It has
neither weights nor grades: those come from ``contracts/scoring.yaml``, and without that file from
the convention that most products follow, which is a convention and no rule.
"""

from __future__ import annotations

import hashlib
import json
from decimal import Decimal
from enum import StrEnum
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from cityledger.contracts.document import read_document
from cityledger.contracts.node import Findings, Node, nearest
from cityledger.contracts.violations import ContractError, Violation

FILE = "scoring.yaml"


class Direction(StrEnum):
    """Whether a large X = A / B is good (A counts good elements) or bad (A counts bad ones)."""

    HIGH = "high"
    LOW = "low"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Indicator(_Part):
    """One of the 20 indicators.

    Attributes:
        code: Four digits; the first two are the dimension's.
    """

    code: str
    name: str
    name_en: str
    direction: Direction = Direction.HIGH


class Dimension(_Part):
    """One of the six dimensions.

    Attributes:
        code: Two digits.
        key: English field name, as in rules (``conformity`` …).
        weight: Share in the total; the six add up to 1.
    """

    code: str
    key: str
    name: str
    name_en: str
    weight: Decimal


class Grade(_Part):
    """A grade: totals of ``minimum`` and above that no better grade takes."""

    code: str
    name: str
    name_en: str
    minimum: Decimal


def _indicators() -> tuple[Indicator, ...]:
    rows = """
0101 数据标准 data standards
0102 数据模型 data model
0103 元数据 metadata
0104 业务规则 business rules
0105 权威参考数据 reference data
0106 安全规范 security rules
0201 数据元素完整性 completeness of elements
0202 数据记录完整性 completeness of records
0301 数据内容正确性 correctness of content
0302 数据格式合规性 compliance of format
0303 数据重复率 repetition rate
0304 数据唯一性 uniqueness
0305 脏数据出现率 dirty data rate
0401 相同数据一致性 consistency of equal data
0402 关联数据一致性 consistency of related data
0501 基于时间段的正确性 correctness by period
0502 基于时间点的及时性 timeliness at a point in time
0503 时序性 order in time
0601 可访问 obtainable
0602 可用性 usable
"""
    lower = {"0303", "0305"}
    return tuple(
        Indicator(
            code=code,
            name=name,
            name_en=english,
            direction=Direction.LOW if code in lower else Direction.HIGH,
        )
        for code, name, english in (line.split(" ", 2) for line in rows.strip().splitlines())
    )


_DIMENSIONS = (
    ("01", "conformity", "规范性", "0.20"),
    ("02", "completeness", "完整性", "0.20"),
    ("03", "accuracy", "准确性", "0.15"),
    ("04", "consistency", "一致性", "0.15"),
    ("05", "timeliness", "时效性", "0.15"),
    ("06", "accessibility", "可访问性", "0.15"),
)
_GRADES = (
    ("A", "优", "excellent", "90"),
    ("B", "良", "good", "80"),
    ("C", "中", "fair", "70"),
    ("D", "合格", "sufficient", "60"),
    ("E", "不合格", "insufficient", "0"),
)
CONVENTION = "常用约定，并非国家标准规定 (a common convention; the standard sets none)"


class ScoringConfig(_Part):
    """Everything that turns counts into a score.

    Attributes:
        basis: Where weights and grade cuts come from; printed with the formula.
        dimensions: All six, in the standard's order.
        indicators: All twenty, in the standard's order.
        grades: Best first.
    """

    basis: str = CONVENTION
    dimensions: tuple[Dimension, ...] = tuple(
        Dimension(code=code, key=key, name=name, name_en=key, weight=Decimal(weight))
        for code, key, name, weight in _DIMENSIONS
    )
    indicators: tuple[Indicator, ...] = _indicators()
    grades: tuple[Grade, ...] = tuple(
        Grade(code=code, name=name, name_en=english, minimum=Decimal(minimum))
        for code, name, english, minimum in _GRADES
    )

    @classmethod
    def load(cls, path: Path) -> ScoringConfig:
        """Read ``scoring.yaml``; the convention if there is no such file.

        Raises:
            ContractError: with all violations of the file.
        """
        if not path.exists():
            return cls()
        config, violations = examine_scoring(path)
        if violations:
            raise ContractError(violations)
        return config

    @property
    def sha256(self) -> str:
        """Of what the configuration says, whatever the file's comments; stored with each score."""
        text = json.dumps(self.model_dump(), default=float, ensure_ascii=False, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def grade(self, total: Decimal) -> Grade:
        """The grade of a total (the last one begins at 0, so there always is one)."""
        return next(grade for grade in self.grades if total >= grade.minimum)

    def indicators_of(self, dimension: Dimension) -> tuple[Indicator, ...]:
        """The indicators of a dimension."""
        return tuple(one for one in self.indicators if one.code.startswith(dimension.code))


def examine_scoring(path: Path) -> tuple[ScoringConfig, list[Violation]]:
    """Read ``scoring.yaml`` as far as possible, with what is wrong with it.

    Raises:
        ContractError: the file can't be read as YAML at all.
    """
    document = read_document(path)
    root = Node(Findings(document), document.data)
    root.only(("basis", "weights", "grades", "indicators"))
    standard = ScoringConfig()
    config = ScoringConfig(
        basis=root["basis"].text(required=True, what="where weights and grades come from") or "",
        dimensions=_dimensions(root, standard),
        indicators=_changed_indicators(root["indicators"], standard),
        grades=_grades(root) or standard.grades,
    )
    return config, root.findings.violations


def _dimensions(root: Node, standard: ScoringConfig) -> tuple[Dimension, ...]:
    node = root["weights"]
    if not node.present:
        root.add("'weights' is missing", "add weights: {conformity: 0.2, …}")
        return standard.dimensions
    keys = [dimension.key for dimension in standard.dimensions]
    node.only(keys)
    weights = {key: _decimal(node[key], 1) for key in keys}
    total = sum(weight or 0 for weight in weights.values())
    if None not in weights.values() and total != 1:
        node.add(f"the weights add up to {total}", "make them add up to 1")
    return tuple(
        dimension.model_copy(update={"weight": weights[dimension.key] or Decimal(0)})
        for dimension in standard.dimensions
    )


def _grades(root: Node) -> tuple[Grade, ...]:
    nodes = root["grades"].items()
    if len(nodes) != len(_GRADES):
        root.findings.add(
            ("grades",), f"{len(nodes)} grades", f"give {len(_GRADES)} grades, best first"
        )
    grades: list[Grade] = []
    for node in nodes:
        node.only(("code", "name", "english", "from"))
        minimum = _decimal(node["from"], 100)
        grade = Grade(
            code=node["code"].text(required=True, what="a short name, e.g. A") or "",
            name=node["name"].text(required=True, what="the grade's name") or "",
            name_en=node["english"].text(required=True, what="its English name") or "",
            minimum=Decimal(0) if minimum is None else minimum,
        )
        if any(grade.code == other.code for other in grades):
            node["code"].add(f"grade '{grade.code}' is given twice", "keep one")
        if grades and minimum is not None and minimum >= grades[-1].minimum:
            node["from"].add("the cuts do not descend", f"less than {grades[-1].minimum}")
        grades.append(grade)
    if grades and grades[-1].minimum != 0:
        nodes[-1]["from"].add("the last grade does not begin at 0", "write from: 0")
    return tuple(grades)


def _changed_indicators(node: Node, standard: ScoringConfig) -> tuple[Indicator, ...]:
    known = {indicator.code: indicator for indicator in standard.indicators}
    for code in node.mapping().names():
        entry = node[code]
        if code not in known:
            entry.add(f"'{code}' is no indicator", nearest(code, known), at_key=True)
            continue
        entry.only(("name", "english", "better"))
        given = {
            "name": entry["name"].text(),
            "name_en": entry["english"].text(),
            "direction": entry["better"].choice([one.value for one in Direction]),
        }
        if given["direction"] is not None:
            given["direction"] = Direction(given["direction"])
        update = {key: value for key, value in given.items() if value is not None}
        known[code] = known[code].model_copy(update=update)
    return tuple(known.values())


def _decimal(node: Node, maximum: int) -> Decimal | None:
    value = node.number(required=True)
    if value is None:
        return None
    # As written: 0.1 is a tenth, not the nearest binary fraction.
    number = Decimal(str(value))
    if 0 <= number <= maximum:
        return number
    node.add(f"{value} is out of bounds", f"write 0 to {maximum}")
    return None
