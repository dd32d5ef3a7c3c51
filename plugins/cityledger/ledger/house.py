"""What pages need from ``contracts/``: read once, and again when a file has changed.

A page of the city must not go down because of one contract that somebody broke a minute ago: such
a contract keeps its last good state, and one that never could be read is left out. The files that
hold for everybody (city, scoring, working days) have no such leave: a wrong one would make every
figure wrong, so it is an error.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
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

CITY = "city.yaml"
NOWHERE = City(name="", code="", areas=(), departments=())
_Read = TypeVar("_Read")
Stamp = tuple[str, int, int]
"""Path, time of change (ns) and size (bytes) of a file."""


@dataclass(frozen=True, slots=True)
class _Known:
    """What a file said; ``value`` is the last that could be read, ``error`` why this one can't."""

    stamp: Stamp
    value: Any
    error: ContractError | None = None


class House:
    """The contracts directory of an installation; cheap to ask often, from several threads.

    Args:
        directory: Holds ``city.yaml``, ``scoring.yaml``, ``working_days.yaml`` and the contracts.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._known: dict[Path, _Known] = {}
        self._lock = threading.RLock()

    @property
    def contracts(self) -> dict[str, Contract]:
        """By ``department.dataset``, in that order.

        A contract that somebody broke stays as it was; one that never could be read is left out.
        """
        found = (self._contract(path) for path in self._files())
        return {str(contract.id): contract for contract in found if contract is not None}

    @property
    def broken(self) -> tuple[str, ...]:
        """Names of files that are left out; ``cityledger contract lint`` says why."""
        left_out = [path.name for path in self._files() if self._contract(path) is None]
        try:
            self.city()
        except ContractError:
            left_out.append(CITY)
        return tuple(left_out)

    @property
    def state(self) -> tuple[Stamp, ...]:
        """Changes whenever what this house says may have changed."""
        common = (self._directory / name for name in (CITY, SCORING, WORKING_DAYS))
        return tuple(stamp(path) for path in (*self._files(), *common) if path.exists())

    def contract(self, dataset: str) -> Contract | None:
        """The contract of a dataset; None when there is none that can be read."""
        department, _, name = dataset.partition(".")
        return self._contract(self._directory / department / f"{name}{SUFFIX}")

    def city(self) -> City:
        """The city; one without a name when there is no ``city.yaml``.

        Raises:
            ContractError: the file is wrong.
        """
        return self._common(CITY, read_city) or NOWHERE

    def scoring(self) -> ScoringConfig:
        """How quality is scored; the convention when there is no ``scoring.yaml``.

        Raises:
            ContractError: the file is wrong.
        """
        return self._common(SCORING, ScoringConfig.load) or ScoringConfig()

    def working_days(self) -> WorkingDays:
        """The working days.

        Raises:
            ContractError: the file is wrong.
        """
        return self._common(WORKING_DAYS, _working_days) or WorkingDays()

    def _files(self) -> list[Path]:
        return sorted(self._directory.glob(f"*/*{SUFFIX}"))

    def _contract(self, path: Path) -> Contract | None:
        found: Contract | None = self._read(path, load_contract).value if path.exists() else None
        return found

    def _common(self, name: str, read: Callable[[Path], _Read]) -> _Read | None:
        path = self._directory / name
        if not path.exists():
            return None
        known = self._read(path, read)
        if known.error is not None:
            raise known.error.with_traceback(None)  # the same one each time: it must not grow
        found: _Read = known.value
        return found

    def _read(self, path: Path, read: Callable[[Path], object]) -> _Known:
        """What a file says, read anew only when its time or size has changed."""
        now = stamp(path)
        with self._lock:
            known = self._known.get(path)
            if known is None or known.stamp != now:
                try:
                    known = _Known(now, read(path))
                except ContractError as error:
                    known = _Known(now, known.value if known else None, error)
                self._known[path] = known
            return known


def stamp(path: Path) -> Stamp:
    """Of a file as it is now."""
    status = path.stat()
    return str(path), status.st_mtime_ns, status.st_size


def _working_days(path: Path) -> WorkingDays:
    return WorkingDays.load(path.parent)
