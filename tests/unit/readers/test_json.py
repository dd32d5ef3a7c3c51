"""JSON lines and arrays: values as spelled, bad records alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from cityledger.contracts.model import Drift
from cityledger.errors import BadInputError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st


def test_values_keep_their_spelling(read: Callable[..., Any], contract: Any) -> None:
    """Prevents 1.50 from becoming 1.5, long ids from being rounded, and null from being text."""
    data = (
        '{"case_no": 110101199001011234, "area": "云港区", "fee": 1.50}\n'
        '{"办件编号": "b", "area": null, "fee": {"a": [1, 2.5, true]}}\r\n'
        '\n{"case_no": true, "fee": 1e400}'
    )
    with pytest.raises(BadInputError) as caught:
        read(data.encode(), contract(format="jsonl"))
    assert caught.value.code == "duplicate_header"
    result = read(data.replace("办件编号", "case_no").encode(), contract(format="jsonl"))
    assert result.values == [
        ("110101199001011234", "云港区", "1.50"),
        ("b", None, '{"a":[1,2.5,true]}'),
        ("true", None, "1e400"),
    ]
    assert result.lines == [1, 2, 4]


def test_bad_lines_are_rejected_alone(read: Callable[..., Any], contract: Any) -> None:
    """Prevents one bad line from refusing the file, or from vanishing."""
    lines = [
        b'{"case_no":"a"}',
        b'{"case_no":"b"',
        b"[1]",
        b'{"case_no":"c","case_no":"d"}',
        b'{"case_no":"\\u0000"}',
        b'{"case_no":"\\ud800"}',
        b'{"case_no":"\xff"}',
        b'{"case_no":"e"} x',
        b"[" * 5000,
        b'{"case_no":"z"}',
    ]
    drift = contract(format="jsonl", drift=Drift.DISCARD)
    result = read(b"\n".join(lines), drift)
    assert [row[0] for row in result.values] == ["a", "z"]
    assert result.reasons == [
        (2, "invalid_json"),
        (3, "not_an_object"),
        (4, "duplicate_key"),
        (5, "nul_byte"),
        (6, "undecodable"),
        (7, "undecodable"),
        (8, "invalid_json"),
        (9, "invalid_json"),
    ]


def test_keys_are_held_to_the_contract(read: Callable[..., Any], contract: Any) -> None:
    """Prevents a silently renamed or extra key."""
    with pytest.raises(BadInputError) as caught:
        read(b'{"case_id": 1, "area": 2}', contract(format="jsonl"))
    assert caught.value.code == "missing_column"
    with pytest.raises(BadInputError) as caught:
        read(b'{"case_no": 1, "colour": 2}', contract(format="jsonl"))
    assert caught.value.code == "extra_column"


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    records=st.lists(
        st.fixed_dictionaries(
            {"case_no": st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"))}
        ),
        min_size=1,
    ),
    indent=st.sampled_from([None, 1]),
)
def test_arrays_come_back_whole(
    read: Callable[..., Any],
    contract: Any,
    small_blocks: int,
    records: list[dict[str, str]],
    indent: int | None,
) -> None:
    """Prevents losing elements at block ends, and wrong line numbers in pretty-printed files."""
    text = json.dumps(records, indent=indent, ensure_ascii=False)
    result = read(text.encode(), contract(format="json"))
    assert [row[0] for row in result.values] == [record["case_no"] for record in records]
    step = 3 if indent else 0
    first = 2 if indent else 1
    assert result.lines == [first + step * i for i in range(len(records))]


@pytest.mark.parametrize(
    "text",
    ['[{"case_no": 1}', '[{"case_no": 1}, {"case', '[{"case_no": 1} x', '[{"case_no": 1}] x', "12"],
)
def test_broken_arrays_are_one_error(read: Callable[..., Any], contract: Any, text: str) -> None:
    """Prevents half an array from passing for the whole."""
    with pytest.raises(BadInputError) as caught:
        read(f"\n{text}".encode(), contract(format="json"))
    assert caught.value.code == "invalid_json"
    assert "line 2" in caught.value.where


def test_an_endless_line_is_bounded(
    read: Callable[..., Any], contract: Any, small_blocks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prevents unbounded memory."""
    monkeypatch.setattr("cityledger.lifecycle.readers.jsonl.MAX_RECORD", 100)
    data = b'{"case_no":1}\n' + b"x" * 5000 + b'\n{"case_no":2}'
    result = read(data, contract(format="jsonl"))
    assert [row[0] for row in result.values] == ["1", "2"]
    assert result.reasons == [(2, "record_too_long")]
