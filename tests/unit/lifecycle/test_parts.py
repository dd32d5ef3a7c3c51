"""A delivery parsed in parts: the same bytes, counts, verdicts and errors as when read whole."""

from __future__ import annotations

import gzip
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
from cityledger.lifecycle.parts.choose import usable_marks
from cityledger.lifecycle.parts.gather import Gathered
from cityledger.lifecycle.parts.parse_part import parse_part
from cityledger.lifecycle.parts.plan import PartMark, PartShelf, Plan
from cityledger.lifecycle.parts.split import split
from cityledger.lifecycle.readers import encoding
from cityledger.lifecycle.validate import validate
from cityledger.records import Correction, LandedObject, Receipt, Validation, Waiver
from cityledger.storage.keys import delivery_id
from cityledger.storage.objects import ObjectStore
from hypothesis import HealthCheck, event, given, settings
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
# Mostly plain: after a quote that is never closed there is no place to cut.
FIELDS = st.sampled_from(PLAIN * 8 + QUOTED)
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
    records = draw(st.lists(st.tuples(LINES, BROKEN_BYTES, ENDS), min_size=5, max_size=40))
    for number, (fields, broken, end) in enumerate(records):
        text = ",".join(fields) if number % 3 else f"C{number},990101,{number},{number}"
        data += text.encode(codec) + broken + end.encode()
    return data, codec


@settings(
    max_examples=120,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(deliveries(), st.integers(80, 300), st.integers(1, 200), st.sampled_from([None, 3, 10]))
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
        event(f"{min(len(plan.parts), 4)} parts")
        if not plan.parts:
            return
        marks = house.parse(plan)
        if not any(mark.unusable for mark in marks):
            # The records hold keys and SHA-256 of all three files: every byte is the same.
            assert outcome(lambda: house.gather(plan)) == whole
        else:
            assert not isinstance(whole, Validation)


@pytest.mark.parametrize("block", range(200, 330, 10))
def test_the_last_lines_may_end_otherwise(build: Any, block: int) -> None:
    """A batch that ends elsewhere than the whole file's makes another file of the same rows."""
    data = (HEAD + rows(40) + rows(3, 97).replace("\n", "\r")).encode()
    with blocks_of(block):
        house = build(data)
        assert in_parts(house, 1) == house.whole()


def in_parts(house: House, part_bytes: int) -> Validation:
    """Judge by at least three parts."""
    plan = house.plan(part_bytes)
    assert len(plan.parts) >= 3, plan.whole
    house.parse(plan)
    return house.gather(plan)


@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "gb18030"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_plain_file_is_cut_where_it_should_be(build: Any, codec: str, end: str) -> None:
    """Parts that nobody makes, or one giant part, would be no help with a huge file."""
    data = (HEAD + rows(3000)).replace("\n", end).encode(codec)
    with blocks_of(4096):
        house = build(data)
        plan = house.plan(20_000)
        assert [part.number for part in plan.parts] == list(range(1, len(plan.parts) + 1))
        assert plan.parts[0].start == 0
        assert plan.parts[-1].end == len(data)
        for part, following in zip(plan.parts, plan.parts[1:], strict=False):
            assert part.end == following.start
            assert 20_000 <= part.end - part.start < 20_000 + 2 * 4096
            assert following.resume is not None
            assert following.resume.line == 1 + data[: part.end].count(b"\n")
        assert in_parts(house, 20_000) == house.whole()


def test_a_duplicate_in_another_part_is_held_back_with_its_text(build: Any) -> None:
    """Parts judged by themselves would let the same case in twice."""
    with blocks_of(512):
        house = build((HEAD + rows(300) + "C1,990102,x,300\n").encode())
        validation = in_parts(house, 2000)
        assert validation == house.whole()
        held = house.store.frame(validation.quarantined)
    assert held["case_no"].to_list() == ["C1"]
    assert held["fee"].to_list() == ["x"]
    assert held["_source_row"].to_list() == [302]
    assert held["_rules"].to_list() == [["gov.cases.case_no.unique", "gov.cases.fee.type"]]


def test_control_totals_count_over_all_parts(build: Any) -> None:
    """A sum of one part compared with the total of all would hold every large batch."""
    total = sum(n % 60 + 0.5 for n in range(400))
    with blocks_of(512):
        house = build((HEAD + rows(400) + f"合计,,{total:.2f},\n").encode())
        validation = in_parts(house, 2000)
        assert validation == house.whole()
    status = {result.rule: result.status.value for result in validation.results}
    assert status["matches_total"] == "passed"
    assert status["consecutive"] == "passed"
    assert validation.rejects == {"total_row": 1}


def test_without_rules_about_other_rows_only_broken_rows_are_kept_as_text(build: Any) -> None:
    """A second copy of every row would double what the parts write."""
    with blocks_of(512):
        house = build((HEAD + rows(300) + "C9,x,y,z\n").encode(), contract(RULES[1:2]))
        plan = house.plan(2000)
        marks = house.parse(plan)
        assert sum(stretch.held for mark in marks for stretch in mark.stretches) == 1
        assert house.gather(plan) == house.whole()


def test_waivers_let_rows_of_parts_pass(build: Any) -> None:
    """A waiver that parts don't know of would be asked for again with every large delivery."""
    waiver = Waiver(
        id=1,
        dataset="gov.cases",
        rule="gov.cases.fee.type",
        partition=None,
        delivery=None,
        row_ids=(),
        approved_by="steward",
        approved_at=datetime(2026, 4, 1, tzinfo=UTC),
        reason="known",
        valid_until=date(2027, 1, 1),
    )
    with blocks_of(512):
        data = (HEAD + rows(200) + "C900,1,x,200\n" + rows(100, 201)).encode()
        house = build(data, amendments=Amendments(waivers=(waiver,)))
        validation = in_parts(house, 2000)
        assert validation == house.whole()
    assert validation.waived_by_rule == {"gov.cases.fee.type": 1}
    assert validation.quarantined is None


def test_a_small_file_beside_a_large_one_is_a_part_of_its_own(build: Any) -> None:
    """Row ids number the files of a delivery; a part that counts anew would repeat them."""
    files = {
        "cases_1.csv": (HEAD + rows(20)).encode(),
        "cases_2.csv": (HEAD + rows(400, 20)).encode("gb18030"),
        "cases_3.csv": (HEAD + rows(20, 420)).encode(),
    }
    with blocks_of(512):
        house = build(files)
        assert in_parts(house, 3000) == house.whole()
        plan = house.plan(3000)
    assert {part.object for part in plan.parts if part.resume is None} == {0, 1, 2}


# --- what is judged as a whole -------------------------------------------------------------------


WHOLE = {
    "small": (HEAD + rows(20)).encode(),
    "gzip": gzip.compress((HEAD + rows(3000)).encode()),
    "utf-16": (HEAD + rows(3000)).encode("utf-16"),
    "carriage returns": (HEAD + rows(3000)).replace("\n", "\r").encode(),
    "no such header": ("甲,乙,丙\n" + rows(3000)).encode(),
    "no encoding": HEAD.encode() + b"\xff\xfe\xfd,\xff,1,1\n" * 3000,
    "quote without end": (HEAD + '"' + rows(3000)).encode(),
}


@pytest.mark.parametrize("name", WHOLE)
def test_what_cannot_be_cut_is_judged_as_a_whole(build: Any, name: str) -> None:
    """A file cut where it can't be would be judged by records that nobody handed in."""
    with blocks_of(512):
        plan = build(WHOLE[name]).plan(5000)
        assert plan.parts == ()
        assert plan.whole


def test_layouts_that_look_back_are_judged_as_a_whole(build: Any) -> None:
    """A group heading of an earlier part would be missing in the next one."""
    with blocks_of(512):
        data = (HEAD + rows(3000)).encode()
        assert "heading" in build(data, contract(group_column="area")).plan(5000).whole
        assert "json" in build(data, contract(format="json")).plan(5000).whole


# --- parts that are killed -----------------------------------------------------------------------


def test_a_killed_part_is_parsed_again_and_nothing_is_left_out(
    build: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A part that died before its mark must not pass for one without rows."""
    with blocks_of(512):
        house = build((HEAD + rows(400)).encode())
        plan = house.plan(3000)
        shelf = PartShelf(house.store, house.receipt, house.contract)
        assert len(plan.parts) >= 3
        shelf.save_plan(plan)
        house.parse(plan, [1, 3])
        with monkeypatch.context() as broken:
            broken.setattr(PartShelf, "save_mark", killed)
            with pytest.raises(KeyboardInterrupt):
                house.parse(plan, [2])
        marks, why = usable_marks(shelf, NOTHING)
        assert (marks, why) == ([], f"{len(plan.parts) - 2} of its parts are not parsed")
        house.parse(plan, [part.number for part in plan.parts][1:])
        assert len(usable_marks(shelf, NOTHING)[0]) == len(plan.parts)
        assert house.gather(plan) == house.whole()
        assert list((house.folder / "scratch").iterdir()) == []


def killed(*_: object) -> None:
    raise KeyboardInterrupt


def test_marks_of_another_plan_do_not_count(build: Any) -> None:
    """Parts of two plans overlap: rows would be in twice, or not at all."""
    with blocks_of(512):
        house = build((HEAD + rows(400)).encode())
        house.parse(house.plan(3000))
        shelf = PartShelf(house.store, house.receipt, house.contract)
        shelf.save_plan(house.plan(1500))
        assert usable_marks(shelf, NOTHING)[0] == []


def test_a_part_that_cannot_be_read_sends_the_delivery_the_whole_way(build: Any) -> None:
    """The second file's missing header must be told as ever, with the file's name."""
    files = {"cases_1.csv": (HEAD + rows(400)).encode(), "cases_2.csv": b"a,b\n1,2\n"}
    with blocks_of(512):
        house = build(files)
        plan = house.plan(3000)
        house.parse(plan)
        shelf = PartShelf(house.store, house.receipt, house.contract)
        shelf.save_plan(plan)
        marks, why = usable_marks(shelf, NOTHING)
    assert marks == []
    assert "missing_column" in why


def test_corrected_rows_send_a_delivery_the_whole_way(build: Any) -> None:
    """Parts were typed from what was handed in, without what people have put right since."""
    with blocks_of(512):
        house = build((HEAD + rows(400)).encode())
        plan = house.plan(3000)
        house.parse(plan)
        shelf = PartShelf(house.store, house.receipt, house.contract)
        shelf.save_plan(plan)
        corrected = Correction(
            dataset="gov.cases",
            partition=DAY,
            delivery=house.receipt.delivery,
            file=house.receipt.objects[0],
            row_ids=("x-1-2",),
            submitted_by="clerk",
            submitted_at=datetime(2026, 4, 2, tzinfo=UTC),
        )
        assert "corrected" in usable_marks(shelf, Amendments((corrected,)))[1]
