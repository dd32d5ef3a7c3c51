"""A YAML file with the place of every node, so that each violation can say where it is.

The file is untrusted input: its size, its depth and the number of nodes after alias expansion are
bounded before any of it becomes Python objects.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from cityledger.contracts.violations import ContractError, Violation

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 40
MAX_NODES = 50_000

_COLLECTION_TAGS = ("tag:yaml.org,2002:map", "tag:yaml.org,2002:seq")

_DEPTH = {
    yaml.MappingStartEvent: 1,
    yaml.SequenceStartEvent: 1,
    yaml.MappingEndEvent: -1,
    yaml.SequenceEndEvent: -1,
}

_SHORT = 64  # characters; longer texts do not come again

Step = str | int
NodePath = tuple[Step, ...]


class Place(NamedTuple):
    """1-based line and column."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Document:
    """A YAML file as plain Python values, and where each of them stands.

    Attributes:
        file: The file, as the caller named it.
        data: Mappings, lists and scalars (YAML's safe types).
        sha256: Of the file's bytes.
        keys: Place of each mapping key, by the path of its value.
        values: Place of each value, by its path.
        raw: Text of each plain (unquoted) scalar as written, by its path.
    """

    file: Path
    data: Any
    sha256: str
    keys: dict[NodePath, Place] = field(repr=False)
    values: dict[NodePath, Place] = field(repr=False)
    raw: dict[NodePath, str] = field(repr=False)

    def place(self, path: NodePath, *, at_key: bool = False) -> Place:
        """Where a node is; the nearest enclosing one if the path leads nowhere."""
        if at_key and path in self.keys:
            return self.keys[path]
        while path:
            if path in self.values:
                return self.values[path]
            path = path[:-1]
        return self.values.get((), Place(1, 1))


def read_document(file: Path) -> Document:
    """Read a YAML file.

    Args:
        file: A file of at most 1 MiB in UTF-8.

    Raises:
        ContractError: the file is missing, too big, no UTF-8, no YAML, has duplicate keys, more
            than one document, or is nested or aliased beyond the bounds.
    """
    content = _read_bytes(file)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise _failure(file, "the file is not UTF-8", "save it as UTF-8", line) from None
    try:
        _check_bounds(file, text)
        root = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        raise _syntax_failure(file, error) from None
    except yaml.YAMLError:
        raise _failure(
            file, "the file holds characters that YAML forbids", "remove control characters"
        ) from None
    builder = _Builder(file)
    data = builder.build(root, ()) if root is not None else None
    if builder.violations:
        raise ContractError(builder.violations)
    digest = hashlib.sha256(content).hexdigest()
    return Document(file, data, digest, builder.keys, builder.values, builder.raw)


def _read_bytes(file: Path) -> bytes:
    try:
        with file.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise _failure(
            file, f"the file can't be read ({error.strerror})", "check its path and permissions"
        ) from None
    if len(content) > MAX_BYTES:
        raise _failure(file, "the file is larger than 1 MiB", "contracts are small; split it")
    return content


def _failure(file: Path, message: str, fix: str, line: int = 1, column: int = 1) -> ContractError:
    return ContractError([Violation(file, line, column, message, fix)])


def _syntax_failure(file: Path, error: yaml.MarkedYAMLError) -> ContractError:
    mark = error.problem_mark or error.context_mark
    place = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    return _failure(file, f"no valid YAML: {error.problem}", "correct the syntax here", *place)


def _check_bounds(file: Path, text: str) -> None:
    """Refuse deep nesting before PyYAML's recursive composer meets it."""
    depth = documents = 0
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        kind = type(event)
        if kind is yaml.DocumentStartEvent:
            documents += 1
        else:
            depth += _DEPTH.get(kind, 0)
        if depth > MAX_DEPTH or documents > 1:
            line = event.start_mark.line + 1 if event.start_mark else 1
            if documents > 1:
                raise _failure(file, "a second YAML document", "one file holds one document", line)
            raise _failure(file, f"nested deeper than {MAX_DEPTH}", "flatten it", line)


@lru_cache(maxsize=20_000)
def _tag(kind: Any, value: str | None, implicit: Any) -> str:
    return str(_RESOLVER.resolve(kind, value, implicit))


_RESOLVER: Any = yaml.resolver.Resolver()


class _Loader(yaml.CSafeLoader):
    """Asks once what a text is: contracts say the same things over and over."""

    def resolve(self, kind: Any, value: str | None, implicit: Any) -> str:
        ask = _tag if value is None or len(value) <= _SHORT else _tag.__wrapped__
        return ask(kind, value, implicit)


class _Builder:
    """Turns composed nodes into values and notes their places."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.keys: dict[NodePath, Place] = {}
        self.values: dict[NodePath, Place] = {}
        self.raw: dict[NodePath, str] = {}
        self.violations: list[Violation] = []
        self._scalars = yaml.constructor.SafeConstructor()

    def build(self, node: yaml.Node, path: NodePath) -> Any:
        if len(self.values) >= MAX_NODES or len(path) > MAX_DEPTH:
            # An alias that repeats its own ancestor, or a few that multiply each other.
            raise ContractError(
                [self._violation(node, "aliases make the file too large", "write it out")]
            )
        self.values[path] = _place(node)
        if isinstance(node, yaml.CollectionNode) and node.tag not in _COLLECTION_TAGS:
            self._add(node, "a tag is not supported here", "remove the '!…'")
            return None
        if isinstance(node, yaml.MappingNode):
            return dict(self._pairs(node, path))
        if isinstance(node, yaml.SequenceNode):
            return [self.build(item, (*path, index)) for index, item in enumerate(node.value)]
        return self._scalar(node, path)

    def _pairs(self, node: yaml.MappingNode, path: NodePath) -> Iterator[tuple[str, Any]]:
        seen: set[str] = set()
        for key_node, value_node in node.value:
            key = key_node.value
            if not isinstance(key_node, yaml.ScalarNode):
                self._add(key_node, "a key that is not plain text", "use a text as key")
            elif key in seen:
                self._add(key_node, f"key '{key}' is given twice", "keep one of the two")
            elif key_node.tag == "tag:yaml.org,2002:merge":
                self._add(key_node, "merge keys are not supported", "write the keys out")
            else:
                seen.add(key)
                self.keys[*path, key] = _place(key_node)
                yield key, self.build(value_node, (*path, key))

    def _scalar(self, node: yaml.Node, path: NodePath) -> Any:
        if isinstance(node, yaml.ScalarNode) and not node.style:
            self.raw[path] = node.value
        try:
            return self._scalars.construct_object(node)
        except (yaml.YAMLError, ValueError):
            self._add(node, "a value that YAML can't read", "quote it")
            return None

    def _violation(self, node: yaml.Node, message: str, fix: str) -> Violation:
        place = _place(node)
        return Violation(self.file, place.line, place.column, message, fix)

    def _add(self, node: yaml.Node, message: str, fix: str) -> None:
        self.violations.append(self._violation(node, message, fix))


def _place(node: yaml.Node) -> Place:
    return Place(node.start_mark.line + 1, node.start_mark.column + 1)
