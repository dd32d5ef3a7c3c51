"""Quarantined rows as a file for the department: whole, with reasons, ready to be corrected.

The only way to see quarantined rows unmasked. It takes a reason, and every download is recorded.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final

import polars as pl

from cityledger.contracts.model import Contract
from cityledger.contracts.working_days import WorkingDays
from cityledger.errors import BadInputError
from cityledger.ledger.decisions import Access, DecisionStore
from cityledger.lifecycle.cells import displayed
from cityledger.lifecycle.corrections import FILE, LINE, REASONS, ROW_ID
from cityledger.people import Person
from cityledger.quarantine.access import require_handling, require_reason
from cityledger.quarantine.batches import RULES, HeldRows, newest_validation
from cityledger.quarantine.browse import file_name, file_names
from cityledger.quarantine.kinds import FileKind
from cityledger.quarantine.reasons import explain
from cityledger.quarantine.sheets import ROWS_SHEET, write_csv, write_workbook
from cityledger.records import Record, Validation
from cityledger.runner import Runner
from cityledger.storage.keys import safe_name

#: Working days that a department has when no rectification order sets a day.
DEFAULT_DAYS: Final = 5


class Download(Record):
    """A written file.

    Attributes:
        due: The day by which the corrected file is expected.
    """

    path: Path
    rows: int
    due: date


def download(
    runner: Runner,
    dataset: str,
    partition: str,
    delivery: str | None = None,
    *,
    person: Person,
    reason: str,
    folder: Path,
    kind: FileKind = FileKind.XLSX,
    rule: str | None = None,
    due: date | None = None,
) -> Download:
    """Write a delivery's quarantined rows to a file, and record who did it.

    Args:
        runner: Of the installation.
        dataset: Its id.
        partition: The period's key.
        delivery: None for the newest.
        person: Of the department, or a steward.
        reason: Why the rows are needed; recorded.
        folder: Gets the file.
        kind: Workbook (with instructions) or CSV (UTF-8 with byte order mark).
        rule: Only rows that broke this rule.
        due: When the corrections are expected; by default in `DEFAULT_DAYS` working days.

    Raises:
        BadInputError: ``not_allowed``, ``reason_missing``, ``not_validated``, or
            ``nothing_quarantined``.
    """
    contract = runner.contract(dataset)
    require_handling(person, contract)
    reason = require_reason(reason, "a download of unmasked rows")
    validation = newest_validation(runner.database, dataset, partition, delivery)
    if validation.quarantined is None:
        raise BadInputError(
            "nothing of the delivery is in quarantine",
            where=f"{dataset}/{partition}, delivery {validation.delivery}",
            fix="cityledger quarantine list shows what there is",
            code="nothing_quarantined",
        )
    day = due or _default_due(runner)
    name = f"{dataset}_{partition}_{validation.delivery[:8]}_待更正.{kind}"
    table = _Table(contract, validation, HeldRows(runner.store, validation.quarantined), rule)
    # Recorded first: an unrecorded look is worse than a recorded one that broke off.
    DecisionStore(runner.database).record_access(
        Access(
            dataset=dataset,
            partition=partition,
            delivery=validation.delivery,
            person=person.name,
            action="download",
            reason=reason,
            rows=table.count(),
            detail={"kind": str(kind), "rule": rule},
        )
    )
    path = folder / safe_name(name)
    if kind is FileKind.CSV:
        rows = write_csv(path, table.header, table.rows())
    else:
        rows = write_workbook(path, table.header, table.rows(), _instructions(table, day))
    return Download(path=path, rows=rows, due=day)


def _default_due(runner: Runner) -> date:
    days = WorkingDays.load(runner.settings.contracts_dir)
    return days.add(datetime.now(UTC).date(), DEFAULT_DAYS)


class _Table:
    """The rows as displayed texts, with our columns around the department's own."""

    def __init__(
        self, contract: Contract, validation: Validation, held: HeldRows, rule: str | None
    ) -> None:
        self.contract, self.validation = contract, validation
        self._held, self._rule = held, rule
        self._columns = [column.name for column in contract.columns]
        self._explained: dict[tuple[str, ...], str] = {}

    @property
    def header(self) -> list[str]:
        """Line, reasons, the columns by their business names in order, file, row id."""
        names = [column.business_name for column in self.contract.columns]
        return [LINE, REASONS, *map(displayed, names), FILE, ROW_ID]

    def count(self) -> int:
        """How many rows there will be."""
        if self._rule is None:
            return self.validation.accounting.quarantined
        return self.validation.quarantined_by_rule.get(self._rule, 0)

    def rows(self) -> Iterator[list[str]]:
        """Rows in file order."""
        files = file_names(self.validation)
        for frame in self._held.frames(self._rule):
            for row in _with_all(frame, self._columns).iter_rows(named=True):
                yield [
                    str(row["_source_row"]),
                    self._reasons(tuple(row[RULES] or ())),
                    *(displayed(row[name]) for name in self._columns),
                    displayed(file_name(row["_source_object"], files)),
                    row[ROW_ID],
                ]

    def _reasons(self, keys: tuple[str, ...]) -> str:
        if keys not in self._explained:
            reasons = explain(keys, self.contract)
            chinese = "；".join(one.zh for one in reasons)
            english = "; ".join(one.en for one in reasons)
            self._explained[keys] = displayed(f"{chinese}。 ({english})")
        return self._explained[keys]


def _with_all(frame: pl.DataFrame, columns: Sequence[str]) -> pl.DataFrame:
    """The contract may have got columns since the rows were judged."""
    missing = [pl.lit(None, pl.String).alias(c) for c in columns if c not in frame.columns]
    return frame.with_columns(missing) if missing else frame


def _instructions(table: _Table, due: date) -> Iterator[tuple[str, str, str]]:
    contract, validation = table.contract, table.validation
    yield ("数据更正表", f"{contract.title}（{contract.id}）", "Rows to be corrected")
    yield ("数据时期", validation.partition, "Period")
    yield ("批次", validation.delivery, "Delivery")
    yield ("问题行数", str(table.count()), "Rows")
    day = due.isoformat()
    yield ("截止日期", f"请于 {day} 前提交更正文件", f"Hand in the corrected file by {day}")
    for number, (zh, en) in enumerate(_STEPS, start=1):
        yield (f"步骤 {number}", zh, en)
    command = f"cityledger quarantine correct {contract.id} -p {validation.partition} FILE"
    yield (
        "如何提交",
        f"在平台“隔离区”页面上传本文件（xlsx，或另存为 csv），或由数据管家执行：{command}",
        f"Upload the file on the quarantine page, or have a steward run: {command}",
    )
    yield _PRIVACY


_STEPS: Final = (
    (
        f"在“{ROWS_SHEET}”工作表中直接修改有问题的单元格，“{REASONS}”列说明每行的问题",
        f"Edit the wrong cells; column {REASONS} says what is wrong with each row",
    ),
    (
        f"请勿修改或删除 {ROW_ID} 列，请勿改动列名；暂不更正的行可以保留或删除",
        f"Leave column {ROW_ID} and the header as they are; rows not corrected may stay or go",
    ),
    (
        "请勿新增行：漏报的记录请重新报送整批数据",
        "Do not add rows: missing records come with a new delivery",
    ),
    (
        "单元格开头的英文单引号用于防止内容被当作公式执行，可以保留",
        "An apostrophe at the start keeps a text from running as a formula; it may stay",
    ),
)
_PRIVACY: Final = (
    "个人信息",
    "本文件可能含有个人信息，仅限本部门更正数据使用，用后请删除；本次下载已留痕",
    "May hold personal data: use it for the correction only, then delete it; downloads are logged",
)
