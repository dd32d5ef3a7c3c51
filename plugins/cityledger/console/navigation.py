"""Entries of the console's navigation; a page module lists its own in ``NAVIGATION``."""

from __future__ import annotations

from dataclasses import dataclass

from cityledger.people import Person, Role


@dataclass(frozen=True, slots=True)
class NavigationItem:
    """One entry.

    Attributes:
        path: Where it leads, below the console's prefix, e.g. ``/indicators``.
        text: English text, marked for translation.
        roles: Who sees it; empty for everybody.
        order: Entries are sorted by it.
    """

    path: str
    text: str
    roles: tuple[Role, ...] = ()
    order: int = 50

    def shown_to(self, person: Person) -> bool:
        """Whether the person sees the entry."""
        return not self.roles or person.has(*self.roles)
