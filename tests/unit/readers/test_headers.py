"""Headers: which column is which, and what happens when it can't be told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from cityledger.contracts.model import Drift
from cityledger.errors import BadInputError


@pytest.mark.parametrize(
    "header",
    [
        "办件编号,区划代码,费用",
        "case_no,area,fee",
        "ＣＡＳＥ_NO,　区划 代码 ,费用（元）",
        "办件编号,区划代码,费用【万元】",
    ],
)
def test_spellings_of_a_header(read: Callable[..., Any], header: str) -> None:
    """Prevents a stop for full-width letters, blanks and units in brackets."""
    assert read(f"{header}\na,b,c\n".encode()).values == [("a", "b", "c")]


def test_order_is_free(read: Callable[..., Any]) -> None:
    """Prevents matching by position."""
    assert read("费用,办件编号,区划代码\nc,a,b\n".encode()).values == [("a", "b", "c")]


def test_a_synonym_is_noted(read: Callable[..., Any]) -> None:
    """Prevents a renamed column from going unnoticed."""
    result = read("流水号,区划代码,费用\na,b,c\n".encode())
    assert result.values == [("a", "b", "c")]
    assert result.drift == ["renamed: '流水号' read as case_no (办件编号)"]


def test_a_missing_required_column_names_the_nearest(read: Callable[..., Any]) -> None:
    """Prevents an error that does not tell the clerk which header to look at."""
    with pytest.raises(BadInputError) as caught:
        read("办件号码,区划代码,费用\na,b,c\n".encode())
    error = caught.value
    assert error.code == "missing_column"
    assert "办件编号 (case_no, nearest header found: '办件号码')" in error.what
    assert error.where == "cases.csv, header in row 1"


def test_a_missing_optional_column_is_empty_and_noted(read: Callable[..., Any]) -> None:
    """Prevents an optional column from stopping a delivery, or from missing in the frame."""
    result = read("办件编号,费用\na,c\n".encode())
    assert result.values == [("a", None, "c")]
    assert result.drift == ["missing: optional column area (区划代码) is empty"]


def test_extra_columns_follow_the_policy(read: Callable[..., Any], contract: Any) -> None:
    """Prevents unknown columns from slipping in, or from shifting the known ones."""
    data = "办件编号,颜色,区划代码,费用\na,红,b,c\n".encode()
    with pytest.raises(BadInputError) as caught:
        read(data)
    assert caught.value.code == "extra_column"
    assert "颜色" in caught.value.what
    for drift, word in ((Drift.DISCARD, "discard"), (Drift.EVOLVE, "evolve")):
        result = read(data, contract(drift=drift))
        assert result.values == [("a", "b", "c")]
        assert word in result.drift[0]


def test_duplicate_headers_are_refused(read: Callable[..., Any], contract: Any) -> None:
    """Prevents one of two columns of the same name from winning by chance."""
    for header in ("办件编号,费用,费用", "办件编号,case_no,费用", "办件编号,色,色"):
        with pytest.raises(BadInputError) as caught:
            read(f"{header}\na,b,c\n".encode(), contract(drift=Drift.DISCARD))
        assert caught.value.code == "duplicate_header"


def test_empty_file_and_header_only(read: Callable[..., Any]) -> None:
    """Prevents an empty file from passing; a header alone is for the stage to judge."""
    for data in (b"", b"\n\n", "\ufeff".encode()):
        with pytest.raises(BadInputError) as caught:
            read(data)
        assert caught.value.code == "empty_file"
    assert read("办件编号,区划代码,费用\n".encode()).rows == []


def test_no_known_header_at_all(read: Callable[..., Any]) -> None:
    """Prevents the first data row from being taken for a header."""
    with pytest.raises(BadInputError) as caught:
        read(b"1,2,3\n4,5,6\n")
    assert caught.value.code == "missing_column"
