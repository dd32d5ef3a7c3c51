"""Texts on their way into a download and back; corrected rows in the place of the old."""

from __future__ import annotations

import csv
import io
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import openpyxl
import polars as pl
import pytest
from cityledger.contracts.registry import load_contract
from cityledger.errors import BadInputError
from cityledger.lifecycle.amendments import Amendments, CorrectedRows, Leave
from cityledger.lifecycle.cells import as_written, displayed
from cityledger.lifecycle.corrections import read_corrections
from cityledger.lifecycle.readers.headers import match_texts
from cityledger.quarantine.sheets import write_csv, write_workbook
from cityledger.records import Correction, LandedObject, Waiver
from cityledger.settings import PROJECT_DIR
from hypothesis import given, settings
from hypothesis import strategies as st

from quality_checks.session import Verdict

CONTRACT = load_contract(PROJECT_DIR / "contracts/gov_services/service_cases.odcs.yaml")
COLUMNS = [column.name for column in CONTRACT.columns]
HEADER = ["_行号", "_问题", *(c.business_name for c in CONTRACT.columns), "_文件", "_row_id"]
ID = "31eedad22942d15e"
PERSON = "11010519491231002X"

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
risky = st.builds(
    str.__add__,
    st.sampled_from(["=", "+", "-", "@", "\t", "\r", "'=", "''-", "＝", "_x003D_"]),
    texts,
)


def row(number: int, **cells: str) -> list[str]:
    values = [cells.get(name, "x") for name in COLUMNS]
    return [str(number), "", *values, "file", f"{ID}-1-{number}"]


def as_csv(rows: list[list[str]], encoding: str = "utf-8") -> bytes:
    buffer = io.StringIO()
    csv.writer(buffer).writerows([HEADER, *rows])
    return buffer.getvalue().encode(encoding)


@given(st.one_of(texts, risky))
def test_what_nobody_touched_comes_back_as_it_was(text: str) -> None:
    """A correction that changes a cell which nobody edited forges what the department said."""
    cell = displayed(text)
    assert displayed(as_written(cell)) == cell
    if not (set(text) & set("\r") or "\ufffd" in cell):
        assert as_written(cell) == text


@given(st.one_of(texts, risky))
def test_no_cell_runs_as_a_formula(text: str) -> None:
    """A department's text must not run in a colleague's spreadsheet."""
    cell = displayed(text)
    if cell[:1] in tuple("=@\t\r＝＠"):
        pytest.fail(repr(cell))
    if cell[:1] in ("+", "-"):
        float(cell)


@settings(max_examples=25, deadline=None)
@given(values=st.lists(st.one_of(texts, risky), min_size=2, max_size=2))
def test_a_file_travels_there_and_back(tmp_path_factory: Any, values: list[str]) -> None:
    """Excel's format and CSV both bend text; the bent forms have to be known."""
    folder: Path = tmp_path_factory.mktemp("files")
    rows = [row(2, item_name=displayed(values[0])), row(3, phone=displayed(values[1]))]
    write_csv(folder / "a.csv", HEADER, rows)
    write_workbook(folder / "a.xlsx", HEADER, rows, [("t", "zh", "en")])
    for name in ("a.csv", "a.xlsx"):
        read = read_corrections((folder / name).read_bytes(), name, CONTRACT)
        assert read["_row_id"].to_list() == [f"{ID}-1-2", f"{ID}-1-3"]
        assert displayed(read["item_name"][0]) == rows[0][2 + COLUMNS.index("item_name")]
        assert displayed(read["phone"][1]) == rows[1][2 + COLUMNS.index("phone")]
    cells = [cell for one in openpyxl.load_workbook(folder / "a.xlsx") for r in one for cell in r]
    assert {cell.data_type for cell in cells if cell.value is not None} == {"s"}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
def test_departments_save_in_their_own_encoding(encoding: str) -> None:
    """Excel saves CSV in GBK, WPS in UTF-8, "Unicode text" is UTF-16."""
    read = read_corrections(as_csv([row(2, department="民政局")], encoding), "a.csv", CONTRACT)
    assert read["department"].to_list() == ["民政局"]
    assert read["_line"].to_list() == [2]


def test_a_file_without_row_ids_is_told_so() -> None:
    """A file of one's own making can't be matched to rows."""
    with pytest.raises(BadInputError) as caught:
        read_corrections("办件编号\nYX1\n".encode(), "a.csv", CONTRACT)
    assert caught.value.code == "no_row_ids"


def test_a_whole_id_number_never_gets_into_an_error_text() -> None:
    """Messages end in logs, lineage and e-mails. Without a header a record stands in its place."""
    record = [PERSON, "张三", "13800138000", "2026-03-31"]
    with pytest.raises(BadInputError) as caught:
        match_texts(record, CONTRACT, "a.csv")
    assert PERSON not in str(caught.value)
    assert "张三" not in str(caught.value)
    with pytest.raises(BadInputError) as caught:
        match_texts(["办件编号", PERSON], CONTRACT, "a.csv")
    assert PERSON not in str(caught.value)
    assert "****" in str(caught.value)


# --- amendments --------------------------------------------------------------------------------


class OneFile:
    """A store that holds files by key."""

    def __init__(self, **files: bytes) -> None:
        self._files = files

    @contextmanager
    def open(self, ref: LandedObject) -> Any:
        yield io.BytesIO(self._files[ref.key])


def correction(key: str, *numbers: int) -> Correction:
    file = LandedObject(
        bucket="landing", key=key, version_id="1", sha256=key, size=1, name="a.csv", source_uri="u"
    )
    return Correction(
        dataset=str(CONTRACT.id),
        partition="2026-03-31",
        delivery=ID,
        file=file,
        row_ids=tuple(f"{ID}-1-{n}" for n in numbers),
        submitted_by="clerk",
        submitted_at=datetime(2026, 4, 1, tzinfo=UTC),
    )


def source(**columns: list[str | None]) -> pl.DataFrame:
    height = len(next(iter(columns.values())))
    frame = pl.DataFrame({name: columns.get(name, ["x"] * height) for name in COLUMNS})
    return frame.with_columns(
        pl.lit("s3://landing/a.csv").alias("_source_object"),
        pl.Series("_source_row", range(2, 2 + height), dtype=pl.Int64),
        pl.Series("_row_id", [f"{ID}-1-{n}" for n in range(2, 2 + height)]),
    )


def test_corrected_rows_take_the_place_of_the_old() -> None:
    """Only named rows change, only in what was edited, and the later file of two counts."""
    store: Any = OneFile(
        a=as_csv([row(2, channel="网上"), row(3, channel="stays out"), row(4, channel="窗口")]),
        b=as_csv([row(4, channel="掌上")]),
    )
    rows = CorrectedRows((correction("a", 2, 4), correction("b", 4)), CONTRACT, store)
    before = source(channel=["?", "?", "?"], phone=["x", "\r\nx", None])
    after = rows.apply(before)
    assert after["channel"].to_list() == ["网上", "?", "掌上"]
    assert after["_source_row"].to_list() == [2, 3, 4]
    assert after["_row_id"].to_list() == before["_row_id"].to_list()
    assert after["_source_object"].to_list() == [
        "s3://landing/a",
        "s3://landing/a.csv",
        "s3://landing/b",
    ]
    assert after.columns == before.columns
    assert rows.applied == 2


def test_a_cell_that_looks_the_same_stays_as_it_was_handed_in() -> None:
    """A line end that a spreadsheet rewrote is nobody's correction."""
    cell = displayed("a\r\nb\x01")
    store: Any = OneFile(a=as_csv([row(2, item_name=cell, phone="", channel="网上")]))
    rows = CorrectedRows((correction("a", 2),), CONTRACT, store)
    after = rows.apply(source(item_name=["a\r\nb\x01"], phone=[None], channel=["?"]))
    assert after.select("item_name", "phone", "channel").row(0) == ("a\r\nb\x01", None, "网上")


RULES = [f"{CONTRACT.id}.phone.type", f"{CONTRACT.id}.satisfaction.between"]


def waiver(rule: str, *row_ids: str) -> Waiver:
    return Waiver(
        id=1,
        dataset=str(CONTRACT.id),
        rule=rule,
        partition=None,
        delivery=None,
        row_ids=row_ids,
        approved_by="steward",
        approved_at=datetime(2026, 4, 1, tzinfo=UTC),
        reason="r",
        valid_until=date(2026, 5, 1),
    )


@given(
    st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=8),
    st.lists(st.integers(0, 7), max_size=4),
)
def test_leave_is_given_for_the_waived_rule_and_rows_only(
    broken: list[tuple[bool, bool]], excused: list[int]
) -> None:
    """A row that breaks another rule, too, stays out."""
    ids = pl.Series([str(n) for n in range(len(broken))])
    failing = {key: pl.Series([pair[at] for pair in broken]) for at, key in enumerate(RULES)}
    verdict = Verdict(failing, failing[RULES[0]] | failing[RULES[1]], pl.Series([None] * len(ids)))
    leave = Leave((waiver(RULES[0], *map(str, excused)),), CONTRACT)
    named = set(excused) if excused else set(range(8))
    expected = [second or (first and at not in named) for at, (first, second) in enumerate(broken)]
    assert leave.blocked(verdict, ids).to_list() == expected
    assert leave.waived[RULES[0]] == sum(
        first and at in named for at, (first, _) in enumerate(broken)
    )


def test_keys_are_named_by_what_was_decided() -> None:
    """Two judgements that differ must not share an object, and equal ones need no second."""
    empty = Amendments()
    one = Amendments((correction("a", 2),))
    two = Amendments((correction("a", 2),), (waiver(RULES[0]),))
    assert empty.tag == ""
    assert len({empty.tag, one.tag, two.tag}) == 3
    assert Amendments((correction("a", 2),)).tag == one.tag
