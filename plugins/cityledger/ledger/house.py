"""What pages need from ``contracts/``: read once, and again when a file has changed.

A page of the city must not go down because of one contract that somebody broke a minute ago: such
a contract keeps its last good state, and one that never could be read is left out. The files that
hold for everybody (city, scoring, working days) have no such leave: a wrong one would make every
figure wrong, so it is an error.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from cityledger.contracts.city import City, read_city
from cityledger.contracts.model import Contract
from cityledger.contracts.registry import load_contract
from cityledger.contracts.resolve import SUFFIX
from cityledger.contracts.scoring import FILE as SCORING
from cityledger.contracts.scoring import ScoringConfig
from cityledger.contracts.violations import ContractError
from cityledger.contracts.working_days import FILE as WORKING_DAYS
from cityledger.contracts.working_days import WorkingDays

_Read = TypeVar("_Read")
_Stamp = tuple[int, int]


class House:
    """The contracts directory of an installation; cheap to ask often.

    Args:
        directory: Holds ``city.yaml``, ``scoring.yaml``, ``working_days.yaml`` and the contracts.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._known: dict[Path, tuple[_Stamp, Any]] = {}

    def contracts(self) -> dict[str, Contract]:
        """The contracts that can be read by dataset, in order of dataset."""
        paths = sorted(self._directory.glob(f"*/*{SUFFIX}"))
        found = (self._contract(path) for path in paths)
        return {str(contract.id): contract for contract in found if contract is not None}

    def contract(self, dataset: str) -> Contract | None:
        """The contract of a dataset; None when there is none that can be read."""
        department, _, name = dataset.partition(".")
        return self._contract(self._directory / department / f"{name}{SUFFIX}")

    def city(self) -> City:
        """The city; one without a name when there is no ``city.yaml``.

        Raises:
            ContractError: the file is wrong.
        """
        path = self._directory / "city.yaml"
        nobody = City(name="", code="", areas=(), departments=())
        return self._read(path, read_city) if path.exists() else nobody

    def scoring(self) -> ScoringConfig:
        """How quality is scored; the convention when there is no ``scoring.yaml``.

        Raises:
            ContractError: the file is wrong.
        """
        path = self._directory / SCORING
        return self._read(path, ScoringConfig.load) if path.exists() else ScoringConfig()

    def working_days(self) -> WorkingDays:
        """The working days.

        Raises:
            ContractError: the file is wrong.
        """
        path = self._directory / WORKING_DAYS
        return self._read(path, _working_days) if path.exists() else WorkingDays()

    def _contract(self, path: Path) -> Contract | None:
        if not path.exists():
            return None
        try:
            return self._read(path, load_contract)
        except ContractError:
            return self._known[path][1] if path in self._known else None

    def _read(self, path: Path, read: Callable[[Path], _Read]) -> _Read:
        """What a file says, read anew only when its time or size has changed."""
        status = path.stat()
        stamp = (status.st_mtime_ns, status.st_size)
        known = self._known.get(path)
        if known is None or known[0] != stamp:
            known = (stamp, read(path))
            self._known[path] = known
        found: _Read = known[1]
        return found


def _working_days(path: Path) -> WorkingDays:
    return WorkingDays.load(path.parent)
