"""Who asks: the dependencies that every route has.

Routes of a plug-in are not protected by Airflow, so protection is a part of each route:
``require()`` for anybody who has been identified, ``require(Role.STEWARD, …)`` for some of them.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends, Request

from cityledger.console.errors import ForbiddenError, LoginRequiredError
from cityledger.people import CITY_WIDE, Person, Role

#: Says who sent a request; None when nobody is logged in.
Identify = Callable[[Request], "Person | Awaitable[Person | None] | None"]

#: Everybody who works with the data; the public sees published indicators only.
STAFF = (*sorted(CITY_WIDE), Role.DEPARTMENT)


async def current_person(request: Request) -> Person:
    """The person who sent the request.

    Raises:
        LoginRequiredError: nobody is logged in.
    """
    answer = request.app.state.identify(request)
    person: Person | None = await answer if inspect.isawaitable(answer) else answer
    if person is None:
        raise LoginRequiredError
    request.state.person = person
    return person


CurrentPerson = Annotated[Person, Depends(current_person)]


def require(*roles: Role) -> Callable[[Person], Person]:
    """A dependency that lets people with one of the roles pass; without roles, everybody known.

    Raises:
        LoginRequiredError: nobody is logged in.
        ForbiddenError: the person has none of the roles.
    """

    def check(person: CurrentPerson) -> Person:
        if roles and not person.has(*roles):
            raise ForbiddenError
        return person

    return check
