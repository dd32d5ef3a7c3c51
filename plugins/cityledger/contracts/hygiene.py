"""Credentials never stand in a contract: contracts are read by many and kept for ever."""

from __future__ import annotations

import re

from cityledger.contracts.node import Node

_SECRET_KEY = re.compile(
    r"(?:password|passwd|pwd|secret|token|credentials?|api_?key|access_?key|private_?key)$",
    re.IGNORECASE,
)
_URL_WITH_PASSWORD = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/\s:@]*:[^/\s@]+@")
_FIX = "name an Airflow connection instead"


def check_hygiene(node: Node) -> None:
    """Note keys that look like credentials and URLs with a password, without their values."""
    if isinstance(node.value, dict):
        if _SECRET_KEY.search(str(node.value.get("property", ""))):
            node["property"].add("a credential has no place in a contract", _FIX)
        for key in node.names():
            if _SECRET_KEY.search(key):
                node[key].add("a credential has no place in a contract", _FIX, at_key=True)
            check_hygiene(node[key])
    elif isinstance(node.value, list):
        for item in node.items():
            check_hygiene(item)
    elif isinstance(node.value, str) and _URL_WITH_PASSWORD.search(node.value):
        node.add("a URL with a password", _FIX)
