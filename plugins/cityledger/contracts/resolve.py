"""From an ODCS file to a :class:`Contract`: all checks, all violations, one pass."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from cityledger.contracts.catalogue import RuleCatalogue
from cityledger.contracts.columns import NAME, resolve_columns
from cityledger.contracts.custom import custom_properties
from cityledger.contracts.document import Document, read_document
from cityledger.contracts.hygiene import check_hygiene
from cityledger.contracts.identity import DatasetId
from cityledger.contracts.model import Column, Contract
from cityledger.contracts.node import Findings, Node
from cityledger.contracts.rectification import read_rectification
from cityledger.contracts.rules import quality_notes, resolve_rules
from cityledger.contracts.shape import check_keys, check_official
from cityledger.contracts.terms import (
    resolve_drift,
    resolve_gate,
    resolve_server,
    resolve_service_level,
    resolve_sharing,
)
from cityledger.contracts.violations import ContractError, Violation

SUFFIX = ".odcs.yaml"
API_VERSIONS = ("v3.1.0", "v3.2.0")
STATUSES = ("draft", "active", "deprecated")
CONTRACT_PROPERTIES = ("sharing", "drift", "nullTokens", "gate", "rectification", "noKeyReason")
_SEMVER = re.compile(r"(?:(?:0|[1-9][0-9]*)\.){2}(?:0|[1-9][0-9]*)")


@dataclass(frozen=True, slots=True)
class Resolved:
    """A contract together with what is wrong with it.

    Attributes:
        contract: What could be read; only to be used when there are no violations.
        root: Cursor at the document's top, for checks that need more than one file.
    """

    contract: Contract
    root: Node

    @property
    def violations(self) -> list[Violation]:
        """Everything noted so far."""
        return self.root.findings.violations


def resolve(path: Path, catalogue: RuleCatalogue | None = None) -> Resolved:
    """Read and check one contract file.

    Args:
        path: ``…/<department>/<dataset>.odcs.yaml``.
        catalogue: Known rules, value types and connectors; without it names are checked for their
            spelling only.

    Raises:
        ContractError: the file can't be read as YAML at all.
    """
    document = read_document(path)
    if not isinstance(document.data, dict):
        raise ContractError(
            [Violation(path, 1, 1, "no contract in this file", "start with docs/contracts.md")]
        )
    root = Node(Findings(document), document.data)
    check_hygiene(root)
    check_keys(root)
    contract = _contract(document, root, catalogue)
    check_official(root)
    return Resolved(contract, root)


def _contract(document: Document, root: Node, catalogue: RuleCatalogue | None) -> Contract:
    dataset = _identity(root, document.file)
    table = _table(root, dataset)
    columns = resolve_columns(table, catalogue)
    properties = custom_properties(root, CONTRACT_PROPERTIES)
    _check_key(table, columns, properties.get("noKeyReason"))
    source, layout = resolve_server(root, tuple(column.name for column in columns), catalogue)
    tokens = properties["nullTokens"].texts() if "nullTokens" in properties else ()
    owner, steward = _team(root["team"])
    return Contract(
        id=dataset,
        version=_version(root["version"]),
        title=root["name"].text(required=True, what="the dataset's title") or "",
        path=document.file,
        sha256=document.sha256,
        columns=columns,
        rules=resolve_rules(table, dataset, columns, catalogue),
        source=source,
        layout=layout,
        service_level=resolve_service_level(root),
        gate=resolve_gate(properties.get("gate")),
        drift=resolve_drift(properties.get("drift")),
        null_tokens=tuple(dict.fromkeys(("", *tokens))),
        description=root["description"]["purpose"].text() or "",
        owner=owner,
        steward=steward,
        contact=_contact(root),
        sharing=resolve_sharing(root, properties.get("sharing")),
        quality_notes=quality_notes(table),
        rectification=read_rectification(properties.get("rectification")),
    )


# --- identity ----------------------------------------------------------------------------------


def _identity(root: Node, path: Path) -> DatasetId:
    """The id by the path, which everything in the file must repeat."""
    root["apiVersion"].choice(API_VERSIONS, required=True)
    root["kind"].choice(("DataContract",), required=True)
    root["status"].choice(STATUSES, required=True)
    department, name = path.resolve().parent.name, path.name.removesuffix(SUFFIX)
    for part, what in ((department, "folder"), (name, "file name")):
        if not NAME.fullmatch(part):
            root.add(f"the {what} '{part}' is not lower snake case", "rename it")
    if not path.name.endswith(SUFFIX):
        root.add("the file name does not end in .odcs.yaml", f"rename it to <dataset>{SUFFIX}")
    _must_be(root["id"], f"{department}.{name}")
    _must_be(root["domain"], department)
    return DatasetId(department, name)


def _must_be(node: Node, expected: str) -> None:
    value = node.text(required=True, what=expected)
    if value is not None and value != expected:
        node.add(
            f"'{value}' does not agree with the file's path", f"write '{expected}' or move the file"
        )


def _table(root: Node, dataset: DatasetId) -> Node:
    tables = root["schema"].items()
    if len(tables) != 1:
        root["schema"].add(f"{len(tables)} schema objects", "a contract describes exactly one")
    if tables:
        _must_be(tables[0]["name"], dataset.name)
    return root["schema"][0]


def _version(node: Node) -> str:
    version = node.text(required=True, what="1.0.0") or "0.0.0"
    if not _SEMVER.fullmatch(version):
        node.add(f"'{version}' is no semantic version", "write MAJOR.MINOR.PATCH: 1.0.0")
    return version


def _check_key(table: Node, columns: tuple[Column, ...], reason: Node | None) -> None:
    keys = [column for column in columns if column.primary_key]
    if columns and not keys and (reason is None or reason.text() is None):
        table["properties"].add(
            "no column is a primaryKey",
            "mark the key, or say why there is none in customProperty noKeyReason",
        )
    if keys and reason is not None:
        reason.add("noKeyReason although there is a key", "remove it")


# --- people ------------------------------------------------------------------------------------


def _team(team: Node) -> tuple[str, str]:
    members = team["members"] if isinstance(team.value, dict) else team
    people: dict[str, str] = {}
    for member in members.items():
        role = member["role"].text(required=True, what="owner | steward")
        name = member["username"].text() or member["name"].text()
        if name is None:
            member.add("a member without a name", "add username")
        elif role is not None and role in people:
            member["role"].add(f"a second {role}", "name one")
        elif role is not None:
            people[role] = name
    for role, duty in (("owner", "who answers for it"), ("steward", "who decides when it is held")):
        if role not in people:
            team.add(f"no {role} is named", f"add a member with role: {role}, {duty}")
    return people.get("owner", ""), people.get("steward", "")


def _contact(root: Node) -> str:
    for item in root["support"].items():
        contact = item["url"].text() or item["channel"].text()
        if contact is not None:
            return contact
        item.add("a support entry without channel and url", "add one of them")
    if not root["support"].items():
        root.add("no support contact", "add support: [{channel: …, url: 'mailto:…'}]")
    return ""
