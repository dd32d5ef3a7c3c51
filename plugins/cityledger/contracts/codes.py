"""Code lists (``contracts/codes/``): effective-dated, because codes are merged, split and renamed.

Membership is always asked "as of" a date. Testing against today's list alone rejects records that
were right when they were written.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from cityledger.contracts.city import AREA_LIST, areas_as_codes, read_city
from cityledger.contracts.columns import NAME
from cityledger.contracts.document import Document, NodePath, Place, read_document
from cityledger.contracts.node import Findings, Node
from cityledger.contracts.period import Code, check_periods, read_period
from cityledger.contracts.violations import ContractError, Violation
from cityledger.errors import BadInputError

_CODE_KEYS = (
    "code",
    "name",
    "english",
    "aliases",
    "valid_from",
    "valid_to",
    "successors",
    "attributes",
)
_CSV_LISTS = ("aliases", "successors")
_MAX_CSV_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class CodeList:
    """One list of codes, all periods of all codes.

    Attributes:
        standard: The standard that the list comes from, if any.
        entries: In the file's order; a code occurs once for each period of its validity.
    """

    name: str
    title: str
    entries: tuple[Code, ...]
    english: str = ""
    standard: str = ""
    _by_code: Mapping[str, tuple[Code, ...]] = field(init=False, repr=False, compare=False)
    _by_text: Mapping[str, tuple[Code, ...]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        by_code: dict[str, tuple[Code, ...]] = {}
        by_text: dict[str, tuple[Code, ...]] = {}
        for entry in self.entries:
            by_code[entry.code] = (*by_code.get(entry.code, ()), entry)
            for text in dict.fromkeys((entry.code, entry.name, *entry.aliases)):
                by_text[text] = (*by_text.get(text, ()), entry)
        object.__setattr__(self, "_by_code", by_code)
        object.__setattr__(self, "_by_text", by_text)

    def find(self, code: str, as_of: date | None = None) -> Code | None:
        """The entry of a code, or None.

        Args:
            code: Exactly as in the list.
            as_of: Only an entry valid on that day; None takes the newest one of any time.
        """
        entries = self._by_code.get(code, ())
        if as_of is not None:
            entries = tuple(entry for entry in entries if entry.valid_on(as_of))
        return entries[-1] if entries else None

    def lookup(self, code: str, as_of: date | None = None) -> Code:
        """The entry of a code.

        Raises:
            BadInputError: the list has no such code (``unknown_code``), or not on that day
                (``code_not_in_force``).
        """
        entry = self.find(code, as_of)
        if entry is not None:
            return entry
        former = self.find(code)
        if former is None:
            raise BadInputError(
                f"'{code}' is no code of the list",
                where=f"code list {self.name}",
                fix="correct the value, or add the code to the list",
                code="unknown_code",
            )
        raise BadInputError(
            f"'{code}' is not in force on {as_of}",
            where=f"code list {self.name}",
            fix=f"use {' or '.join(former.successors) or 'a code of that day'}",
            code="code_not_in_force",
        )

    def recognise(self, text: str, as_of: date | None = None) -> Code | None:
        """The one entry that a text means as code, name or alias; None if none or several."""
        entries = self._by_text.get(text.strip(), ())
        if as_of is not None:
            entries = tuple(entry for entry in entries if entry.valid_on(as_of))
        return entries[-1] if len({entry.code for entry in entries}) == 1 else None

    def valid(self, as_of: date) -> tuple[Code, ...]:
        """All entries in force on a day."""
        return tuple(entry for entry in self.entries if entry.valid_on(as_of))


def load_codes(directory: Path, name: str) -> CodeList:
    """Load ``<directory>/<name>.yaml`` or ``.csv``; ``area`` comes from the city's file.

    Args:
        directory: ``contracts/codes``.
        name: Lower snake case.

    Raises:
        BadInputError: there is no such list.
        ContractError: the file is wrong, with all its violations.
    """
    if name == AREA_LIST:
        city = read_city(directory.parent / "city.yaml")
        return CodeList(AREA_LIST, "行政区划", areas_as_codes(city), "Administrative areas")
    for suffix in (".yaml", ".csv"):
        path = directory / f"{name}{suffix}"
        if NAME.fullmatch(name) and path.is_file():
            return read_codes(path)
    raise BadInputError(
        f"there is no code list '{name}'",
        where=str(directory),
        fix=f"add {name}.yaml (docs/contracts.md has the format)",
        code="unknown_code_list",
    )


def read_codes(path: Path) -> CodeList:
    """Read one code list file.

    Raises:
        ContractError: with all violations of the file.
    """
    document = _csv_document(path) if path.suffix == ".csv" else read_document(path)
    root = Node(Findings(document), document.data)
    root.only(("name", "title", "english", "standard", "codes"))
    name = root["name"].text(required=True, what=path.stem)
    if name is not None and name != path.stem:
        root["name"].add(f"'{name}' is not the file's name", f"write '{path.stem}'")
    entries = [_code(node) for node in root["codes"].items()]
    if not entries:
        root.add("no codes", "list them under 'codes'")
    check_periods(root["codes"], entries)
    _check_successors(root["codes"], entries)
    code_list = CodeList(
        path.stem,
        root["title"].text(required=True, what="the list's name") or "",
        tuple(entries),
        root["english"].text() or "",
        root["standard"].text() or "",
    )
    if root.findings.violations:
        raise ContractError(root.findings.violations)
    return code_list


def _code(node: Node) -> Code:
    node.only(_CODE_KEYS)
    valid_from, valid_to = read_period(node)
    attributes = node["attributes"].mapping().value
    return Code(
        code=node["code"].text(required=True, what="the code, quoted") or "",
        name=node["name"].text(required=True, what="what it means") or "",
        english=node["english"].text() or "",
        aliases=node["aliases"].texts(),
        valid_from=valid_from,
        valid_to=valid_to,
        successors=node["successors"].texts(),
        attributes=attributes if isinstance(attributes, dict) else {},
    )


def _check_successors(nodes: Node, entries: list[Code]) -> None:
    known = {entry.code for entry in entries}
    for index, entry in enumerate(entries):
        for successor in entry.successors:
            if successor not in known:
                nodes[index]["successors"].add(
                    f"successor '{successor}' is not in the list", "add it, or correct the code"
                )


# --- CSV ---------------------------------------------------------------------------------------


def _csv_document(path: Path) -> Document:
    """A CSV code list as the document that the same list in YAML would be."""
    content = path.read_bytes()[: _MAX_CSV_BYTES + 1]
    if len(content) > _MAX_CSV_BYTES:
        raise ContractError([Violation(path, 1, 1, "larger than 64 MiB", "split the list")])
    try:
        reader = csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True)
        columns = reader.fieldnames or []
        places: dict[NodePath, Place] = {(): Place(1, 1)}
        codes: list[dict[str, object]] = []
        for row in reader:
            places["codes", len(codes)] = Place(reader.line_num, 1)
            if None in row or None in row.values():
                message = f"a row without {len(columns)} fields"
                raise ContractError(
                    [Violation(path, reader.line_num, 1, message, "quote texts with commas")]
                )
            codes.append(_csv_code(row))
    except (UnicodeDecodeError, csv.Error):
        raise ContractError(
            [Violation(path, 1, 1, "no valid CSV in UTF-8", "save it as CSV UTF-8")]
        ) from None
    data = {"name": path.stem, "title": path.stem, "codes": codes}
    return Document(path, data, "", {}, places, {})


def _csv_code(row: Mapping[str, str]) -> dict[str, object]:
    code: dict[str, object] = {}
    attributes: dict[str, str] = {}
    for name, text in row.items():
        if text == "":
            continue
        if name in _CSV_LISTS:
            code[name] = [part.strip() for part in text.split("|")]
        elif name in _CODE_KEYS:
            code[name] = text
        else:
            attributes[name] = text
    return {**code, "attributes": attributes}
