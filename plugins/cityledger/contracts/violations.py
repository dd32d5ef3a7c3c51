"""What is wrong with a contract, as data: every violation has a place and a fix."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from cityledger.errors import BadInputError


@dataclass(frozen=True, order=True, slots=True)
class Violation:
    """One thing that is wrong in one file.

    Attributes:
        file: The file, as the caller named it.
        line: 1-based; 1 when the whole file is meant.
        column: 1-based.
        message: What is wrong, without the value of anything that may be secret.
        fix: What to write instead.
    """

    file: Path
    line: int
    column: int
    message: str
    fix: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.message} → {self.fix}"

    def as_dict(self) -> dict[str, str | int]:
        """The violation for ``--json``."""
        return {**asdict(self), "file": str(self.file)}


class ContractError(BadInputError):
    """Contracts that can't be used, with all their violations."""

    def __init__(self, violations: Iterable[Violation]) -> None:
        self.violations = sorted(set(violations))
        lines = "\n".join(f"  {violation}" for violation in self.violations)
        count = len(self.violations)
        super().__init__(
            f"{count} contract violation{'s' if count != 1 else ''}:\n{lines}",
            code="bad_contract",
        )
