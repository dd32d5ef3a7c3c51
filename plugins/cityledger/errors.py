"""The one error type users see: what went wrong, where, and what to do about it."""

from __future__ import annotations

from enum import IntEnum


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


class BadInputError(CityLedgerError):
    """What a department or an author handed in cannot be used as it is."""

    def __init__(self, what: str, *, where: str = "", fix: str = "", code: str) -> None:
        super().__init__(what, where=where, fix=fix, code=code, exit_code=Exit.BAD_INPUT)


class UnavailableError(CityLedgerError):
    """A service (database, object store, Airflow) does not answer."""

    def __init__(self, what: str, *, where: str = "", fix: str = "", code: str) -> None:
        super().__init__(what, where=where, fix=fix, code=code, exit_code=Exit.UNAVAILABLE)
