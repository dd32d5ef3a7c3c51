"""The console inside Airflow's api-server: behind Airflow's login, with our roles."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

from cityledger.airflow.roles import person

if TYPE_CHECKING:
    from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
    from fastapi import Request
    from starlette.types import ASGIApp

    from cityledger.console.accounts import Accounts
    from cityledger.people import Person

PREFIX = "/cityledger"


def build() -> ASGIApp:
    """The console with Airflow's login in front."""
    from cityledger.airflow.tasks import unfinished_tasks
    from cityledger.console.accounts import Accounts
    from cityledger.console.app import create_app
    from cityledger.console.readiness import get_ready
    from cityledger.settings import get_settings

    settings = get_settings()
    accounts = Accounts(settings.home)

    async def identify(request: Request) -> Person | None:
        user = await _airflow_user(request)
        return None if user is None else person_of(user, accounts)

    console = create_app(
        settings,
        identify=identify,
        login_address=login_address,
        figures={"airflow": unfinished_tasks},
    )
    get_ready()
    return console


def login_address(request: Request) -> str:
    """Airflow's login, whichever auth manager it has, and back to the page afterwards."""
    path: str = request.scope["path"]
    airflow = request.scope.get("root_path", "").removesuffix(PREFIX)
    wanted = f"{path}?{request.url.query}" if request.url.query else path
    return f"{airflow}/api/v2/auth/login?{urlencode({'next': wanted})}"


async def _airflow_user(request: Request) -> BaseUser | None:
    """Airflow's user by its token, in a header or in the cookie; None without a valid one."""
    from airflow.api_fastapi.core_api.security import bearer_scheme, get_user
    from fastapi import HTTPException

    try:
        return await get_user(request, None, await bearer_scheme(request))
    except HTTPException:
        return None


def person_of(user: BaseUser, accounts: Accounts) -> Person:
    """Our person for one of Airflow's users.

    The file of accounts decides; for names that it does not know, Airflow's roles do.
    """
    name = str(getattr(user, "username", None) or user.get_name())
    account = accounts.find(name)
    if account is not None:
        return account.person(name)
    return person(name, _airflow_roles(user))


def _airflow_roles(user: BaseUser) -> list[str]:
    """Role names: one (simple auth manager), or a list of named ones (FAB)."""
    single = getattr(user, "role", None)
    several = getattr(user, "roles", None) or ()
    names = [single, *(getattr(role, "name", role) for role in several)]
    return [str(name) for name in names if name]
