"""The console without Airflow: its own login, below the same prefix."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Mount, Route

from cityledger.console import login
from cityledger.console.accounts import Accounts
from cityledger.console.app import create_app
from cityledger.console.secret import load_key
from cityledger.console.sessions import Sessions
from cityledger.settings import Settings
from cityledger.web_headers import SecurityHeaders

PREFIX = "/cityledger"


def create_standalone(settings: Settings) -> Starlette:
    """The console with accounts of its own, to be served as it is."""
    accounts = Accounts(settings.home)
    folder = settings.home / "console" / "sessions"
    sessions = Sessions(load_key(settings.home), accounts, folder)
    console = create_app(
        settings,
        identify=sessions.identify,
        login_address=login.login_address,
        logout_path="/logout",
    )
    console.state.login = login.Login(accounts, sessions)
    console.include_router(login.router)
    app = Starlette(routes=[Route("/", _front_door), Mount(PREFIX, console)])
    app.add_middleware(SecurityHeaders)  # for what is not below the console
    return app


def _front_door(_: Request) -> Response:
    return RedirectResponse(f"{PREFIX}/", status_code=307)
