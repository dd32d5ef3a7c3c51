"""No text of a department runs in the spreadsheet of whoever opens a published file."""

from __future__ import annotations

import polars as pl
import pytest
from cityledger.lifecycle.cells import guarded
from cityledger.lifecycle.publish import _csv


@pytest.mark.parametrize(
    "text", ["=1+1", "+86 cmd", "-2+3", "@SUM(A1)", "\tx", "＝1+1", "＠x", "'=1", "-"]
)
def test_what_could_run_is_quoted_in_the_published_file(text: str) -> None:
    """A formula in a name would run on a reader's machine; full-width signs count in some."""
    assert guarded(text) == f"'{text}"
    assert f"'{text}" in _csv(pl.DataFrame({"name": [text]})).decode("utf-8-sig")


@pytest.mark.parametrize("text", ["", "-5", "+12.50", "云港区", "a=b"])
def test_plain_texts_and_numbers_stay_as_they_are(text: str) -> None:
    """An apostrophe before a number makes it a text for whoever goes on counting."""
    assert guarded(text) == text
