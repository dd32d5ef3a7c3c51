"""Credentials never stand in a contract: contracts are read by many and kept for ever."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from cityledger.contracts.document import NodePath
from cityledger.contracts.node import Node

_SECRET_KEY = re.compile(
    r"(?:password|passwd|pwd|secret|token|credentials?|api_?key|access_?key|private_?key)$",
    re.IGNORECASE,
)
_URL_WITH_PASSWORD = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/\s:@]*:[^/\s@]+@")
_CREDENTIAL = "a credential has no place in a contract"
_FIX = "name an Airflow connection instead"


def check_hygiene(root: Node) -> None:
    """Note keys that look like credentials and URLs with a password, without their values."""
    for path, message, at_key in _leaks(root.value, root.path):
        root.findings.add(path, message, _FIX, at_key=at_key)


def _leaks(value: Any, path: NodePath) -> Iterator[tuple[NodePath, str, bool]]:
    """Path, what is wrong there, and whether it is the key that tells."""
    if isinstance(value, dict):
        if _is_secret(str(value.get("property", ""))):
            yield (*path, "property"), _CREDENTIAL, False
        for key, item in value.items():
            if _is_secret(key):
                yield (*path, key), _CREDENTIAL, True
            yield from _leaks(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _leaks(item, (*path, index))
    elif isinstance(value, str) and "://" in value and _URL_WITH_PASSWORD.search(value):
        yield path, "a URL with a password", False


@lru_cache(maxsize=4096)
def _is_secret(key: str) -> bool:
    return _SECRET_KEY.search(key) is not None
