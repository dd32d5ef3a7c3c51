"""Who asks: a name, roles, and the departments that a person speaks for."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class Role(StrEnum):
    """What somebody may do; every route and every decision names the roles that it serves."""

    ENGINEER = "engineer"
    STEWARD = "steward"
    AUDITOR = "auditor"
    DEPARTMENT = "department"
    PUBLIC = "public"


#: Roles that serve the whole city and therefore see every department.
CITY_WIDE = frozenset({Role.ENGINEER, Role.STEWARD, Role.AUDITOR})


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who has been identified.

    Attributes:
        name: Login name; recorded with everything that the person decides.
        departments: Department slugs (``health``) that a person of role ``department`` speaks for.
    """

    name: str
    roles: frozenset[Role]
    departments: frozenset[str] = field(default_factory=frozenset)

    def has(self, *roles: Role) -> bool:
        """Whether the person has at least one of the roles."""
        return not self.roles.isdisjoint(roles)

    def sees(self, department: str) -> bool:
        """Whether a department's rows, orders and reports may be shown to the person."""
        if self.has(*CITY_WIDE):
            return True
        return Role.DEPARTMENT in self.roles and department in self.departments
