"""Remembers the column lineage of models whose SQL and inputs have not changed.

An entry is known by the SHA-256 of all that its lineage follows from: the node's SQL and declared
columns, the columns of the tables and files that it can read, this package's code and sqlglot's
version. So nothing has to be declared stale; entries that a build does not ask for are dropped.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from cityledger.ledger.columns.model import TableLineage

_ENTRIES = TypeAdapter(dict[str, TableLineage])


class LineageCache:
    """Column lineage by key, in one file.

    Args:
        path: The file; without one nothing is remembered.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._known = _read(path) if path is not None else {}
        self._used: dict[str, TableLineage] = {}

    def find(self, key: str) -> TableLineage | None:
        """The lineage that was kept under a key."""
        found = self._known.get(key)
        if found is not None:
            self._used[key] = found
        return found

    def keep(self, key: str, lineage: TableLineage) -> None:
        """Remember lineage under a key; a failure to trace is tried again the next time."""
        if lineage.problem is None:
            self._used[key] = lineage

    def save(self) -> None:
        """Write what was asked for or kept; what was not is dropped."""
        if self._path is None or self._used.keys() == self._known.keys():
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        draft = self._path.with_name(f"{self._path.name}.{os.getpid()}.draft")
        draft.write_bytes(_ENTRIES.dump_json(self._used))
        draft.replace(self._path)


def cache_key(*parts: object) -> str:
    """A key for what lineage follows from; parts are what JSON can say."""
    told = json.dumps([_code(), *parts], sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(told.encode()).hexdigest()


@lru_cache(maxsize=1)
def _code() -> str:
    """Stands for the code that traces: another version may see more."""
    digest = hashlib.sha256(version("sqlglot").encode())
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _read(path: Path) -> Mapping[str, TableLineage]:
    try:
        return _ENTRIES.validate_json(path.read_bytes())
    except (FileNotFoundError, ValidationError):  # a cache that cannot be read is made anew
        return {}
