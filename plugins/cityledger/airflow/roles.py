"""The five roles as roles of Airflow's accounts (Flask-AppBuilder), by name.

``cityledger:steward`` is our steward, ``cityledger:department:health`` speaks for department
``health``. The prefix keeps a role that a city has called "auditor" for something else apart.
"""

from __future__ import annotations

from collections.abc import Iterable

from cityledger.people import Person, Role

PREFIX = "cityledger:"
_DEPARTMENT = f"{PREFIX}{Role.DEPARTMENT.value}:"
#: What everybody has who can log in.
NOBODY_YET = f"{PREFIX}{Role.PUBLIC.value}"
#: Airflow's own.
ADMINISTRATOR = "Admin"

#: Airflow's roles (simple auth manager and FAB, in lower case) → ours. Whoever is not listed here,
#: has none of the prefixed roles and is not in the file of accounts sees published indicators only:
#: a viewer of DAGs may be anybody.
_AIRFLOWS = {
    "admin": frozenset({Role.ENGINEER, Role.STEWARD, Role.AUDITOR}),
    "op": frozenset({Role.ENGINEER}),
}
_OURS = {f"{PREFIX}{role.value}": role for role in Role if role is not Role.DEPARTMENT}


def role_names(departments: Iterable[str]) -> list[str]:
    """The roles that an installation has: Airflow's administrator, ours, one a department."""
    return [ADMINISTRATOR, *_OURS, *(f"{_DEPARTMENT}{slug}" for slug in departments)]


def group_of(name: str) -> str:
    """How a role is called in names of groups: ``steward``, ``department-health``, ``admin``."""
    return name.removeprefix(PREFIX).replace(":", "-").lower()


def person(name: str, airflow_roles: Iterable[str]) -> Person:
    """Our person for the roles that somebody has in Airflow."""
    roles: set[Role] = set()
    departments: set[str] = set()
    for role in airflow_roles:
        roles |= _AIRFLOWS.get(role.lower(), frozenset())
        if role in _OURS:
            roles.add(_OURS[role])
        elif role.startswith(_DEPARTMENT):
            roles.add(Role.DEPARTMENT)
            departments.add(role.removeprefix(_DEPARTMENT))
    return Person(name, frozenset(roles) or frozenset({Role.PUBLIC}), frozenset(departments))
