"""The contracts of a house, by dataset."""

from __future__ import annotations

from pathlib import Path

from cityledger.contracts.catalogue import RuleCatalogue
from cityledger.contracts.lint import examine
from cityledger.contracts.model import Contract
from cityledger.contracts.resolve import resolve
from cityledger.contracts.violations import ContractError


def load_contract(path: Path, catalogue: RuleCatalogue | None = None) -> Contract:
    """Load one contract file.

    Raises:
        ContractError: with all violations of the file.
    """
    resolved = resolve(path, catalogue)
    if resolved.violations:
        raise ContractError(resolved.violations)
    return resolved.contract


def load_contracts(directory: Path, catalogue: RuleCatalogue | None = None) -> dict[str, Contract]:
    """Load all contracts of a directory, by ``department.dataset``.

    Raises:
        ContractError: with all violations of all files.
    """
    report = examine(directory, catalogue)
    if report.violations:
        raise ContractError(report.violations)
    return report.contracts
