"""`cityledger orders`: rectification orders without the console.

Whoever can run this reaches the database, so names and departments are taken at their word; the
console asks for a login.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import date
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from cityledger.cli.options import JsonOption
from cityledger.orders import Order, OrderBook, OrderState
from cityledger.orders.messages import message_of
from cityledger.people import Person, Role
from cityledger.records import Record
from cityledger.settings import get_settings

app = typer.Typer(
    help="Rectification orders (整改单): who has to correct what, by when.", no_args_is_help=True
)

NumberArgument = Annotated[
    str, typer.Argument(help="Order number, e.g. ZG-20260331-0274.", show_default=False)
]
ByOption = Annotated[str, typer.Option("--by", help="Who does it; recorded.", show_default=False)]
NoteOption = Annotated[str, typer.Option("--note", help="A remark; recorded.")]
ReasonOption = Annotated[str, typer.Option("--note", help="Why; recorded.", show_default=False)]
OwnOption = Annotated[
    str, typer.Option("--department", "-d", help="The department's id.", show_default=False)
]
DepartmentOption = Annotated[
    str | None,
    typer.Option("--department", "-d", help="As this department sees it.", show_default=False),
]


@app.command("list")
def list_orders(
    state: Annotated[OrderState | None, typer.Option(help="Only those in this state.")] = None,
    overdue: Annotated[bool, typer.Option("--overdue", help="Only those past their due.")] = False,
    department: DepartmentOption = None,
    as_json: JsonOption = False,
) -> None:
    """List orders, the newest number first."""
    book = _book()
    orders = book.list(_reader(department), state=state, overdue=overdue)
    if as_json:
        _print_json(orders)
        return
    Console(highlight=False).print(_table(orders, book.today()) if orders else "No order.")


@app.command()
def show(
    number: NumberArgument, department: DepartmentOption = None, as_json: JsonOption = False
) -> None:
    """Show one order and everything that has happened to it."""
    book, reader = _book(), _reader(department)
    order, history = book.get(number, reader), book.history(number, reader)
    if as_json:
        events = [event.model_dump(mode="json") for event in history]
        _echo(order.model_dump(mode="json") | {"history": events})
        return
    console = Console(highlight=False)
    _describe(console, order)
    for event in history:
        delivery = f", delivery {event.delivery}" if event.delivery else ""
        console.print(f"{event.day}  {event.kind} by {event.by}{delivery}", markup=False)
        for words in filter(None, (event.note, *event.reasons)):
            console.print(f"            {words}", markup=False, soft_wrap=True)


@app.command()
def acknowledge(
    number: NumberArgument,
    by: ByOption,
    department: OwnOption,
    note: NoteOption = "",
    as_json: JsonOption = False,
) -> None:
    """As the department: we have taken notice."""
    _step(_book().acknowledge, number, _clerk(by, department), note, as_json)


@app.command()
def resubmit(
    number: NumberArgument,
    by: ByOption,
    department: OwnOption,
    note: NoteOption = "",
    as_json: JsonOption = False,
) -> None:
    """As the department: it is corrected (a new delivery says so by itself)."""
    _step(_book().resubmit, number, _clerk(by, department), note, as_json)


@app.command()
def verify(
    number: NumberArgument, by: ByOption, note: NoteOption = "", as_json: JsonOption = False
) -> None:
    """As the steward: the correction is good."""
    _step(_book().verify, number, _steward(by), note, as_json)


@app.command()
def reopen(
    number: NumberArgument, by: ByOption, note: ReasonOption, as_json: JsonOption = False
) -> None:
    """As the steward: the correction is not good; the department gets its time again."""
    _step(_book().reopen, number, _steward(by), note, as_json)


@app.command()
def close(
    number: NumberArgument, by: ByOption, note: NoteOption = "", as_json: JsonOption = False
) -> None:
    """As the steward: end a verified order."""
    _step(_book().close, number, _steward(by), note, as_json)


@app.command()
def waive(
    number: NumberArgument, by: ByOption, note: ReasonOption, as_json: JsonOption = False
) -> None:
    """As the steward: end an order without a correction."""
    _step(_book().waive, number, _steward(by), note, as_json)


@app.command()
def statistics(department: DepartmentOption = None, as_json: JsonOption = False) -> None:
    """Count open, overdue and ended orders by department."""
    found = _book().statistics(_reader(department))
    if as_json:
        _print_json(found)
        return
    table = Table("department", "open", "overdue", "closed", "waived", "working days", box=None)
    for one in found:
        days = "" if one.average_working_days is None else f"{one.average_working_days:.1f}"
        counts = (one.open, one.overdue, one.closed, one.waived)
        table.add_row(one.department, *map(str, counts), days)
    Console(highlight=False).print(table if found else "No order.")


@app.command()
def remind(
    day: Annotated[
        str | None, typer.Option("--date", help="As of this day (ISO).", show_default=False)
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show the messages that are due and in no channel yet.

    Airflow's DAG [bold]rectification[/] sends them: it has the connections.
    """
    book = _book()
    reminders = book.due_reminders(_day(day) if day else book.today())
    if as_json:
        _print_json(reminders)
        return
    console = Console(highlight=False)
    for reminder in reminders:
        words = f"→ {reminder.to}: {message_of(reminder).subject}"
        console.print(words, markup=False, soft_wrap=True)
    console.print(f"{len(reminders)} due")


def _step(
    step: Callable[[str, Person, str], Order], number: str, person: Person, note: str, as_json: bool
) -> None:
    order = step(number, person, note)
    if as_json:
        _echo(order.model_dump(mode="json"))
    else:
        _describe(Console(highlight=False), order)


def _table(orders: Sequence[Order], today: date) -> Table:
    table = Table(box=None, header_style="dim", padding=(0, 1, 0, 0))
    for name in ("number", "dataset", "period", "state", "due"):
        table.add_column(name, no_wrap=name != "dataset", overflow="fold")
    for order in orders:
        late = " [red]overdue[/]" if order.overdue(today) else ""
        place = (order.number, order.dataset, order.partition, order.state.value)
        table.add_row(*place, f"{order.due_on}{late}")
    return table


def _describe(console: Console, order: Order) -> None:
    console.print(
        f"{order.number}  {order.state}  {order.title} ({order.dataset}) {order.partition}\n"
        f"to {order.contact}, opened {order.opened_on}, due {order.due_on}",
        markup=False,
        soft_wrap=True,
    )


def _book() -> OrderBook:
    return OrderBook.from_settings(get_settings())


def _reader(department: str | None) -> Person:
    if department is None:
        return Person("command line", frozenset({Role.ENGINEER}))
    return _clerk("command line", department)


def _clerk(name: str, department: str) -> Person:
    return Person(name, frozenset({Role.DEPARTMENT}), frozenset({department}))


def _steward(name: str) -> Person:
    return Person(name, frozenset({Role.STEWARD}))


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"'{text}' is not a day", param_hint="--date") from None


def _print_json(records: Sequence[Record]) -> None:
    _echo([record.model_dump(mode="json") for record in records])


def _echo(document: object) -> None:
    typer.echo(json.dumps(document, ensure_ascii=False, indent=2))
