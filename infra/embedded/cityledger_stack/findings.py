"""What a check found."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """The result of one check.

    Attributes:
        level: ``ok``, ``warning`` (it works, not well) or ``problem`` (it will not work).
        fix: How to mend it; empty when all is well.
    """

    check: str
    level: str
    detail: str
    fix: str = ""


def finding(check: str, good: bool, detail: str, fix: str, *, bad: str = "problem") -> Finding:
    """A finding whose fix is only told when it is needed."""
    return Finding(check, "ok" if good else bad, detail, "" if good else fix)
