"""The drop folder: what belongs to a delivery, and what must never be taken."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest
from cityledger.contracts.identity import Partition
from cityledger.errors import BadInputError
from cityledger.sources.base import Source, SourceItem
from cityledger.sources.drop_folder import DropFolder, expand
from cityledger.sources.registry import connect, names

DAY = Partition.parse("2026-03-31")


def source(folder: Path, path: str = "gov/cases_{yyyy}{mm}{dd}*.csv", **options: str) -> Source:
    return connect("drop_folder", {"path": path, **options}, drop_dir=folder)


def put(folder: Path, name: str, data: bytes = b"x") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def refused(source_: Source) -> BadInputError:
    with pytest.raises(BadInputError) as caught:
        source_.list(DAY)
    return caught.value


def test_connectors_are_found_by_entry_point(tmp_path: Path) -> None:
    """Prevents a connector that needs a change outside its module."""
    assert "drop_folder" in names()
    assert isinstance(source(tmp_path), DropFolder)
    with pytest.raises(BadInputError) as caught:
        connect("telepathy", {}, drop_dir=tmp_path)
    assert caught.value.code == "unknown_connector"


@pytest.mark.parametrize(
    ("pattern", "key", "expected"),
    [
        ("a_{yyyy}{mm}{dd}.csv", "2026-03-31", "a_20260331.csv"),
        ("{yy}年{mm}月", "2026-03", "26年03月"),
        ("q{q}_{partition}", "2026-Q4", "q4_2026-Q4"),
    ],
)
def test_placeholders(pattern: str, key: str, expected: str) -> None:
    """Prevents looking for another period's file."""
    assert expand(pattern, Partition.parse(key)) == expected


def test_unknown_placeholder() -> None:
    """Prevents a literal {hh} from being searched for in vain."""
    with pytest.raises(BadInputError) as caught:
        expand("a_{hh}.csv", DAY)
    assert caught.value.code == "bad_pattern"


def test_files_of_a_delivery_in_name_order(tmp_path: Path) -> None:
    """Prevents an order that depends on the file system, and files of other days."""
    for name in ("cases_20260331_2.csv", "cases_20260331_10.csv", "cases_20260330.csv"):
        put(tmp_path, f"gov/{name}")
    items = source(tmp_path).list(DAY)
    assert [item.name for item in items] == ["cases_20260331_10.csv", "cases_20260331_2.csv"]
    assert items[0].uri == "drop://gov/cases_20260331_10.csv"
    assert str(tmp_path) not in items[0].uri


def test_names_in_decomposed_unicode_match(tmp_path: Path) -> None:
    """Prevents "nothing delivered" for a name written on a Macintosh."""
    put(tmp_path, unicodedata.normalize("NFD", "café_20260331.csv"))
    assert source(tmp_path, "café_{yyyy}{mm}{dd}.csv").list(DAY)[0].name == "café_20260331.csv"


def test_nothing_delivered_says_what_was_looked_for(tmp_path: Path) -> None:
    """Prevents an error that leaves the clerk guessing the file name."""
    error = refused(source(tmp_path))
    assert error.code == "nothing_delivered"
    assert "gov/cases_20260331*.csv" in error.what
    assert error.where == str(tmp_path)


@pytest.mark.parametrize("name", ["cases_20260331.csv.part", "~$cases_20260331.csv"])
def test_files_being_written_are_not_taken(tmp_path: Path, name: str) -> None:
    """Prevents half a file from being landed."""
    put(tmp_path, f"gov/{name}")
    error = refused(source(tmp_path, "gov/*cases_{yyyy}{mm}{dd}.csv*"))
    assert error.code == "still_being_written" or error.code == "nothing_delivered"
    error = refused(source(tmp_path, "gov/cases_{yyyy}{mm}{dd}.csv"))
    assert error.code == "still_being_written"
    assert name in error.what


def test_an_empty_file_is_told(tmp_path: Path) -> None:
    """Prevents a zero-byte file from counting as a delivery."""
    put(tmp_path, "gov/cases_20260331.csv", b"")
    assert refused(source(tmp_path)).code == "empty_file"


@pytest.mark.parametrize("pattern", ["../x.csv", "/etc/passwd", "gov/../../x"])
def test_patterns_stay_below_the_drop_folder(tmp_path: Path, pattern: str) -> None:
    """Prevents a contract from reading any file of the machine."""
    assert refused(source(tmp_path, pattern)).code == "bad_pattern"


def test_links_out_of_the_drop_folder_are_refused(tmp_path: Path) -> None:
    """Prevents a department from having us publish a file that it may not read."""
    outside = put(tmp_path, "outside/secret.csv")
    drop = tmp_path / "drop"
    (drop / "gov").mkdir(parents=True)
    (drop / "gov/cases_20260331.csv").symlink_to(outside)
    assert refused(source(drop)).code == "outside_drop_folder"
    (drop / "gov/cases_20260331.csv").unlink()
    (drop / "gov").rmdir()
    (drop / "gov").symlink_to(outside.parent)
    put(tmp_path, "outside/cases_20260331.csv")
    assert refused(source(drop)).code == "outside_drop_folder"


def test_links_inside_are_fine(tmp_path: Path) -> None:
    """Prevents refusing a drop folder that is itself reached through a link."""
    real = tmp_path / "real"
    put(real, "gov/cases_20260331.csv")
    (tmp_path / "link").symlink_to(real)
    assert len(source(tmp_path / "link").list(DAY)) == 1


def _change(path: Path, how: str) -> None:
    if how == "append":
        path.write_bytes(b"x" * 200)
    elif how == "touch":
        os.utime(path, ns=(1, 1))
    else:
        path.unlink()
    if how == "replace":
        path.write_bytes(b"y" * 100)


def _read_while(connector: Source, item: SourceItem, change: Callable[[], None]) -> None:
    with connector.open(item) as stream:
        stream.read(10)
        change()


@pytest.mark.parametrize("change", ["append", "replace", "touch", "remove"])
def test_a_file_that_changes_while_it_is_read(tmp_path: Path, change: str) -> None:
    """Prevents a mixture of two files from being landed."""
    path = put(tmp_path, "gov/cases_20260331.csv", b"x" * 100)
    connector = source(tmp_path)
    (item,) = connector.list(DAY)
    with pytest.raises(BadInputError) as caught:
        _read_while(connector, item, lambda: _change(path, change))
    assert caught.value.code == "source_changed"
    assert caught.value.where == "drop://gov/cases_20260331.csv"


def test_a_file_that_grew_between_listing_and_reading(tmp_path: Path) -> None:
    """Prevents reading a file whose writer is still at work."""
    path = put(tmp_path, "gov/cases_20260331.csv")
    connector = source(tmp_path)
    (item,) = connector.list(DAY)
    path.write_bytes(b"xx")
    with pytest.raises(BadInputError) as caught, connector.open(item):
        pass
    assert caught.value.code == "source_changed"


@pytest.mark.parametrize(
    ("text", "rows"),
    [("5000\n", 5000), ("file=a.csv\nrows=12\ndate=20260331", 12), ("行数：7", 7), ("\ufeff3", 3)],
)
def test_control_file(tmp_path: Path, text: str, rows: int) -> None:
    """Prevents a declared count from being overlooked."""
    put(tmp_path, "gov/cases_20260331.ctl", text.encode())
    connector = source(tmp_path, controlFile="gov/cases_{yyyy}{mm}{dd}.ctl")
    assert connector.declared_rows(DAY) == rows
    if text.isascii() or "行" in text:
        put(tmp_path, "gov/cases_20260331.ctl", text.encode("gb18030"))
        assert connector.declared_rows(DAY) == rows


def test_bad_control_files(tmp_path: Path) -> None:
    """Prevents a missing or ambiguous control file from meaning "nothing declared"."""
    connector = source(tmp_path, controlFile="gov/cases_{yyyy}{mm}{dd}.ctl")
    with pytest.raises(BadInputError) as caught:
        connector.declared_rows(DAY)
    assert caught.value.code == "missing_control_file"
    for text in ("", "12 13"):
        put(tmp_path, "gov/cases_20260331.ctl", text.encode())
        with pytest.raises(BadInputError) as caught:
            connector.declared_rows(DAY)
        assert caught.value.code == "bad_control_file"
    assert source(tmp_path).declared_rows(DAY) is None
