"""`cityledger console …`: serve the pages without Airflow, and say who may use them."""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from rich.console import Console as Terminal
from rich.table import Table

from cityledger.cli.listening import (
    CertificateOption,
    HostOption,
    KeyOption,
    PortOption,
    server_options,
)
from cityledger.console.accounts import Accounts
from cityledger.contracts.city import read_city
from cityledger.errors import BadInputError
from cityledger.people import Role
from cityledger.settings import Settings, get_settings

app = typer.Typer(help="The web console: serve it alone, and its accounts.", no_args_is_help=True)
user = typer.Typer(help="Accounts and roles of the console.", no_args_is_help=True)
app.add_typer(user, name="user")


@app.command()
def serve(
    port: PortOption = 8090,
    host: HostOption = "127.0.0.1",
    certificate: CertificateOption = None,
    key: KeyOption = None,
) -> None:
    """Serve the console with its own login, at http(s)://HOST:PORT/cityledger/."""
    import uvicorn

    from cityledger.console.readiness import get_ready
    from cityledger.console.standalone import PREFIX, create_standalone

    options = server_options(host, port, certificate, key, secrets="passwords")
    scheme = "https" if certificate else "http"
    typer.echo(f"CityLedger console: {scheme}://{host}:{port}{PREFIX}/")
    console = create_standalone(get_settings())
    get_ready()
    uvicorn.run(console, **options)


@user.command("add")
def add(
    name: Annotated[str, typer.Argument(help="Login name; Airflow's, if people come by Airflow.")],
    role: Annotated[list[Role], typer.Option(help="May be repeated.")],
    department: Annotated[
        list[str] | None,
        typer.Option(help="Whom a person of role department speaks for.", show_default=False),
    ] = None,
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from standard input.")
    ] = False,
    airflow: Annotated[
        bool, typer.Option("--airflow", help="Logs in through Airflow: no password here.")
    ] = False,
) -> None:
    """Add a person, or replace their role, department and password."""
    settings = get_settings()
    departments = department or []
    _check_departments(settings, departments)
    Accounts(settings.home).add(
        name, role, departments, None if airflow else _password(password_stdin)
    )
    typer.echo(f"{name}: {', '.join(sorted(role))} {' '.join(departments)}".rstrip())


@user.command("list")
def list_all() -> None:
    """Show the accounts."""
    table = Table("name", "roles", "departments", "logs in", box=None)
    for name, account in sorted(Accounts(get_settings().home).all().items()):
        way = "here" if account.password else "through Airflow"
        table.add_row(
            name, ", ".join(sorted(account.roles)), ", ".join(sorted(account.departments)), way
        )
    Terminal(highlight=False).print(table)


@user.command("remove")
def remove(name: Annotated[str, typer.Argument(help="Login name.")]) -> None:
    """Remove an account; its sessions end at once."""
    Accounts(get_settings().home).remove(name)
    typer.echo(f"{name} removed")


def _password(from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    asked: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    return asked


def _check_departments(settings: Settings, departments: list[str]) -> None:
    known = [one.id for one in read_city(settings.contracts_dir / "city.yaml").departments]
    for name in departments:
        if name not in known:
            raise BadInputError(
                f"the city has no department '{name}'",
                where="--department",
                fix=f"one of: {', '.join(known)}",
                code="unknown_department",
            )
