"""Everything that is wrong with everything in ``contracts/``, in one run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cityledger.contracts.catalogue import RuleCatalogue
from cityledger.contracts.model import Contract
from cityledger.contracts.resolve import SUFFIX, resolve
from cityledger.contracts.violations import ContractError, Violation

__all__ = ["ContractError", "Report", "Violation", "examine", "lint"]


@dataclass(frozen=True, slots=True)
class Report:
    """What the lint looked at and what it found.

    Attributes:
        contracts: The contracts that could be resolved; only to be used if nothing is wrong.
        violations: In order of file, line and column.
        files: Number of files read.
    """

    contracts: dict[str, Contract]
    violations: list[Violation]
    files: int


def lint(directory: Path, catalogue: RuleCatalogue | None = None) -> list[Violation]:
    """All violations of all files below a contracts directory."""
    return examine(directory, catalogue).violations


def examine(directory: Path, catalogue: RuleCatalogue | None = None) -> Report:
    """Read and check a contracts directory.

    Args:
        directory: Holds ``<department>/<dataset>.odcs.yaml`` and, optionally, ``city.yaml``,
            ``columns.yaml`` and ``codes/``.
        catalogue: Known rules, value types and connectors.
    """
    violations: list[Violation] = []
    contracts: dict[str, Contract] = {}
    files = 0
    for path in _contract_files(directory):
        files += 1
        try:
            resolved = resolve(path, catalogue)
        except ContractError as error:
            violations += error.violations
            continue
        violations += resolved.violations
        contracts[str(resolved.contract.id)] = resolved.contract
    return Report(contracts, sorted(set(violations)), files)


def _contract_files(directory: Path) -> Iterator[Path]:
    yield from sorted(directory.glob(f"*/*{SUFFIX}"))
