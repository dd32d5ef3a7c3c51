"""ODCS ``customProperties``: where the standard leaves room, and we allow known names only."""

from __future__ import annotations

import re
from collections.abc import Iterable

from cityledger.contracts.node import Node, nearest

_CAMEL = re.compile(r"[a-z][A-Za-z0-9]*")


def custom_properties(node: Node, known: Iterable[str] | None) -> dict[str, Node]:
    """Read ``customProperties: [{property: …, value: …}]``.

    Args:
        node: The element that has them.
        known: Allowed names; None allows every name in lower camel case.

    Returns:
        Name → node of the value.
    """
    names = None if known is None else list(known)
    found: dict[str, Node] = {}
    for item in node["customProperties"].items():
        name = item["property"].text(required=True, what="the name")
        if name is None:
            continue
        if names is not None and name not in names:
            item["property"].add(f"unknown custom property '{name}'", nearest(name, names))
        elif not _CAMEL.fullmatch(name):
            item["property"].add(f"'{name}' is not lower camel case", "write it like headerRows")
        elif name in found:
            item["property"].add(f"custom property '{name}' is given twice", "keep one")
        elif not item["value"].present:
            item.add(f"custom property '{name}' has no value", "add value: …")
        else:
            found[name] = item["value"]
    return found
