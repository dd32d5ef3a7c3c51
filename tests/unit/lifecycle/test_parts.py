"""A delivery parsed in parts: the same bytes, counts, verdicts and errors as when read whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import pytest
from cityledger.contracts.identity import DatasetId
from cityledger.contracts.model import (
    Column,
    ColumnType,
    Contract,
    Drift,
    Gate,
    Layout,
    RuleSpec,
    Scope,
    ServiceLevel,
    Severity,
    SourceSpec,
)
from cityledger.errors import BadInputError
from cityledger.lifecycle.amendments import NOTHING, Amendments
from cityledger.lifecycle.parse import parse
from cityledger.lifecycle.parts.gather import Gathered
from cityledger.lifecycle.parts.parse_part import parse_part
from cityledger.lifecycle.parts.plan import PartMark, PartShelf, Plan
from cityledger.lifecycle.parts.split import split
from cityledger.lifecycle.readers import encoding
from cityledger.lifecycle.validate import validate
from cityledger.records import LandedObject, Receipt, Validation
from cityledger.storage.keys import delivery_id
from cityledger.storage.objects import ObjectStore
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from quality_checks.suite import Suite, compile_suite

DAY = "2026-03-31"
HEAD = "办件编号,区划代码,费用,序号\n"


def rule(
    column: str,
    name: str,
    scope: Scope = Scope.ROW,
    severity: Severity = Severity.BLOCK,
    **arguments: Any,
) -> RuleSpec:
    key = f"gov.cases.{column}.{name}"
    return RuleSpec(key, name, (column,), severity, "0302", "conformity", scope, arguments)


#: Rules of every form in turn, so that a result in the wrong place shows.
RULES = (
    rule("case_no", "unique", Scope.DATASET),
    rule("fee", "type"),
    rule("fee", "matches_total", Scope.DATASET, Severity.WARN),
    rule("case_no", "not_null"),
    rule("seq", "consecutive", Scope.DATASET, Severity.WARN),
    rule("fee", "between", severity=Severity.WARN, minimum=0, maximum=50),
)


def contract(rules: tuple[RuleSpec, ...] = RULES, **layout: Any) -> Contract:
    columns = (
        Column(
            "case_no", ColumnType.STRING, "办件编号", ("办件编号",), primary_key=True, required=True
        ),
        Column("area", ColumnType.STRING, "区划代码", ("区划代码", "行政区划")),
        Column("fee", ColumnType.NUMBER, "费用", ("费用",), precision=(18, 2)),
        Column("seq", ColumnType.INTEGER, "序号", ("序号",)),
    )
    return Contract(
        id=DatasetId("gov", "cases"),
        version="1.0.0",
        title="办件",
        path=Path("contracts/gov/cases.odcs.yaml"),
        sha256="c" * 64,
        columns=columns,
        rules=rules,
        source=SourceSpec("drop_folder", {"path": "cases*"}),
        layout=Layout(**layout),
        service_level=ServiceLevel("day", timedelta(days=1), timedelta(days=30)),
        gate=Gate(),
        drift=Drift.DISCARD,
    )


@contextmanager
def blocks_of(size: int) -> Iterator[None]:
    """Files are read in blocks of 16 MiB; smaller ones have as many seams in less time."""
    former, encoding.BLOCK = encoding.BLOCK, size
    try:
        yield
    finally:
        encoding.BLOCK = former


@dataclass
class House:
    """A landed delivery that is judged in both ways."""

    folder: Path
    store: Any
    contract: Contract
    files: dict[str, bytes]
    declared: int | None = None
    amendments: Amendments = NOTHING

    @property
    def receipt(self) -> Receipt:
        objects = [
            LandedObject(
                **self.store.put_bytes("landing", f"gov/cases/{DAY}/{name}", data).model_dump(),
                name=name,
                source_uri=f"file:{name}",
            )
            for name, data in self.files.items()
        ]
        return Receipt(
            dataset="gov.cases",
            partition=DAY,
            delivery=delivery_id((o.name, o.sha256) for o in objects),
            sequence=1,
            objects=tuple(objects),
            landed_at=datetime(2026, 4, 1, tzinfo=UTC),
            retain_until=datetime(2036, 4, 1, tzinfo=UTC),
            contract_version=self.contract.version,
            contract_sha256=self.contract.sha256,
            declared_rows=self.declared,
        )

    @property
    def suite(self) -> Suite:
        return compile_suite(self.contract, codes_dir=self.folder, as_of=date(2026, 3, 31))

    def whole(self) -> Validation:
        batches = parse(
            self.receipt, self.contract, self.suite, store=cast(ObjectStore, self.store)
        )
        return self._validate(batches)

    def plan(self, part_bytes: int) -> Plan:
        return split(self.receipt, self.contract, self.store.open, part_bytes)

    def parse(self, plan: Plan, numbers: list[int] | None = None) -> list[PartMark]:
        return [
            parse_part(
                part,
                self.receipt,
                self.contract,
                self.suite,
                store=cast(ObjectStore, self.store),
                scratch_dir=self.folder / "scratch",
            )
            for part in plan.parts
            if numbers is None or part.number in numbers
        ]

    def gather(self, plan: Plan) -> Validation:
        shelf = PartShelf(cast(ObjectStore, self.store), self.receipt, self.contract)
        marks = [mark for mark in shelf.marks(plan) if mark is not None]
        assert len(marks) == len(plan.parts)
        return self._validate(
            Gathered(
                self.receipt,
                self.contract,
                self.suite,
                marks,
                store=cast(ObjectStore, self.store),
                scratch_dir=self.folder / "scratch",
            )
        )

    def _validate(self, batches: Any) -> Validation:
        return validate(
            self.receipt,
            self.contract,
            self.suite,
            batches,
            store=cast(ObjectStore, self.store),
            scratch_dir=self.folder / "scratch",
            amendments=self.amendments,
        )


@pytest.fixture
def build(tmp_path: Path, folder_store: Callable[[Path], Any]) -> Callable[..., House]:
    def made(
        data: bytes | dict[str, bytes], contract_: Contract | None = None, **more: Any
    ) -> House:
        files = data if isinstance(data, dict) else {"cases.csv": data}
        return House(
            tmp_path, folder_store(tmp_path / "store"), contract_ or contract(), files, **more
        )

    return made


def rows(count: int, start: int = 0) -> str:
    return "".join(f"C{n},990101,{n % 60}.50,{n}\n" for n in range(start, start + count))


def outcome(way: Callable[[], Validation]) -> Validation | tuple[str, str]:
    """The verdict, or what is told instead."""
    try:
        return way()
    except BadInputError as error:
        return (error.code, str(error))


# --- equality ------------------------------------------------------------------------------------


PLAIN = ("C1", "C2", "", "990101", "1.5", "7", "x", "  ", "-3", "合计", "注：表", "办件编号", "𠀀")
QUOTED = ('"a,b"', '"zwei\nZeilen"', '"r\r\nn"', '"q""q"', "\0", 'le"er', '"offen')
FIELDS = st.sampled_from((*PLAIN, *QUOTED))
LINES = st.one_of(
    st.lists(FIELDS, min_size=4, max_size=4),
    st.lists(FIELDS, min_size=4, max_size=4),
    st.lists(FIELDS, min_size=4, max_size=4),
    st.lists(FIELDS, min_size=1, max_size=6),
)
ENDS = st.sampled_from(["\n", "\n", "\n", "\r\n", "\r"])
BROKEN_BYTES = st.sampled_from([b"", b"", b"", b"", b"\xff", b"\x81", b"\x81\x30", b"\xe4\xb8"])


@st.composite
def deliveries(draw: st.DrawFn) -> tuple[bytes, str]:
    codec = draw(st.sampled_from(["utf-8", "utf-8", "gb18030"]))
    data = draw(st.sampled_from([b"", b"\xef\xbb\xbf"])) if codec == "utf-8" else b""
    data += draw(st.sampled_from(["", "\n\n", "二〇二六年办件一览表\n"])).encode(codec)
    data += HEAD.encode(codec)
    records = draw(st.lists(st.tuples(LINES, BROKEN_BYTES, ENDS), max_size=40))
    for number, (fields, broken, end) in enumerate(records):
        text = ",".join(fields) if number % 3 else f"C{number},990101,{number},{number}"
        data += text.encode(codec) + broken + end.encode()
    return data, codec


@settings(
    max_examples=120,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(deliveries(), st.integers(40, 400), st.integers(1, 300), st.sampled_from([None, 3, 10]))
def test_parts_give_what_the_whole_gives(
    folder_store: Callable[[Path], Any],
    delivery: tuple[bytes, str],
    block: int,
    part_bytes: int,
    declared: int | None,
) -> None:
    """A record lost, doubled or judged otherwise at a seam would depend on a file's size."""
    with TemporaryDirectory() as folder, blocks_of(block):
        house = House(
            Path(folder),
            folder_store(Path(folder) / "store"),
            contract(),
            {"cases.csv": delivery[0]},
            declared=declared,
        )
        whole = outcome(house.whole)
        plan = house.plan(part_bytes)
        if not plan.parts:
            return
        marks = house.parse(plan)
        if not any(mark.unusable for mark in marks):
            # The records hold keys and SHA-256 of all three files: every byte is the same.
            assert outcome(lambda: house.gather(plan)) == whole
        else:
            assert not isinstance(whole, Validation)
