"""The one error type users see: what went wrong, where, and what to do about it."""

from __future__ import annotations

from enum import IntEnum
from typing import Any


class Exit(IntEnum):
    """Exit codes of every `cityledger` command (documented in ``docs/cli.md``)."""

    OK = 0
    FAILED = 1
    USAGE = 2
    HELD = 3
    BAD_INPUT = 4
    UNAVAILABLE = 5


class CityLedgerError(Exception):
    """A failure that a person can act on.

    Args:
        what: What is wrong, in one sentence, without personal data or secrets.
        where: File, object key, line or column that shows it.
        fix: What to do next.
        code: A stable, lower-snake-case name, stored in outcome records.
        exit_code: What a command that stops on this error exits with.
    """

    def __init__(
        self,
        what: str,
        *,
        where: str = "",
        fix: str = "",
        code: str = "error",
        exit_code: Exit = Exit.FAILED,
    ) -> None:
        self.what, self.where, self.fix = what, where, fix
        self.code, self.exit_code = code, exit_code
        super().__init__(str(self))

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        advice = f" → {self.fix}" if self.fix else ""
        return f"{place}{self.what}{advice}"

    def __reduce__(self) -> tuple[Any, ...]:
        """Errors of other processes arrive whole; by default a class that wants names would not."""
        return _revived, (type(self), self.args, self.__dict__)


def _revived(
    kind: type[CityLedgerError], arguments: tuple[Any, ...], state: dict[str, Any]
) -> CityLedgerError:
    error = kind.__new__(kind, *arguments)
    error.__dict__.update(state)
    return error


class BadInputError(CityLedgerError):
    """What a department or an author handed in cannot be used as it is."""

    def __init__(self, what: str, *, where: str = "", fix: str = "", code: str) -> None:
        super().__init__(what, where=where, fix=fix, code=code, exit_code=Exit.BAD_INPUT)


class UnavailableError(CityLedgerError):
    """A service (database, object store, Airflow) does not answer."""

    def __init__(self, what: str, *, where: str = "", fix: str = "", code: str) -> None:
        super().__init__(what, where=where, fix=fix, code=code, exit_code=Exit.UNAVAILABLE)
