"""Everything that is wrong with everything in ``contracts/``, in one run."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from cityledger.contracts.catalogue import RuleCatalogue
from cityledger.contracts.city import AREA_LIST, City, examine_city
from cityledger.contracts.codes import read_codes
from cityledger.contracts.glossary import Term, examine_glossary
from cityledger.contracts.model import Contract
from cityledger.contracts.node import Node, nearest
from cityledger.contracts.resolve import SUFFIX, Resolved, resolve
from cityledger.contracts.scoring import FILE as SCORING
from cityledger.contracts.scoring import examine_scoring
from cityledger.contracts.violations import ContractError, Violation
from cityledger.contracts.working_days import FILE as WORKING_DAYS
from cityledger.contracts.working_days import examine_working_days

__all__ = ["ContractError", "Report", "Violation", "examine", "lint"]

CODES = "codes"
_CODE_SUFFIXES = (".yaml", ".csv")
_TOP_FILES = ("city.yaml", "columns.yaml", SCORING, WORKING_DAYS)
_Read = TypeVar("_Read")


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


def examine(
    directory: Path,
    catalogue: RuleCatalogue | None = None,
    wanted: Callable[[Path], bool] = lambda _: True,
) -> Report:
    """Read and check a contracts directory.

    Args:
        directory: Holds ``<department>/<dataset>.odcs.yaml`` and, optionally, ``city.yaml``,
            ``columns.yaml`` and ``codes/``.
        catalogue: Known rules, value types and connectors.
        wanted: Which contract files to read; what all share is always read.
    """
    if not directory.is_dir():
        missing = Violation(directory, 1, 1, "there is no such directory", "check the path")
        return Report({}, [missing], 0)
    with _collector_paused():
        return _House(directory, catalogue, wanted).examine()


@contextmanager
def _collector_paused() -> Iterator[None]:
    # The documents have no cycles (of 1,000 contracts nothing was left to collect), and going
    # through them again and again took a third of the time.
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


@dataclass(slots=True)
class _House:
    """One run of the lint."""

    directory: Path
    catalogue: RuleCatalogue | None
    wanted: Callable[[Path], bool]
    violations: list[Violation] = field(default_factory=list)
    files: int = 0

    def examine(self) -> Report:
        """Read shared files first: contracts are checked against them."""
        city = self._shared("city.yaml", examine_city)
        glossary = self._shared("columns.yaml", examine_glossary) or {}
        self._shared(SCORING, examine_scoring)
        self._shared(WORKING_DAYS, examine_working_days)
        lists = self._code_lists(city)
        contracts: dict[str, Contract] = {}
        files = list(self._contract_files())
        for path in filter(self.wanted, files):
            resolved = self._read(path, lambda file: resolve(file, self.catalogue))
            if resolved is None:
                continue
            self._check_house(resolved, city, glossary, lists)
            self.violations += resolved.violations
            contracts[str(resolved.contract.id)] = resolved.contract
        if not files and not self.violations:
            self._note(self.directory, "no contracts here", f"add <department>/<dataset>{SUFFIX}")
        return Report(contracts, sorted(set(self.violations)), self.files)

    def _shared(
        self, name: str, read: Callable[[Path], tuple[_Read, list[Violation]]]
    ) -> _Read | None:
        path = self.directory / name
        found = self._read(path, read) if path.exists() else None
        if found is None:
            return None
        self.violations += found[1]
        return found[0]

    def _read(self, path: Path, read: Callable[[Path], _Read]) -> _Read | None:
        self.files += 1
        try:
            return read(path)
        except ContractError as error:
            self.violations += error.violations
            return None

    def _code_lists(self, city: City | None) -> frozenset[str]:
        names = {AREA_LIST} if city is not None else set()
        for path in sorted((self.directory / CODES).glob("*")):
            if path.suffix not in _CODE_SUFFIXES:
                self._note(path, "no code list", "code lists are .yaml or .csv files")
            elif path.stem in names:
                self._note(path, f"a second code list '{path.stem}'", "keep one")
            else:
                self._read(path, read_codes)
            names.add(path.stem)
        return frozenset(names)

    def _contract_files(self) -> Iterator[Path]:
        for path in sorted(self.directory.rglob("*.y*ml")):
            place = path.relative_to(self.directory).parts
            if len(place) == 2 and path.name.endswith(SUFFIX):
                yield path
            elif place[0] != CODES and path.name not in _TOP_FILES:
                self._note(path, "nobody reads this file", f"<department>/<dataset>{SUFFIX}")

    def _note(self, path: Path, message: str, fix: str) -> None:
        self.violations.append(Violation(path, 1, 1, message, fix))

    # --- checks that need more than one file ---

    def _check_house(
        self,
        resolved: Resolved,
        city: City | None,
        glossary: Mapping[str, Term],
        lists: frozenset[str],
    ) -> None:
        root, contract = resolved.root, resolved.contract
        if city is not None and city.department(contract.id.department) is None:
            known = [department.id for department in city.departments]
            root["domain"].add(
                f"'{contract.id.department}' is no department of city.yaml",
                nearest(contract.id.department, known),
            )
        columns = {column.name: column for column in reversed(contract.columns)}
        for node in root["schema"][0]["properties"].items():
            name = node["name"].value
            column = columns.pop(name, None)
            if column is not None and name in glossary:
                for part, expected in glossary[name].disagreements(column):
                    node.add(
                        f"column '{name}' disagrees with columns.yaml in {part}",
                        f"write {part}: {expected}, or rename the column",
                    )
        for arguments in _arguments(root):
            codes = arguments["codes"]
            if isinstance(codes.value, str) and codes.value not in lists:
                codes.add(f"there is no code list '{codes.value}'", nearest(codes.value, lists))


def _arguments(root: Node) -> Iterator[Node]:
    """Arguments of rules and options of value types."""
    table = root["schema"][0]
    for owner in (*table["properties"].items(), table):
        for entry in owner["quality"].items():
            yield entry["implementation"]["arguments"]
        for item in owner["customProperties"].items():
            if item["property"].value == "options":
                yield item["value"]
