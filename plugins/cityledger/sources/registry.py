"""Connectors by name, found through the entry point group ``cityledger.sources``."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from cityledger.errors import BadInputError
from cityledger.sources.base import Source

GROUP = "cityledger.sources"


def names() -> list[str]:
    """Names of all installed connectors."""
    return sorted({point.name for point in entry_points(group=GROUP)})


def connect(name: str, options: Mapping[str, Any], *, drop_dir: Path) -> Source:
    """Make the connector of that name.

    Raises:
        BadInputError: ``unknown_connector``.
    """
    for point in entry_points(group=GROUP, name=name):
        kind: type[Source] = point.load()
        return kind(options, drop_dir=drop_dir)
    raise BadInputError(
        f"there is no connector '{name}'",
        fix=f"use one of: {', '.join(names())}",
        code="unknown_connector",
    )
