"""Reading YAML as untrusted input, with places."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from cityledger.contracts.document import MAX_BYTES, MAX_DEPTH, read_document
from cityledger.contracts.violations import ContractError
from hypothesis import given, settings
from hypothesis import strategies as st


def _write(folder: Path, content: bytes | str) -> Path:
    path = folder / "a.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def _message(folder: Path, content: bytes | str) -> str:
    with pytest.raises(ContractError) as caught:
        read_document(_write(folder, content))
    return str(caught.value)


def test_every_node_has_its_place(tmp_path: Path) -> None:
    """A violation that points at the wrong line sends people hunting."""
    document = read_document(_write(tmp_path, "a: 1\nb:\n  - c: x\n    d: {e: 02}\n"))
    assert document.data == {"a": 1, "b": [{"c": "x", "d": {"e": 2}}]}
    assert document.values["b", 0, "d", "e"].line == 4
    assert document.values["b", 0, "d", "e"].column == 12
    assert document.keys["b", 0, "d", "e"].column == 9
    assert document.raw["b", 0, "d", "e"] == "02"
    assert document.place(("b", 0, "nothing", "here")) == document.values["b", 0]


def test_an_alias_bomb_is_refused(tmp_path: Path) -> None:
    """Nine lines of aliases would otherwise become a billion nodes."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    for level in range(1, 9):
        lines += [f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]"]
    assert "aliases make the file too large" in _message(tmp_path, "\n".join(lines))


def test_a_mapping_that_holds_itself_is_refused(tmp_path: Path) -> None:
    """A recursive alias would recurse until the process dies."""
    assert "aliases make the file too large" in _message(tmp_path, "a: &a\n  b: *a\n")


def test_deep_nesting_is_refused_before_the_recursive_composer(tmp_path: Path) -> None:
    """50,000 open brackets crash a recursive parser."""
    assert f"nested deeper than {MAX_DEPTH}" in _message(tmp_path, "a: " + "[" * 50_000)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"a: \xff\n", "1:1: the file is not UTF-8"),
        (b"a: 1\nb: \xd6\xd0\n", "2:1: the file is not UTF-8"),
        ("a: 1\na: 2\n", "2:1: key 'a' is given twice"),
        ("a: [1\nb: 2\n", "no valid YAML"),
        ("a:\n\t- b\n", "2:1: no valid YAML"),
        ("a: 1\n---\nb: 2\n", "a second YAML document"),
        ("? [a, b]\n: 1\n", "a key that is not plain text"),
        ("x: &x {a: 1}\ny:\n  <<: *x\n", "merge keys are not supported"),
        ("a: 2026-02-31\n", "1:4: a value that YAML can't read"),
        ("a: !!python/object/apply:os.system [x]\n", "1:4: a tag is not supported here"),
        ("a: !!python/name:os.system x\n", "1:4: a value that YAML can't read"),
        ("a: \x07\n", "characters that YAML forbids"),
    ],
)
def test_what_is_no_plain_yaml_is_refused_with_its_place(
    tmp_path: Path, content: bytes | str, expected: str
) -> None:
    """Each of these would be misread in silence or end in a stack trace."""
    assert expected in _message(tmp_path, content)


def test_a_large_file_is_not_read_into_memory(tmp_path: Path) -> None:
    """A delivery dropped into contracts/ by mistake must not be parsed as YAML."""
    assert "larger than 1 MiB" in _message(tmp_path, b"#" * (MAX_BYTES + 1))


def test_a_missing_file_is_one_clear_error(tmp_path: Path) -> None:
    """A wrong path ends in a message, not in a traceback."""
    with pytest.raises(ContractError, match="can't be read"):
        read_document(tmp_path / "none.yaml")


_TEXTS = st.text(st.sampled_from("aé市 :-#'\"<&*!{[0.~=\n\t\x85"), max_size=6) | st.just("<<")
_SCALARS = st.none() | st.booleans() | st.integers() | _TEXTS
_TREES = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXTS, inner, max_size=4),
    max_leaves=12,
)


@settings(deadline=None, max_examples=60)
@given(tree=st.dictionaries(_TEXTS, _TREES, min_size=1, max_size=4))
def test_reads_what_safe_yaml_wrote(
    tmp_path_factory: pytest.TempPathFactory, tree: dict[str, object]
) -> None:
    """Our positions must not change the values: they are YAML's own."""
    text = yaml.safe_dump(tree, allow_unicode=True)
    path = tmp_path_factory.getbasetemp() / "round_trip.yaml"
    path.write_text(text, encoding="utf-8", newline="")
    document = read_document(path)
    assert document.data == yaml.safe_load(text)
    assert all(place.line >= 1 and place.column >= 1 for place in document.values.values())
