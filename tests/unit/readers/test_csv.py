"""CSV: every record comes back equal with its line, or is rejected alone with a reason."""

from __future__ import annotations

import csv
import io
import threading
from collections.abc import Callable
from typing import Any

import pytest
from cityledger.errors import BadInputError
from cityledger.lifecycle.readers.csv import read_csv
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

HEAD = "办件编号,区划代码,费用\n"


def test_plain_file(read: Callable[..., Any]) -> None:
    """Prevents an off-by-one in lines, and empty text turned into null."""
    result = read((HEAD + "a1,990102,1.50\na2,,\n").encode())
    assert result.values == [("a1", "990102", "1.50"), ("a2", "", "")]
    assert result.lines == [2, 3]
    assert result.rejects == []


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
def test_encodings_are_told_apart(read: Callable[..., Any], encoding: str) -> None:
    """Prevents mojibake: a rare hanzi outside GBK and one outside the BMP come back equal."""
    text = HEAD + "一号,㐂𠮷龦·×,壹佰\n二号,“引号”,￥\n"
    result = read(text.encode(encoding))
    assert result.values == [("一号", "㐂𠮷龦·×", "壹佰"), ("二号", "“引号”", "￥")]


def test_an_ascii_header_defers_the_choice(read: Callable[..., Any]) -> None:
    """Prevents choosing UTF-8 for good because the first lines are plain ASCII."""
    result = read("case_no,area,fee\n1,2,3\n4,云港区,6\n".encode("gb18030"))
    assert result.values[1] == ("4", "云港区", "6")


def test_the_first_chinese_line_may_come_late(
    read: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prevents a crash when the sample of lines would hold plain ASCII only."""
    monkeypatch.setattr("cityledger.lifecycle.readers.encoding._SAMPLE_LINES", 2)
    data = "case_no,area,fee\n" + "1,2,3\n" * 9 + "4,云港区,6\n"
    assert read(data.encode("gb18030")).values[-1] == ("4", "云港区", "6")


def test_line_ends_may_mix(read: Callable[..., Any]) -> None:
    """Prevents lost records and wrong lines in files glued from several systems."""
    result = read((HEAD + "a,1,x\r\nb,2,y\nc,3,z\rd,4,w").encode())
    assert [row[0] for row in result.values] == ["a", "b", "c", "d"]
    assert result.lines == [2, 3, 4, 5]
    assert result.rejects == []


def test_line_ends_inside_quotes_are_data(read: Callable[..., Any]) -> None:
    """Prevents cutting a record at the line end in its text, and miscounting what follows."""
    data = HEAD.replace("\n", "\r\n") + '"a\nb",1,"x\r\ny"\r\nc,2,"p\rq"\r\nd,3,z\r\n'
    result = read(data.encode())
    assert result.values == [("a\nb", "1", "x\r\ny"), ("c", "2", "p\rq"), ("d", "3", "z")]
    assert result.lines == [2, 5, 7]


def test_ragged_records_are_rejected_alone(read: Callable[..., Any]) -> None:
    """Prevents shifted columns: too few and too many fields never become a row."""
    wide = ",".join(["x"] * 10_000)
    result = read((HEAD + f"a,1,2\nb,1\n{wide}\nc,1,2\n").encode())
    assert [row[0] for row in result.values] == ["a", "c"]
    assert result.reasons == [(3, "too_few_fields"), (4, "too_many_fields")]
    text = next(entry.text for entry in result.rejects if entry.row == 4)
    assert len(text) < 2_100
    assert text.endswith("(19999 characters)")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.lists(st.sampled_from([1, 2, 2, 2, 3, 4]), min_size=2, max_size=30),
    st.integers(0, 100_000),
)
def test_ragged_records_that_make_up_for_each_other_are_rejected(
    read: Callable[..., Any], commas: list[int], plain: int
) -> None:
    """Prevents fields that slide from one record to the next because the sum of fields fits."""
    commas += [4] * max(0, 2 * len(commas) - sum(commas))
    commas += [1] * (sum(commas) - 2 * len(commas))
    body = "9,9,9\n" * plain + "".join("7" + ",7" * count + "\n" for count in commas)
    result = read((HEAD + body).encode())
    told = {1: "too_few_fields", 3: "too_many_fields", 4: "too_many_fields"}
    want = [(plain + 2 + at, told[c]) for at, c in enumerate(commas) if c in told]
    assert [(entry.row, entry.reason) for entry in result.rejects] == want
    assert len(result.rows) == plain + commas.count(2)


def test_nul_bytes_reject_their_record(read: Callable[..., Any]) -> None:
    """Prevents NUL bytes from reaching tables or truncating text."""
    result = read((HEAD + "a,1,2\nb,\0,2\nc,1,2\n").encode())
    assert [row[0] for row in result.values] == ["a", "c"]
    assert result.reasons == [(3, "nul_byte")]


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030"])
def test_an_undecodable_record_is_rejected_alone(read: Callable[..., Any], encoding: str) -> None:
    """Prevents one broken byte from refusing (or garbling) a whole delivery."""
    lines = [f"编号{i},云港区,{i}\n".encode(encoding) for i in range(50)]
    lines[7] = b"\xff\xff,x,y\n"
    lines[9] = "编号9,云".encode(encoding)[:-1] + b"\n"
    result = read(HEAD.encode(encoding) + b"".join(lines))
    assert len(result.rows) == 48
    assert result.reasons[0] == (9, "undecodable")
    assert result.reasons[1][0] == 11
    assert "\\xff" in next(entry.text for entry in result.rejects if entry.row == 9)


def test_the_header_outweighs_broken_lines(read: Callable[..., Any]) -> None:
    """Prevents a Chinese header over plain rows from turning to rubbish for two broken lines."""
    result = read(HEAD.encode() + b"1,2,3\n" * 9 + b"\xc4a,1,2\n\xff,1,2\n")
    assert len(result.rows) == 9
    assert result.reasons == [(11, "undecodable"), (12, "undecodable")]


def test_wrong_encoding_is_one_clear_error(read: Callable[..., Any], contract: Any) -> None:
    """Prevents thousands of rejects where one sentence says what is wrong."""
    data = (HEAD + "é,ü,ö\n" * 20).encode("latin-1", "replace")
    with pytest.raises(BadInputError) as caught:
        read(data)
    assert caught.value.code == "wrong_encoding"
    with pytest.raises(BadInputError) as caught:
        read((HEAD + "一,二,三\n" * 20).encode(), contract(encoding="gb18030"))
    assert caught.value.code == "wrong_encoding"
    assert "the contract says gb18030, the file is utf-8" in caught.value.what


def test_utf16_without_mark_is_named(read: Callable[..., Any]) -> None:
    """Prevents rejecting every record of a UTF-16 file for its NUL bytes."""
    with pytest.raises(BadInputError) as caught:
        read(("case_no,area,fee\n" * 5).encode("utf-16-le"))
    assert caught.value.code == "wrong_encoding"
    assert "UTF-16" in caught.value.what


@pytest.mark.parametrize("delimiter", [",", "\t", ";", "|"])
def test_delimiter_is_the_one_that_shows_the_header(
    read: Callable[..., Any], delimiter: str
) -> None:
    """Prevents sniffing by counting: the amounts here hold more commas than the real delimiter."""
    rows = [["办件编号", "区划代码", "费用"], ["a", "1;2", "1,000,000.00"], ["b", "3|4", "2\t3"]]
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter).writerows(rows)
    result = read(out.getvalue().encode())
    assert result.values == [tuple(row) for row in rows[1:]]


def test_a_delimiter_of_several_bytes_is_refused(read: Callable[..., Any], contract: Any) -> None:
    """Prevents cutting inside a character when the contract names a full-width comma."""
    with pytest.raises(BadInputError) as caught:
        read(HEAD.encode(), contract(delimiter="，"))
    assert caught.value.code == "bad_delimiter"


def test_stray_quotes_stay_text(read: Callable[..., Any]) -> None:
    """Prevents an inch mark from swallowing the following lines."""
    result = read((HEAD + 'a,5" 管,1\nb,"好",2\nc, "x",3\n').encode())
    assert result.values == [("a", '5" 管', "1"), ("b", "好", "2"), ("c", ' "x"', "3")]
    assert result.lines == [2, 3, 4]


def test_an_unclosed_quote_costs_its_line_only(read: Callable[..., Any]) -> None:
    """Prevents the rest of the file from vanishing into one field."""
    result = read((HEAD + 'a,1,2\nb,"open,2\nc,1,2\nd,"x",2\n').encode())
    assert [row[0] for row in result.values] == ["a", "c", "d"]
    assert result.reasons == [(3, "bad_quotes")]
    assert result.lines == [2, 4, 5]


def test_blank_lines_do_not_count(read: Callable[..., Any]) -> None:
    """Prevents blank lines from being counted as records or shifting line numbers."""
    result = read(("\n" + HEAD + "\na,1,2\n  \n\nb,1,2\n\n").encode())
    assert result.lines == [4, 7]
    assert result.rejects == []


def test_totals_notes_and_blank_records_are_expected(read: Callable[..., Any]) -> None:
    """Prevents 合计 rows from being counted as cases, and their figures from being lost."""
    data = HEAD + "a,1,2\nb,1,5\n合 计,,7\n,,\n注：数据由程序生成,,\n数据来源：演示\n"
    result = read(data.encode())
    assert [row[0] for row in result.values] == ["a", "b"]
    assert result.reasons == [
        (4, "total_row"),
        (5, "blank_record"),
        (6, "note"),
        (7, "note"),
    ]
    assert result.totals == [{"_marker": "合计", "fee": "7"}]


def test_data_that_starts_like_a_note_stays(read: Callable[..., Any]) -> None:
    """Prevents a record from being dropped because its key begins with 注 or 说明."""
    result = read((HEAD + "注册001,1,2\n说明书,1,2\n合计师,1,2\n").encode())
    assert len(result.rows) == 3


def test_titles_above_the_header_are_skipped(read: Callable[..., Any]) -> None:
    """Prevents a title row from being taken for the header."""
    result = read(("云汐市办件日报,,\n日期：2026-03-31,,\n" + HEAD + "a,1,2\n").encode())
    assert result.lines == [4]


def test_an_endless_line_is_bounded(
    read: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, small_blocks: int
) -> None:
    """Prevents unbounded memory, and keeps what follows the line."""
    monkeypatch.setattr("cityledger.lifecycle.readers.records.MAX_RECORD", 200)
    for end in ("\n", "\r\n", "\r"):
        lines = [
            "办件编号,区划代码,费用",
            "a,1,2",
            "x" * 1_000,
            "b,1,2",
            '"' + "y," * 500,
            "c,1,2",
            "",
        ]
        result = read(end.join(lines).encode())
        assert [row[0] for row in result.values] == ["a", "b", "c"], repr(end)
        assert result.lines == [2, 4, 6]
        assert [row for row, _ in result.reasons] == [3, 5]


FIELD = st.text(
    st.characters(codec="gb18030", exclude_characters="\0\ufeff", exclude_categories=("Cs", "Co")),
    max_size=12,
)
RECORD = st.tuples(FIELD, FIELD, FIELD).filter(
    lambda record: record[0].strip() and record[0].strip()[0] not in "合总小注备说数N"
)


@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    records=st.lists(RECORD, min_size=1, max_size=15),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
    delimiter=st.sampled_from([",", "\t", ";", "|"]),
    line_end=st.sampled_from(["\n", "\r\n", "\r"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "gb18030", "utf-16"]),
)
@example(
    records=[('a"b', "c\r", "\n"), ("x", "", '""')],
    quoting=csv.QUOTE_ALL,
    delimiter=",",
    line_end="\r\n",
    encoding="utf-8",
)
def test_whatever_python_writes_comes_back(
    read: Callable[..., Any],
    small_blocks: int,
    records: list[tuple[str, str, str]],
    quoting: int,
    delimiter: str,
    line_end: str,
    encoding: str,
) -> None:
    """Prevents any loss or change of a well-formed record, and any wrong line number."""
    if any(end in field for record in records for field in record for end in "\r\n"):
        # Python's QUOTE_MINIMAL quotes only those line ends that it writes itself.
        quoting = csv.QUOTE_ALL
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=delimiter, quoting=quoting, lineterminator=line_end)
    writer.writerow(["办件编号", "区划代码", "费用"])
    starts = []
    for record in records:
        starts.append(_lines(out.getvalue()) + 1)
        writer.writerow(record)
    result = read(out.getvalue().encode(encoding))
    assert result.rejects == []
    assert result.values == records
    assert result.lines == starts


def _lines(text: str) -> int:
    return text.replace("\r\n", "\n").replace("\r", "\n").count("\n")


@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    body=st.lists(
        st.sampled_from(
            [b"a", b"1", b",", b",", b"\n", b"\n", b"\r", b'"', b"\0", b"\xff", b"\xc4"]
        )
    ).map(b"".join)
)
def test_no_input_crashes_or_loses_a_line(read: Callable[..., Any], body: bytes) -> None:
    """Prevents crashes on rubbish: each non-blank stretch is in a row or in a reject."""
    # Enough plain lines that the file is one in UTF-8, whatever the rubbish is.
    good = 60
    result = read(HEAD.encode() + b"1,2,3\n" * good + body)
    seen = len(result.rows) + len(result.rejects) - good
    lines = [line for line in body.replace(b"\r", b"\n").split(b"\n") if line.strip()]
    assert seen <= len(lines)
    if lines and b'"' not in body:
        assert seen == len(lines)
    numbers = sorted(result.lines + [entry.row for entry in result.rejects])
    assert len(set(numbers)) == len(numbers)


def test_block_size_changes_nothing(
    read: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prevents results that depend on where a block happens to end."""
    body = 'a,1,"x\r\ny"\r\nb,"5"" pipe",2\r\nc,5" pipe,3\nd,"bad"x,4\n,,\n合计,,9\ne,\0,1\n' * 5
    data = (HEAD + body).encode("gb18030")
    results = []
    for size in (7, 64, 1 << 20):
        monkeypatch.setattr("cityledger.lifecycle.readers.encoding.BLOCK", size)
        result = read(data)
        results.append((result.values, result.lines, sorted(result.rejects)))
    assert results[0] == results[1] == results[2]


def test_reading_ends_with_the_reader(
    contract: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An abandoned reader would leave a thread that reads on from a closed object."""
    monkeypatch.setattr("cityledger.lifecycle.readers.encoding.BLOCK", 64)
    chunks = read_csv(io.BytesIO((HEAD + "1,2,3\n" * 1000).encode()), contract(), "cases.csv")
    next(chunks)
    assert any(one.name == "cityledger-ahead" for one in threading.enumerate())
    chunks.close()
    assert not any(one.name == "cityledger-ahead" for one in threading.enumerate())
