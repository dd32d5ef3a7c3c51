"""From the drop folder to judged Parquet: every record accounted for, or nothing kept at all."""

from __future__ import annotations

import gzip
import hashlib
import io
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO, cast

import polars as pl
import pytest
from cityledger.contracts.identity import DatasetId, Partition
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
from cityledger.lifecycle.extract import extract
from cityledger.lifecycle.parse import parse
from cityledger.lifecycle.validate import validate
from cityledger.records import Extraction, LandedObject, Receipt, Validation
from cityledger.storage.keys import delivery_id
from cityledger.storage.objects import ObjectStore
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from quality_checks.suite import compile_suite

DAY = "2026-03-31"
HEAD = "办件编号,区划代码,费用\n"


def rule(column: str, name: str, scope: Scope = Scope.ROW, **arguments: Any) -> RuleSpec:
    key = f"gov.cases.{column}.{name}"
    return RuleSpec(key, name, (column,), Severity.BLOCK, "0302", "conformity", scope, arguments)


def contract(**more: Any) -> Contract:
    columns = (
        Column(
            "case_no", ColumnType.STRING, "办件编号", ("办件编号",), primary_key=True, required=True
        ),
        Column("area", ColumnType.STRING, "区划代码", ("区划代码", "行政区划")),
        Column("fee", ColumnType.NUMBER, "费用", ("费用",), precision=(18, 2)),
    )
    given_ = {
        "layout": Layout(),
        "gate": Gate(),
        "source": SourceSpec("drop_folder", {"path": "cases*"}),
        "rules": (
            rule("fee", "type"),
            rule("case_no", "not_null"),
            rule("case_no", "unique", Scope.DATASET),
        ),
    }
    return Contract(
        id=DatasetId("gov", "cases"),
        version="1.0.0",
        title="办件",
        path=Path("contracts/gov/cases.odcs.yaml"),
        sha256="c" * 64,
        columns=columns,
        service_level=ServiceLevel("day", timedelta(days=1), timedelta(days=30)),
        **{**given_, **more},
    )


class House:
    """Drop folder, spool, store and scratch space of one test."""

    def __init__(self, folder: Path, store: Any) -> None:
        self.folder = folder
        self.store = store
        self.drop, self.spool = folder / "drop", folder / "spool"
        self.scratch = folder / "scratch"
        self.drop.mkdir(parents=True)

    def put(self, name: str, data: bytes | str) -> None:
        (self.drop / name).write_bytes(data.encode() if isinstance(data, str) else data)

    def extract(self, contract_: Contract) -> Extraction:
        return extract(contract_, Partition.parse(DAY), spool_dir=self.spool, drop_dir=self.drop)

    def run(self, contract_: Contract | None = None) -> Validation:
        contract_ = contract_ or contract()
        extraction = self.extract(contract_)
        objects = []
        for file in extraction.files:
            ref = self.store.put_bytes(
                "landing", f"gov/cases/{DAY}/{file.name}", file.path.read_bytes()
            )
            objects.append(
                LandedObject(**ref.model_dump(), name=file.name, source_uri=file.source_uri)
            )
        receipt = Receipt(
            dataset=extraction.dataset,
            partition=extraction.partition,
            delivery=delivery_id((o.name, o.sha256) for o in objects),
            sequence=1,
            objects=tuple(objects),
            landed_at=datetime(2026, 4, 1, tzinfo=UTC),
            retain_until=datetime(2036, 4, 1, tzinfo=UTC),
            contract_version=contract_.version,
            contract_sha256=contract_.sha256,
            declared_rows=extraction.declared_rows,
        )
        suite = compile_suite(contract_, codes_dir=self.folder, as_of=date(2026, 3, 31))
        store = cast(ObjectStore, self.store)
        batches = parse(receipt, contract_, suite, store=store)
        return validate(receipt, contract_, suite, batches, store=store, scratch_dir=self.scratch)


@pytest.fixture
def house(tmp_path: Path, folder_store: Any) -> House:
    return House(tmp_path, folder_store(tmp_path / "store"))


def test_spool_holds_the_bytes_untouched(house: House) -> None:
    """Prevents any change between the department's file and the landing bucket."""
    data = b"\xef\xbb\xbf" + HEAD.encode() + b"a,\xff,1\r\n"
    house.put("cases.csv", data)
    (file,) = house.extract(contract()).files
    assert file.path.read_bytes() == data
    assert file.sha256 == hashlib.sha256(data).hexdigest()
    assert file.size == len(data)
    assert file.modified_at is not None


def test_nothing_is_left_in_the_spool_when_a_file_changes(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prevents a half-read delivery from being landed or from filling the disk."""
    house.put("cases_1.csv", HEAD)
    house.put("cases_2.csv", HEAD)
    from cityledger.sources.drop_folder import DropFolder

    real = DropFolder.open

    @contextmanager
    def changing(self: DropFolder, item: Any) -> Iterator[BinaryIO]:
        with real(self, item) as stream:
            yield stream
            if item.name == "cases_2.csv":
                house.put("cases_2.csv", HEAD + "a,b,1\n")

    monkeypatch.setattr(DropFolder, "open", changing)
    with pytest.raises(BadInputError) as caught:
        house.extract(contract())
    assert caught.value.code == "source_changed"
    assert list(house.spool.iterdir()) == []
    monkeypatch.setattr(DropFolder, "open", real)
    assert len(house.extract(contract()).files) == 2


def test_partition_of_another_grain(house: House) -> None:
    """Prevents a month from being searched for as its first day."""
    with pytest.raises(BadInputError) as caught:
        extract(contract(), Partition.parse("2026-03"), spool_dir=house.spool, drop_dir=house.drop)
    assert caught.value.code == "bad_partition"


def test_every_record_is_accounted_for(house: House) -> None:
    """Prevents a record from being lost, or kept twice, anywhere on the way."""
    house.put(
        "cases.csv",
        HEAD + "a,990102,1.50\nb,990102,many\na,990103,2\nc,990102\nd,,3\n合计,,6.50\n",
    )
    result = house.run()
    counts = result.accounting
    assert (counts.extracted, counts.rejected, counts.expected_rejects) == (6, 2, 1)
    assert (counts.parsed, counts.quarantined, counts.validated) == (4, 2, 2)
    assert result.rejects == {"too_few_fields": 1, "total_row": 1}
    assert result.quarantined_by_rule == {
        "gov.cases.case_no.unique": 1,
        "gov.cases.fee.type": 1,
    }
    delivery = result.delivery
    place = f"gov/cases/{DAY}/{delivery}-cccccccc"
    assert result.validated.key == f"{place}/part-00000.parquet"
    good = house.store.frame(result.validated)
    assert good.columns == ["case_no", "area", "fee", "_source_object", "_source_row", "_row_id"]
    assert good.schema["fee"] == pl.Decimal(18, 2)
    assert good["_source_row"].to_list() == [2, 6]
    assert good["_row_id"].to_list() == [f"{delivery}-1-2", f"{delivery}-1-6"]
    assert good["_source_object"][0] == f"s3://landing/gov/cases/{DAY}/cases.csv"
    assert result.quarantined is not None
    held = house.store.frame(result.quarantined)
    assert result.quarantined.key == f"{place}/quarantined.parquet"
    assert held.select("case_no", "area", "fee", "_rules").rows() == [
        ("b", "990102", "many", ["gov.cases.fee.type"]),
        ("a", "990103", "2", ["gov.cases.case_no.unique"]),
    ]
    assert result.rejected is not None
    rejected = house.store.frame(result.rejected)
    assert result.rejected.key == f"{place}/rejected.parquet"
    assert rejected.select("_source_row", "_reason", "_text").rows() == [
        (5, "too_few_fields", "c,990102"),
        (7, "total_row", "合计\t\t6.50"),
    ]
    assert house.store.order == [
        "quarantined.parquet",
        "rejected.parquet",
        "part-00000.parquet",
    ]
    assert list(house.scratch.iterdir()) == []


def test_the_same_delivery_gives_the_same_bytes(house: House) -> None:
    """Prevents re-runs from changing what was published."""
    rows = "".join(f"{i},99010{i % 5},{i}.5\n" for i in range(3000))
    house.put("cases.csv", HEAD + rows + "x,y\nx,y,bad\n")
    first, second = house.run(), house.run()
    assert first == second
    assert first.quarantined is not None
    assert first.rejected is not None


def test_several_files_are_one_delivery(house: House) -> None:
    """Prevents rows of two files from having the same id."""
    house.put("cases_1.csv", HEAD + "a,1,1\n")
    house.put("cases_2.csv.gz", gzip.compress((HEAD + "b,1,1\na,1,1\n").encode()))
    result = house.run()
    good = house.store.frame(result.validated)
    assert good["_row_id"].to_list() == [f"{result.delivery}-1-2", f"{result.delivery}-2-2"]
    assert result.accounting.quarantined == 1, "the key is unique across the files"


def test_members_are_named_in_the_source(house: House) -> None:
    """Prevents a row of an archive from being untraceable to its file."""
    import zipfile

    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("甲.csv", HEAD + "a,1,1\n")
        archive.writestr("乙.csv", HEAD + "b,1,1\n")
    house.put("cases.zip", out.getvalue())
    good = house.store.frame(house.run().validated)
    assert [source.rpartition("#")[2] for source in good["_source_object"]] == ["乙.csv", "甲.csv"]


@pytest.mark.parametrize(("declared", "told"), [(3, True), (2, False), (1, False), (4, True)])
def test_a_declared_count_that_does_not_fit_is_told(
    house: House, declared: int, told: bool
) -> None:
    """Prevents a short delivery from going unnoticed; the 合计 row may be counted or not."""
    house.put("cases.csv", HEAD + "a,1,1\n合计,,1\n")
    house.put("control", str(declared))
    source = SourceSpec("drop_folder", {"path": "cases*", "controlFile": "control"})
    result = house.run(contract(source=source))
    assert result.accounting.declared == declared
    assert bool(result.drift) is told
    if told:
        assert result.drift == (f"declared: {declared} rows, found 2",)


BAD_INPUT = {
    "empty file": (b"\n", "empty_file", "cases.csv"),
    "header only": (HEAD.encode(), "no_records", "cases.csv"),
    "wrong encoding": (
        (HEAD + "é,ü,ö\n" * 9).encode("latin-1", "replace"),
        "wrong_encoding",
        "cases.csv",
    ),
    "truncated gzip": (gzip.compress(HEAD.encode() * 99)[:-20], "truncated_archive", "cases.csv"),
    "duplicate headers": (
        "办件编号,费用,费用\na,1,1\n".encode(),
        "duplicate_header",
        "header in row 1",
    ),
    "renamed column": (
        "办件号,区划代码,费用\na,1,1\n".encode(),
        "missing_column",
        "header in row 1",
    ),
    "missing column": ("区划代码,费用\n1,1\n".encode(), "missing_column", "header in row 1"),
    "extra column": (
        (HEAD.strip() + ",色\na,1,1,红\n").encode(),
        "extra_column",
        "header in row 1",
    ),
}


@pytest.mark.parametrize("case", BAD_INPUT)
def test_bad_input_is_one_clear_error_and_leaves_nothing(house: House, case: str) -> None:
    """Prevents half a delivery in the store; a later correct delivery succeeds."""
    data, code, where = BAD_INPUT[case]
    house.put("cases.csv", data)
    with pytest.raises(BadInputError) as caught:
        house.run()
    error = caught.value
    assert error.code == code
    assert where in error.where
    assert error.fix
    assert house.store.order == []
    assert list(house.scratch.iterdir()) == []
    house.put("cases.csv", HEAD + "a,1,1\n")
    assert house.run().accounting.validated == 1


def test_an_error_in_a_later_file_leaves_nothing(house: House) -> None:
    """Prevents the first of two files from being kept when the second can't be used."""
    house.put("cases_1.csv", HEAD + "a,1,1\n")
    house.put("cases_2.csv", "完全,不同\n1,2\n")
    with pytest.raises(BadInputError):
        house.run()
    assert house.store.order == []


def test_an_error_after_much_was_sent_leaves_nothing(house: House) -> None:
    """Prevents a half-sent object when the second file of a delivery can't be used."""
    cases = pl.DataFrame({"n": pl.int_range(1_000_000, eager=True)}).with_columns(
        number=pl.col("n").hash(1), fee=pl.col("n").hash(2) % 1_000_000
    )
    rows = cases.select("number", pl.lit("1"), "fee").write_csv(include_header=False)
    house.put("cases_1.csv", HEAD + rows)
    house.put("cases_2.csv", "完全,不同\n1,2\n")
    with pytest.raises(BadInputError):
        house.run()
    assert house.store.sent_in_parts == 1
    assert house.store.order == []


def test_header_only_is_fine_when_the_gate_says_so(house: House) -> None:
    """Prevents a stop on days without records, where the contract allows them."""
    house.put("cases.csv", HEAD)
    result = house.run(contract(gate=Gate(min_rows=0)))
    assert result.accounting.extracted == 0
    good = house.store.frame(result.validated)
    assert good.schema["fee"] == pl.Decimal(18, 2)
    assert good.height == 0
    assert result.quarantined is None
    assert result.rejected is None


def test_drift_is_kept(house: House) -> None:
    """Prevents renamed and extra columns from being accepted silently."""
    house.put("cases.csv", "办件编号,行政区划,费用,色\na,1,1,红\n")
    result = house.run(contract(drift=Drift.DISCARD))
    assert len(result.drift) == 2


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    lines=st.lists(
        st.sampled_from(
            [
                "a,1,1",
                "b,2,2.5",
                "c,3,x",
                ",1,1",
                "d,1",
                "e,1,2,3",
                "",
                "合计,,9",
                "f,\0,1",
                '"g,1,1',
            ]
        )
    )
)
def test_the_accounting_identity_holds(
    tmp_path_factory: pytest.TempPathFactory, folder_store: Any, lines: list[str]
) -> None:
    """Prevents any mix of good, bad, odd and blank lines from breaking the identity."""
    folder = tmp_path_factory.mktemp("house")
    house = House(folder, folder_store(folder / "store"))
    house.put("cases.csv", HEAD + "\n".join(lines) + "\n")
    result = house.run(contract(gate=Gate(min_rows=0)))
    counts = result.accounting
    assert counts.extracted == sum(line != "" for line in lines)
    assert counts.rejected == sum(result.rejects.values())
    seen = [
        house.store.frame(ref).height if ref else 0
        for ref in (result.validated, result.quarantined, result.rejected)
    ]
    assert seen == [counts.validated, counts.quarantined, counts.rejected]
    assert sum(seen) == counts.extracted
