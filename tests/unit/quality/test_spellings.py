"""Every spelling that the value types promise to read, and those that they must refuse."""

from __future__ import annotations

from datetime import date, datetime, time
from decimal import Decimal

import polars as pl
import pytest

D = date(2024, 3, 5)
T = datetime(2026, 3, 31, 9, 5)


@pytest.mark.parametrize(
    ("text", "value", "precision", "reason"),
    [
        ("2024-03-05", D, "day", None),
        ("2024-3-5", D, "day", None),
        ("2024/3/5", D, "day", None),
        ("2024.3.5", D, "day", None),
        ("20240305", D, "day", None),
        ("20240305.0", D, "day", None),
        ("2024年3月5日", D, "day", None),
        ("２０２４年３月５日", D, "day", None),
        ("二〇二四年三月五日", D, "day", None),
        ("二零二四年三月二十五日", date(2024, 3, 25), "day", None),
        ("二〇二四年十二月三十日", date(2024, 12, 30), "day", None),
        ("2024-W10-2", D, "day", None),
        ("2020-W53-5", date(2021, 1, 1), "day", None),
        ("45356", D, "day", None),
        ("民国113年3月5日", D, "day", None),
        ("2024-03-05 00:00:00", D, "day", None),
        ("2024年3月", date(2024, 3, 1), "month", None),
        ("2024-03", date(2024, 3, 1), "month", None),
        ("202403", date(2024, 3, 1), "month", None),
        ("2024年第一季度", date(2024, 1, 1), "quarter", None),
        ("2024Q4", date(2024, 10, 1), "quarter", None),
        ("2024年上半年", date(2024, 1, 1), "half", None),
        ("2024年下半年", date(2024, 7, 1), "half", None),
        ("2024年", date(2024, 1, 1), "year", None),
        ("2012年度", date(2012, 1, 1), "year", None),
        ("2024年1-3月", date(2024, 3, 1), "cumulative", None),
        ("至今", date(9999, 12, 31), "open", None),
        ("长期", date(9999, 12, 31), "open", None),
        ("9999-12-31", date(9999, 12, 31), "open", None),
        ("1900-01-01", None, None, None),
        ("1970/1/1", None, None, None),
        ("0000-00-00", None, None, None),
        ("—", None, None, None),
        (" ", None, None, None),
        ("2024-02-30", None, None, "calendar"),
        ("2023年2月29日", None, None, "calendar"),
        ("2024-W60-1", None, None, "calendar"),
        ("1-3月", None, None, "year"),
        ("24-03-05", None, None, "year"),
        ("2024.3", None, None, "format"),
        ("2024-03-05 08:30", None, None, "precision"),
        ("昨天", None, None, "format"),
        ("12", None, None, "format"),
    ],
)
def test_chinese_date(read, column, text, value, precision, reason) -> None:
    """A misread date moves a case into another month's indicator."""
    row = read(column("d", "date", value_type="chinese_date"), [text]).row(0, named=True)
    assert (row["d"], row["d_precision"], row["__reason__d"]) == (value, precision, reason)


@pytest.mark.parametrize("text", ["2024年3月", "2024Q1", "2024"])
def test_a_period_is_no_day(read, column, text) -> None:
    """A plain date column must not take "March" for the first of March."""
    assert read(column("d", "date"), [text]).row(0) == (None, "precision")


TABLE = [
    ("timestamp", None, {}, "2026-03-31 09:05:00", T, None),
    ("timestamp", None, {}, "2026/3/31 9:05:00", T, None),
    ("timestamp", None, {}, "2026-03-31T09:05", T, None),
    ("timestamp", None, {}, "2026-03-31T01:05:00Z", T, None),
    ("timestamp", None, {}, "2026-03-31T09:05:00+08:00", T, None),
    ("timestamp", None, {}, "1988-07-01T00:00:00Z", datetime(1988, 7, 1, 9), None),
    ("timestamp", None, {}, "2026年3月31日 9时5分", T, None),
    ("timestamp", None, {}, "2026年3月31日9:05", T, None),
    ("timestamp", None, {}, "2026-03-30 24:00:00", datetime(2026, 3, 31), None),
    ("timestamp", None, {}, "46112.378472222", T, None),
    ("timestamp", None, {}, "2026-03-31", datetime(2026, 3, 31), None),
    ("timestamp", None, {}, "03/24/2025 11:33:07 PM", None, "format"),
    ("timestamp", None, {}, "2026-03-31 25:00:00", None, "format"),
    ("timestamp", None, {}, "26-03-31 09:05", None, "format"),
    (
        "timestamp",
        None,
        {"options": {"format": "MM/dd/yyyy hh:mm:ss a"}},
        "03/24/2025 11:33:07 PM",
        datetime(2025, 3, 24, 23, 33, 7),
        None,
    ),
    ("time", None, {}, "09:05:00", time(9, 5), None),
    ("time", None, {}, "9:05", time(9, 5), None),
    ("time", None, {}, "9时5分", time(9, 5), None),
    ("time", None, {}, "24:00:00", None, "range"),
    ("time", None, {}, "noon", None, "format"),
    ("integer", "duration", {}, "25:10:00", 90600, None),
    ("integer", "duration", {}, "5:10:07", 18607, None),
    ("integer", "duration", {}, "1小时20分", 4800, None),
    ("integer", "duration", {}, "3天2小时", 266400, None),
    ("integer", "duration", {}, "01:75:00", None, "range"),
    ("integer", "duration", {}, "90", None, "format"),
    ("integer", "duration", {"options": {"unit": "minutes"}}, "90", 5400, None),
    ("integer", "duration", {"options": {"unit": "hours"}}, "1.5", 5400, None),
    ("integer", None, {}, "１，２３４", 1234, None),
    ("integer", None, {}, "4111.0", 4111, None),
    ("integer", None, {}, "1E3", 1000, None),
    ("integer", None, {}, "一百二十", 120, None),
    ("integer", None, {}, "1.5万", 15000, None),
    ("integer", None, {}, "二〇二四", 2024, None),
    ("integer", None, {}, "两千", 2000, None),
    ("integer", None, {}, "一百二", None, "format"),
    ("integer", None, {}, "12.5", None, "precision"),
    ("integer", None, {}, "9223372036854775808", None, "range"),
    ("integer", None, {}, "12,34", None, "format"),
    ("number", None, {}, "1,234.5", 1234.5, None),
    ("number", None, {}, "inf", None, "format"),
    ("number", None, {}, "NaN", None, "format"),
    ("number", None, {"precision": (18, 2)}, "1.50", Decimal("1.50"), None),
    ("number", None, {"precision": (18, 2)}, "0.30000000000000004", Decimal("0.30"), None),
    ("number", None, {"precision": (18, 2)}, "12.345", None, "precision"),
    ("number", None, {"precision": (4, 2)}, "123.45", None, "precision"),
    ("number", None, {"precision": (38, 10)}, "1.0000000001", Decimal("1.0000000001"), None),
    ("boolean", None, {}, "是", True, None),
    ("boolean", None, {}, "Ｎ", False, None),
    ("boolean", None, {}, "1.0", True, None),
    ("boolean", None, {}, "也许", None, "format"),
    ("string", None, {}, "\u3000云港区\u00a0\u200b", "云港区", None),
    ("string", None, {}, "\u200b", None, None),
    ("string", "sex", {}, "男 ", "1", None),
    ("string", "sex", {}, "Ｆ", "2", None),
    ("string", "sex", {}, "2.0", "2", None),
    ("string", "sex", {}, "未说明", "9", None),
    ("string", "sex", {}, "3", None, "format"),
    ("string", "identifier", {}, "4111010001.0", "4111010001", None),
    ("string", "identifier", {}, "4.11E+09", None, "format"),
    ("string", "identifier", {"options": {"zeroPad": 4}}, "111", "0111", None),
    ("string", "identifier", {}, "1.10", "1.10", None),
    ("string", "phone", {}, "+86 138-0013-8000", "13800138000", None),
    ("string", "phone", {}, "13800138000.0", "13800138000", None),
    ("string", "phone", {}, "（0571）8888 8888", "0571-88888888", None),
    ("string", "phone", {}, "057188888888", "0571-88888888", None),
    ("string", "phone", {}, "021-66667777转801", "021-66667777-801", None),
    ("string", "phone", {}, "400-123-4567", "4001234567", None),
    ("string", "phone", {}, "12345", "12345", None),
    ("string", "phone", {}, "12800138000", None, "format"),
    ("string", "phone", {}, "1.38E+10", None, "format"),
    ("integer", "quantity", {"unit": "人"}, "1.2万人", 12000, None),
    ("integer", "quantity", {"unit": "人"}, "3.5", None, "precision"),
    ("integer", "quantity", {"unit": "人"}, "10千米", None, "unit"),
    ("integer", "quantity", {"unit": "人"}, "若干", None, "format"),
    ("number", "quantity", {"unit": "µg/m³"}, "0.8 mg/m³", 800.0, None),
    ("number", "quantity", {"unit": "人", "options": {"sourceUnit": "万人"}}, "3.2", 32000.0, None),
    ("number", "quantity", {"unit": "人", "options": {"sourceUnit": "万人"}}, "320人", 320.0, None),
]


@pytest.mark.parametrize(("kind", "value_type", "settings", "text", "value", "reason"), TABLE)
def test_spelling(read, column, kind, value_type, settings, text, value, reason) -> None:
    """Each line is a spelling found in departmental extracts, or one that must not be guessed."""
    row = read(column("c", kind, value_type=value_type, **settings), [text]).row(0, named=True)
    assert (row["c"], row["__reason__c"]) == (value, reason)


@pytest.mark.parametrize(
    ("text", "value", "currency", "magnitude", "ambiguous", "reason"),
    [
        ("1234.56", "1234.56", "CNY", 1, False, None),
        ("50(万美元)", "500000.00", "USD", 10**4, False, None),
        ("50（万美元）", "500000.00", "USD", 10**4, False, None),
        ("5,000(万日元)", "50000000.00", "JPY", 10**4, False, None),
        ("100万元人民币", "1000000.00", "CNY", 10**4, False, None),
        ("100万人民币", "1000000.00", "CNY", 10**4, False, None),
        ("人民币100万元", "1000000.00", "CNY", 10**4, False, None),
        ("3亿元", "300000000.00", "CNY", 10**8, False, None),
        ("壹佰万元整", "1000000.00", "CNY", 1, False, None),
        ("50万", "500000.00", "CNY", 10**4, True, None),
        ("USD 100", "100.00", "USD", 1, False, None),
        ("20万港元", "200000.00", "HKD", 10**4, False, None),
        ("N/A", None, None, None, None, None),
        ("50万贝壳", None, None, None, None, "unit"),
        ("面议", None, None, None, None, "format"),
        ("0.001元", None, None, None, None, "precision"),
    ],
)
def test_money(read, column, text, value, currency, magnitude, ambiguous, reason) -> None:
    """50 万美元 read as 50 understates a firm's capital by a factor of 70,000."""
    judged = column("m", "number", value_type="money", precision=(18, 2))
    row = read(judged, [text]).row(0, named=True)
    assert row["m"] == (None if value is None else Decimal(value))
    assert (row["m_currency"], row["m_magnitude"], row["m_ambiguous"]) == (
        currency,
        magnitude,
        ambiguous,
    )
    assert row["__reason__m"] == reason


@pytest.mark.parametrize(
    ("text", "day", "value", "reason"),
    [
        ("990102", "2026-03-01", "990102", None),
        ("云港", "2026-03-01", "990102", None),
        ("云 港 区", "2026-03-01", "990102", None),
        ("990102.0", "2026-03-01", "990102", None),
        ("990122", "2025-12-31", "990122", None),
        ("990122", "2026-01-01", None, "not_in_force"),
        ("990106", "2025-12-31", None, "not_in_force"),
        ("松溪县", "2026-01-01", None, "not_in_force"),
        ("松溪", "2025-12-31", "990122", None),
        ("松溪", "2026-01-01", "990106", None),
        ("110101", "2026-01-01", None, "unknown"),
        ("市辖区", "2026-01-01", "市辖区", None),
        ("990102", None, "990102", None),
        ("N/A", "2026-01-01", None, None),
    ],
)
def test_area_code_as_of_the_record(read, column, text, day, value, reason) -> None:
    """Judged by today's list, last year's records of a renamed county would all be wrong."""
    options = {"codes": "areas", "dateColumn": "on", "special": ["市辖区"]}
    judged = column("a", value_type="area_code", options=options)
    row = read(judged, [text], on=[day]).row(0, named=True)
    assert (row["a"], row["__reason__a"]) == (value, reason)


def test_area_code_as_of_the_delivery(read, column) -> None:
    """Without a date column the delivery's date decides."""
    judged = column("a", value_type="area_code", options={"codes": "areas"})
    assert read(judged, ["990106", "990122"]).rows() == [
        ("990106", None),
        (None, "not_in_force"),
    ]


def test_a_null_token_that_looks_like_a_value(suite, column, rule) -> None:
    """-999 declared as "no value" must not enter an average by the fast path."""
    judged = column("n", "number", null_tokens=("-999", "999"))
    frame = suite([judged], [rule("type", "n")]).read(_text("n", ["-999", "1", "999", "N/A"]))
    assert frame["n"].to_list() == [None, 1.0, None, None]
    assert frame["__reason__n"].null_count() == 4


def _text(name: str, values: list[str]) -> pl.DataFrame:
    return pl.DataFrame({name: values}, schema={name: pl.String})
