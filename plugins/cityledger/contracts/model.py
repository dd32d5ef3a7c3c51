"""A contract as the rest of the house sees it: resolved, checked, immutable.

The file format is ODCS v3.1 (``document.py`` reads it, ``resolve.py`` checks it and builds these
classes). Nothing here reads files, so a half-read contract can't pass for a complete one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any

from cityledger.contracts.identity import DatasetId


class ColumnType(StrEnum):
    """ODCS logical types that an extract's column can have."""

    STRING = "string"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    DATE = "date"
    TIMESTAMP = "timestamp"
    TIME = "time"


class Severity(StrEnum):
    """What a broken rule does: keep the row out, keep it and warn, or only tell."""

    BLOCK = "block"
    WARN = "warn"
    INFO = "info"


class Scope(StrEnum):
    """What a rule looks at: one row, one delivery, or the table over all partitions."""

    ROW = "row"
    DATASET = "dataset"
    HISTORY = "history"


class Drift(StrEnum):
    """What to do with columns that the contract does not know."""

    FREEZE = "freeze"
    DISCARD = "discard"
    EVOLVE = "evolve"


@dataclass(frozen=True, slots=True)
class Threshold:
    """Which number of failing elements a rule bears; else its batch is held.

    Attributes:
        maximum: Largest count (``unit='rows'``) or share in percent (``unit='percent'``) allowed;
            ``inf`` where the operator sets no upper bound.
        reason: Why this figure.
        operator: ODCS operator. Any but ``mustBeLessOrEqualTo`` compares with ``bounds``.
        bounds: One number, or the two of ``mustBeBetween`` and ``mustNotBeBetween`` (inclusive).
    """

    maximum: float
    unit: str = "rows"
    reason: str = ""
    operator: str = "mustBeLessOrEqualTo"
    bounds: tuple[float, ...] = ()

    def holds(self, amount: float) -> bool:
        """Whether that many (or that share of) failing elements are borne."""
        low, high = (self.bounds or (self.maximum,))[0], (self.bounds or (self.maximum,))[-1]
        return {
            "mustBe": amount == low,
            "mustNotBe": amount != low,
            "mustBeGreaterThan": amount > low,
            "mustBeGreaterOrEqualTo": amount >= low,
            "mustBeLessThan": amount < high,
            "mustBeLessOrEqualTo": amount <= high,
            "mustBeBetween": low <= amount <= high,
            "mustNotBeBetween": not low <= amount <= high,
        }[self.operator]

    @property
    def is_limit(self) -> bool:
        """It says "at most ``maximum``" and nothing else."""
        return self.operator == "mustBeLessOrEqualTo"

    @property
    def asks_for_failures(self) -> bool:
        """A bound such as ``mustBeGreaterThan: 5`` judges the delivery; its rows break nothing."""
        return not self.holds(0)

    def __str__(self) -> str:
        bounds = " … ".join(f"{bound:g}" for bound in self.bounds or (self.maximum,))
        sign = _SIGNS[self.operator]
        return f"{sign} {bounds} {'%' if self.unit == 'percent' else self.unit}"


_SIGNS: Mapping[str, str] = {
    "mustBe": "=",
    "mustNotBe": "≠",
    "mustBeGreaterThan": ">",
    "mustBeGreaterOrEqualTo": "≥",
    "mustBeLessThan": "<",
    "mustBeLessOrEqualTo": "≤",
    "mustBeBetween": "within",
    "mustNotBeBetween": "outside",
}


@dataclass(frozen=True, slots=True)
class QualityNote:
    """A promise in words (``type: text``): documentation, not a check.

    Attributes:
        column: Column that it is about; None for the dataset.
    """

    text: str
    column: str | None = None
    name: str = ""
    dimension: str = ""


@dataclass(frozen=True, slots=True)
class RuleSpec:
    """One quality rule of one dataset, as data.

    Attributes:
        key: Stable key: ``<dataset>.<column|_row|_table>.<rule>``, with ``.<n>`` if repeated.
        rule: Name in the rule library (``quality_checks/rules``).
        columns: Columns that it reads, the judged one first; empty for whole-table rules.
        arguments: Parameters of the rule.
        gb_code: GB/T 36344 indicator, four digits.
        dimension: GB/T 36344 dimension that the code belongs to (English field name).
        threshold: None means failing rows never hold the batch by themselves.
        line: Where the contract file says so; 0 if it comes from no file.
    """

    key: str
    rule: str
    columns: tuple[str, ...]
    severity: Severity
    gb_code: str
    dimension: str
    scope: Scope = Scope.ROW
    arguments: Mapping[str, Any] = field(default_factory=dict)
    threshold: Threshold | None = None
    description: str = ""
    line: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a dataset.

    Attributes:
        name: Lower-snake-case name used everywhere after parsing.
        headers: All header texts that mean this column: business name, name, synonyms.
        type: Type after parsing.
        precision: ``(digits, scale)`` when a NUMBER is an exact decimal, else None for float64.
        semantic_type: Value type that normalises and judges the text (``quality_checks/values``).
        unit: Unit of the stored value, e.g. ``元``, ``µg/m³``.
        null_tokens: Texts that mean "no value" here, in addition to the dataset's.
        classification: ``public``, ``internal``, ``personal`` or ``sensitive``.
        options: ODCS ``logicalTypeOptions`` and the value type's own options.
    """

    name: str
    type: ColumnType
    business_name: str
    headers: tuple[str, ...]
    required: bool = False
    unique: bool = False
    primary_key: bool = False
    precision: tuple[int, int] | None = None
    semantic_type: str | None = None
    enum: tuple[str, ...] = ()
    unit: str | None = None
    null_tokens: tuple[str, ...] = ()
    classification: str = "internal"
    description: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Layout:
    """How the files of a dataset look: the header recipe.

    Attributes:
        format: ``csv``, ``excel``, ``jsonl`` or ``json``.
        encoding: ``auto`` (BOM, then strict UTF-8, then GB 18030) or a codec name.
        delimiter: ``auto`` or one character.
        sheet: Name, or 0-based index as text, of the worksheet; None for the first.
        header_rows: Rows that make up the header; texts of merged rows are joined by ``-``.
        skip_rows: Rows before the header; None finds the header by its known texts.
        total_markers: Texts that mark a 合计 row (kept as control totals, not as data).
        note_markers: First-cell prefixes that mark notes under the table.
        group_column: Column filled from group heading rows (one filled cell alone), if any.
        max_bytes: Bound on the decompressed size of a delivery, in bytes.
        part_bytes: Text files larger than this are parsed in parts of about this size, side by
            side; None for always whole.
    """

    format: str = "csv"
    encoding: str = "auto"
    delimiter: str = "auto"
    sheet: str | None = None
    header_rows: int = 1
    skip_rows: int | None = None
    total_markers: tuple[str, ...] = ("合计", "总计", "小计")
    note_markers: tuple[str, ...] = ("注", "备注", "说明", "数据来源", "Note")
    group_column: str | None = None
    max_bytes: int = 64 * 1024**3
    part_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class SourceSpec:
    """Where the dataset comes from: an ODCS server and its connector's options.

    Attributes:
        connector: Name in the connector registry (``cityledger/sources``), e.g. ``drop_folder``.
        options: The connector's own options, e.g. ``{"path": "transport/metro_{yyyymmdd}*.csv"}``.
        pool: Airflow pool that bounds the load on the department's system.
    """

    connector: str
    options: Mapping[str, Any]
    pool: str = "default_pool"


@dataclass(frozen=True, slots=True)
class ServiceLevel:
    """The delivery promise.

    Attributes:
        grain: Partition grain: ``day``, ``month``, ``quarter`` or ``year``.
        latency: How long after the period's end the delivery is due; nominal if it is promised in
            working days.
        retention: How long the landing bucket refuses deletion.
        schedule: Cron expression that Airflow follows; None means triggered only.
        latency_working_days: The promise in working days; None when it is in calendar time.
    """

    grain: str
    latency: timedelta
    retention: timedelta
    schedule: str | None = None
    latency_working_days: int | None = None


@dataclass(frozen=True, slots=True)
class Gate:
    """When a batch is held for a steward.

    Attributes:
        max_quarantined_percent: Largest share of parsed rows that quarantine may take.
        max_rejected_percent: Largest share of extracted records that parsing may reject
            (total rows, notes and group headings are expected and don't count).
        min_rows: Fewest validated rows.
    """

    max_quarantined_percent: float = 5.0
    max_rejected_percent: float = 1.0
    min_rows: int = 1


@dataclass(frozen=True, slots=True)
class Contract:
    """Everything a dataset's contract says.

    Attributes:
        sha256: Of the contract file's bytes; every run records it.
        sharing: Sharing class 1, 2 or 3 (政务信息资源目录) with condition.
        quality_notes: Promises in words, for readers.
        rectification: Where the contract differs from the city's terms of rectification orders:
            field of :class:`~cityledger.contracts.rectification.Rectification` → value.
    """

    id: DatasetId
    version: str
    title: str
    path: Path
    sha256: str
    columns: tuple[Column, ...]
    rules: tuple[RuleSpec, ...]
    source: SourceSpec
    layout: Layout
    service_level: ServiceLevel
    gate: Gate = field(default_factory=Gate)
    drift: Drift = Drift.FREEZE
    null_tokens: tuple[str, ...] = ("",)
    description: str = ""
    owner: str = ""
    steward: str = ""
    contact: str = ""
    sharing: Mapping[str, Any] = field(default_factory=dict)
    quality_notes: tuple[QualityNote, ...] = ()
    rectification: Mapping[str, Any] = field(default_factory=dict)

    @property
    def primary_key(self) -> tuple[str, ...]:
        """Names of the key columns, in the contract's order."""
        return tuple(column.name for column in self.columns if column.primary_key)

    def column(self, name: str) -> Column:
        """The column of that name.

        Raises:
            KeyError: the contract has no such column.
        """
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(f"{self.id} has no column {name}")
