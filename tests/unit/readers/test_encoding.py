"""GB 18030-2022 as the standard has it, not as the codec has it."""

from __future__ import annotations

import io

import pytest
from cityledger.lifecycle.readers.encoding import GB18030_2022, decode_blocks, decode_text

CHANGED = {
    "A8BC": 0x1E3F,
    "A6D9": 0xFE10,
    "A6DA": 0xFE12,
    "A6DB": 0xFE11,
    "A6DC": 0xFE13,
    "A6DD": 0xFE14,
    "A6DE": 0xFE15,
    "A6DF": 0xFE16,
    "A6EC": 0xFE17,
    "A6ED": 0xFE18,
    "A6F3": 0xFE19,
    "FE59": 0x9FB4,
    "FE61": 0x9FB5,
    "FE66": 0x9FB6,
    "FE67": 0x9FB7,
    "FE6D": 0x9FB8,
    "FE7E": 0x9FB9,
    "FE90": 0x9FBA,
    "FEA0": 0x9FBB,
}


@pytest.mark.parametrize(("code", "point"), CHANGED.items())
def test_the_19_changed_codes(code: str, point: int) -> None:
    """Prevents names with these characters from ending in the private use area."""
    data = bytes.fromhex(code)
    blocks = b"".join(decode_blocks(io.BytesIO(data), "gb18030", "x"))
    assert blocks.decode() == chr(point)
    assert GB18030_2022[ord(data.decode("gb18030"))] == point


def test_nothing_else_is_remapped() -> None:
    """Prevents the map from touching a character that the codec gets right."""
    assert len(GB18030_2022) == len(CHANGED) == 19
    assert all(0xE000 <= old <= 0xF8FF for old in GB18030_2022)


def test_small_texts() -> None:
    """Prevents a control file in GBK from being unreadable."""
    assert decode_text("行数：12".encode("gb18030"), "x") == "行数：12"


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("broken", [b"\x81", b"\x81\x30", b"\x81\x30\x81"])
def test_a_broken_code_at_the_end_of_a_line_leaves_the_line_end(broken: bytes, end: str) -> None:
    """Prevents the next record from being drawn into the broken one and lost with it."""
    data = "表头".encode("gb18030") + b"\n" + b"a," + broken + end.encode() + b"b,2\n"
    lines = b"".join(decode_blocks(io.BytesIO(data), "gb18030", "x")).splitlines()
    assert len(lines) == 3
    assert b"\xff" in lines[1]
    assert lines[2] == b"b,2"
