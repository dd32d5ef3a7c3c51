"""A cursor over a document: reads values, and turns what is wrong into violations.

Reading never stops at a wrong value: it notes a violation and goes on with nothing, so that one
run of the lint finds everything.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from difflib import get_close_matches
from typing import Any

from cityledger.contracts.document import Document, NodePath, Step
from cityledger.contracts.violations import Violation


def nearest(word: str, known: Iterable[str]) -> str:
    """``did you mean 'x'?`` for the known name that looks most like a word, else the choices."""
    names = sorted(set(known))
    close = get_close_matches(word, names, n=1, cutoff=0.6)
    if close:
        return f"did you mean '{close[0]}'?"
    return f"use one of: {', '.join(names)}" if names else "remove it"


@dataclass(slots=True)
class Findings:
    """The violations of one document, at most one for each node and message."""

    document: Document
    violations: list[Violation] = field(default_factory=list)
    paths: set[NodePath] = field(default_factory=set)

    def add(self, path: NodePath, message: str, fix: str, *, at_key: bool = False) -> None:
        """Note a violation at a node."""
        place = self.document.place(path, at_key=at_key)
        violation = Violation(self.document.file, place.line, place.column, message, fix)
        if violation not in self.violations:
            self.violations.append(violation)
        self.paths.add(path)

    def at(self, path: NodePath) -> Any:
        """The plain value at a path that exists."""
        value = self.document.data
        for step in path:
            value = value[step]
        return value


# Not frozen: reading a thousand contracts makes a million of them, and freezing doubles their cost.
@dataclass(slots=True)
class Node:
    """A value in a document; nobody changes one.

    Attributes:
        value: The plain Python value; None when it is absent.
        path: Keys and indexes that lead to it.
    """

    findings: Findings
    value: Any
    path: NodePath = ()

    @property
    def present(self) -> bool:
        """Whether there is a value other than null."""
        return self.value is not None

    def add(self, message: str, fix: str, *, at_key: bool = False) -> None:
        """Note a violation here."""
        self.findings.add(self.path, message, fix, at_key=at_key)

    def child(self, step: Step) -> Node:
        """The value below a key or an index; an absent node if there is none."""
        value = None
        if isinstance(self.value, dict):
            value = self.value.get(step)
        elif isinstance(self.value, list) and isinstance(step, int) and step < len(self.value):
            value = self.value[step]
        return Node(self.findings, value, (*self.path, step))

    def __getitem__(self, step: Step) -> Node:
        return self.child(step)

    def names(self) -> list[str]:
        """Keys of a mapping, in the file's order; none for anything else."""
        return list(self.value) if isinstance(self.value, dict) else []

    def mapping(self) -> Node:
        """This node, noted as a violation if it is neither absent nor a mapping."""
        if self.present and not isinstance(self.value, dict):
            self.add("a mapping is expected here", "write key: value pairs")
        return self

    def items(self) -> list[Node]:
        """The elements of a list; a violation and nothing if it is something else."""
        if isinstance(self.value, list):
            return [self.child(index) for index in range(len(self.value))]
        if self.present:
            self.add("a list is expected here", "write it as a list: [ … ]")
        return []

    def text(self, *, required: bool = False, what: str = "") -> str | None:
        """A non-empty text.

        Args:
            required: An absent text is a violation.
            what: What to give, for the advice on an absent one.
        """
        if self.value is None or self.value == "":
            if required:
                self._missing(what)
            return None
        if isinstance(self.value, str):
            return self.value
        self.add(f"'{self._name}' must be text", f"quote it: '{self.written}'")
        return None

    def texts(self) -> tuple[str, ...]:
        """A list of texts (empty ones allowed)."""
        texts = []
        for item in self.items():
            if isinstance(item.value, str):
                texts.append(item.value)
            else:
                item.add("a text is expected here", f"quote it: '{item.written}'")
        return tuple(texts)

    def flag(self) -> bool:
        """A boolean; absent means false."""
        if self.value is None or isinstance(self.value, bool):
            return bool(self.value)
        self.add(f"'{self._name}' must be true or false", "write true or false")
        return False

    def number(self, *, required: bool = False) -> float | int | None:
        """A finite number."""
        if isinstance(self.value, int | float) and not isinstance(self.value, bool):
            if abs(self.value) < float("inf"):
                return self.value
            self.add(f"'{self._name}' must be a finite number", "write a number")
        elif self.value is not None:
            self.add(f"'{self._name}' must be a number", "write a number without quotes")
        elif required:
            self._missing("a number")
        return None

    def integer(self, *, minimum: int) -> int | None:
        """A whole number of at least ``minimum``."""
        value = self.number()
        if value is None or (isinstance(value, int) and value >= minimum):
            return value
        self.add(f"'{self._name}' must be a whole number of {minimum} or more", "correct it")
        return None

    def choice(self, known: Sequence[str], *, required: bool = False) -> str | None:
        """One of a few texts."""
        value = self.text(required=required, what=" | ".join(known))
        if value is None or value in known:
            return value
        self.add(f"'{value}' is no known {self._name}", nearest(value, known))
        return None

    def day(self) -> date | None:
        """A date, quoted or not."""
        if isinstance(self.value, date) and not isinstance(self.value, datetime):
            return self.value
        if isinstance(self.value, str):
            try:
                return date.fromisoformat(self.value)
            except ValueError:
                self.add(f"'{self.value}' is not a date", "write YYYY-MM-DD")
        elif self.present:
            self.add(f"'{self._name}' must be a date", "write YYYY-MM-DD")
        return None

    def only(self, known: Iterable[str]) -> None:
        """Note every key that is not one of the known ones, unless it has been noted before."""
        names = list(known)
        for key in self.mapping().names():
            if key not in names and (*self.path, key) not in self.findings.paths:
                self.child(key).add(f"unknown key '{key}'", nearest(key, names), at_key=True)

    @property
    def _name(self) -> str:
        """What to call this value: its key, or the name of the custom property that it is."""
        if self.path[-3:-2] == ("customProperties",) and self.path[-1] == "value":
            return str(self.findings.at((*self.path[:-1], "property")))
        return str(next((step for step in reversed(self.path) if isinstance(step, str)), "value"))

    @property
    def written(self) -> str:
        """A plain scalar as the file has it (``01``, which YAML reads as 1)."""
        return self.findings.document.raw.get(self.path, str(self.value))

    def _missing(self, what: str) -> None:
        parent = self.path[:-1]
        advice = f"add {self._name}: {what}" if what else f"add '{self._name}'"
        self.findings.add(parent, f"'{self._name}' is missing", advice)
