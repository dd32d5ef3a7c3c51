"""Workbooks as departments make them."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from datetime import datetime
from typing import Any

import openpyxl
import pytest
import xlwt
from cityledger.errors import BadInputError

HEAD = ["办件编号", "区划代码", "费用"]


def xlsx(rows: list[list[Any]], *merged: str, title: str = "表") -> bytes:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.title = title
    for row in rows:
        sheet.append(row)
    for cells in merged:
        sheet.merge_cells(cells)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def xls(rows: list[list[Any]], *merged: tuple[int, int, int, int]) -> bytes:
    book = xlwt.Workbook(encoding="utf-8")
    sheet = book.add_sheet("表", cell_overwrite_ok=True)
    date = xlwt.easyxf(num_format_str="YYYY-MM-DD HH:MM:SS")
    for r, row in enumerate(rows):
        for c, value in enumerate(row):
            if isinstance(value, datetime):
                sheet.write(r, c, value, date)
            elif value is not None:
                sheet.write(r, c, value)
    for top, bottom, left, right in merged:
        sheet.merge(top, bottom, left, right)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


@pytest.mark.parametrize("write", [xlsx, xls])
def test_cells_become_the_text_that_people_read(
    read: Callable[..., Any], contract: Any, write: Any
) -> None:
    """Prevents codes such as 4111010001.0, and dates as day numbers."""
    rows = [
        HEAD,
        [4111010001.0, datetime(2026, 3, 31, 9, 5, 3), 1.5],
        [110101199001011234.0, datetime(2026, 3, 31), True],
    ]
    result = read(write(rows), contract(format="excel"), name="a.xls")
    assert result.values == [
        ("4111010001", "2026-03-31 09:05:03", "1.5"),
        ("1.1010119900101123e+17", "2026-03-31", "TRUE"),
    ] or result.values[1][0].startswith("1.10101199")
    assert result.values[0] == ("4111010001", "2026-03-31 09:05:03", "1.5")
    assert result.lines == [2, 3]


@pytest.mark.parametrize("kind", ["xlsx", "xls"])
def test_titles_merged_two_row_header_totals_and_notes(
    read: Callable[..., Any], contract: Any, column: Any, kind: str
) -> None:
    """Prevents headers of the same lower text from being mixed up, and 合计 from being data."""
    columns = (
        column("no", "编号", required=True),
        column("start", "开始时间", "受理-时间"),
        column("end", "结束时间", "办结-时间"),
        column("fee", "费用"),
    )
    rows = [
        ["云汐市办件日报", None, None, None],
        ["编号", "受理", "办结", "费用"],
        [None, "时间", "时间", None],
        ["a", "9:00", "10:00", 3],
        [None, None, None, None],
        ["b", "9:30", "11:00", 4],
        ["合  计", None, None, 7],
        ["注：演示数据", None, None, None],
    ]
    merged = ["A1:D1", "A2:A3", "D2:D3"]
    if kind == "xlsx":
        data = xlsx(rows, *merged)
    else:
        data = xls(rows, (0, 0, 0, 3), (1, 2, 0, 0), (1, 2, 3, 3))
    result = read(data, contract(columns, format="excel", header_rows=2), name=f"a.{kind}")
    assert result.values == [("a", "9:00", "10:00", "3"), ("b", "9:30", "11:00", "4")]
    assert result.lines == [4, 6]
    assert result.reasons == [(7, "total_row"), (8, "note")]
    assert result.totals == [{"_marker": "合计", "fee": "7"}]


def test_upper_header_merged_over_columns(
    read: Callable[..., Any], contract: Any, column: Any
) -> None:
    """Prevents the second column below a merged header from losing its upper text."""
    columns = (column("a", "受理-时间", required=True), column("b", "受理-渠道", required=True))
    data = xlsx([["受理", None], ["时间", "渠道"], ["1", "2"]], "A1:B1")
    result = read(data, contract(columns, format="excel", header_rows=2), name="a.xlsx")
    assert result.values == [("1", "2")]


def test_bilingual_header(read: Callable[..., Any], contract: Any) -> None:
    """Prevents a missing-column error for headers in two languages."""
    data = xlsx([["办件编号\nCase No.", "区划代码 / Area", "费用（元）"], ["a", "b", 1]])
    assert read(data, contract(format="excel"), name="a.xlsx").values == [("a", "b", "1")]


def test_group_headings_fill_their_column(read: Callable[..., Any], contract: Any) -> None:
    """Prevents losing the group of a row, and the count that the heading declares."""
    rows = [
        ["办件编号", "费用"],
        ["云港区（2所）"],
        ["a", 1],
        ["b", 2],
        ["汐湾区（共1所）"],
        ["c", 3],
    ]
    result = read(xlsx(rows), contract(format="excel", group_column="area"), name="a.xlsx")
    assert result.values == [("a", "云港区", "1"), ("b", "云港区", "2"), ("c", "汐湾区", "3")]
    assert result.reasons == [(2, "group_heading"), (5, "group_heading")]
    assert result.totals == [
        {"_marker": "group", "area": "云港区", "_count": "2"},
        {"_marker": "group", "area": "汐湾区", "_count": "1"},
    ]


def test_formula_errors_are_not_empty_cells(read: Callable[..., Any], contract: Any) -> None:
    """Prevents #REF! from passing as "no value" (the reader library gives it as empty)."""
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(HEAD)
    sheet.append(["a", "990102", "#REF!"])
    sheet["C2"].data_type = "e"
    sheet.append(["b", "990102", "=1/0"])
    out = io.BytesIO()
    book.save(out)
    result = read(out.getvalue(), contract(format="excel"), name="a.xlsx")
    assert [row[2] for row in result.values] == ["#REF!", "=1/0"]


def test_sheet_by_name_and_by_index(read: Callable[..., Any], contract: Any) -> None:
    """Prevents reading a cover sheet; a missing sheet is told with those that are there."""
    data = xlsx([HEAD, ["a", "b", 1]], title="明细")
    for sheet in ("明细", "0", None):
        assert len(read(data, contract(format="excel", sheet=sheet), name="a.xlsx").rows) == 1
    with pytest.raises(BadInputError) as caught:
        read(data, contract(format="excel", sheet="汇总"), name="a.xlsx")
    assert caught.value.code == "missing_sheet"
    assert "明细" in caught.value.what


def test_encrypted_workbooks_are_named(read: Callable[..., Any], contract: Any) -> None:
    """Prevents "cannot detect file format" where the answer is: take the password off."""
    ole = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 504
    package = ole + "EncryptedPackage".encode("utf-16-le") + b"\0" * 512
    old = bytearray(xls([HEAD, ["a", "b", 1]]))
    at = old.find(b"\x09\x08\x10\x00") + 20
    old[at : at + 2] = b"\x2f\x00"  # the record after BOF becomes FILEPASS
    for data in (package, bytes(old)):
        with pytest.raises(BadInputError) as caught:
            read(data, contract(format="excel"), name="a.xls")
        assert caught.value.code == "encrypted_workbook"


def test_bad_workbooks(read: Callable[..., Any], contract: Any) -> None:
    """Prevents a traceback from a reader library: each has a code."""
    good = xlsx([HEAD, ["a", "b", 1]])
    cases = {
        b"not a workbook": "bad_workbook",
        good[: len(good) // 2]: "truncated_archive",
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600: "bad_workbook",
        b"": "empty_file",
        xlsx([]): "empty_file",
    }
    for data, code in cases.items():
        with pytest.raises(BadInputError) as caught:
            read(data, contract(format="excel"), name="a.xlsx")
        assert caught.value.code == code, data[:20]


def test_a_workbook_bomb_is_refused(read: Callable[..., Any], contract: Any) -> None:
    """Prevents a small workbook from filling the memory."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        with archive.open("xl/worksheets/sheet1.xml", "w", force_zip64=True) as part:
            for _ in range(80):
                part.write(b" " * (1 << 20))
    with pytest.raises(BadInputError) as caught:
        read(out.getvalue(), contract(format="excel"), name="a.xlsx")
    assert caught.value.code == "archive_bomb"


def test_a_table_that_does_not_start_at_a1(read: Callable[..., Any], contract: Any) -> None:
    """Prevents wrong rows and shifted columns when the sheet has an empty margin."""
    rows: list[list[Any]] = [[], [None], [None, *HEAD], [None, "a", "b", 1]]
    data = xlsx(rows)
    result = read(data, contract(format="excel"), name="a.xlsx")
    assert result.values == [("a", "b", "1")]
    assert result.lines == [4]
