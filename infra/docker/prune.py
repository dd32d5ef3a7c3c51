"""Removes from a virtual environment what CityLedger does not need to run.

The lock holds everything, tools of developers included: one list of versions and hashes. The image
installs it whole, so every hash is checked, and then keeps what the named extras need, as the
packages' own metadata says.

    python prune.py pyproject.toml EXTRA…        # prints the names that can go, one a line
"""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Iterable, Mapping
from importlib.metadata import distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def wanted(pyproject: Path, extras: Iterable[str]) -> list[Requirement]:
    """What the project asks for itself: its dependencies and those of some extras."""
    project = tomllib.loads(pyproject.read_text("utf-8"))["project"]
    optional = project["optional-dependencies"]
    lines = [*project["dependencies"], *(line for name in extras for line in optional[name])]
    return [Requirement(line) for line in lines]


def needed(roots: Iterable[Requirement], installed: Mapping[str, Iterable[str]]) -> set[str]:
    """Names of the installed packages that the roots need, directly or not.

    Args:
        roots: Requirements to start from.
        installed: Name of each installed package → its requirements, as its metadata writes them.

    Raises:
        LookupError: A package that is needed is not installed.
    """
    seen: set[tuple[str, str]] = set()
    waiting: list[tuple[Requirement, str]] = [(root, "") for root in roots]
    while waiting:
        requirement, extra = waiting.pop()
        if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
            continue
        name = canonicalize_name(requirement.name)
        if name not in installed:
            raise LookupError(f"{name} is not installed")
        for of in ("", *requirement.extras):
            if (name, of) not in seen:
                seen.add((name, of))
                waiting += [(Requirement(line), of) for line in installed[name]]
    return {name for name, _ in seen}


def superfluous(pyproject: Path, extras: Iterable[str]) -> list[str]:
    """Installed packages that neither the project nor the extras need, in order."""
    installed = {
        canonicalize_name(one.metadata["Name"]): tuple(one.requires or ())
        for one in distributions()
    }
    keep = needed(wanted(pyproject, extras), installed)
    return sorted(set(installed) - keep)


if __name__ == "__main__":
    sys.stdout.write("".join(f"{name}\n" for name in superfluous(Path(sys.argv[1]), sys.argv[2:])))
