"""Rectification orders on pages: who sees what, who may do what, and what happens at once."""

from __future__ import annotations

import re

import pytest
from cityledger.contracts.registry import load_contract
from cityledger.ledger.journal import Journal
from cityledger.orders import Order, OrderBook
from cityledger.settings import Settings
from cityledger.storage.database import Database
from starlette.testclient import TestClient

from tests.unit.console.conftest import Browser, People, Story

DATASET, PARTITION = "health.outpatient_visits", "2026-03-31"


@pytest.fixture
def order(settings: Settings, database: Database, story: Story) -> Order:
    """An order of the health department, because the gate holds its delivery."""
    journal, book = Journal(database), OrderBook.from_settings(settings, database)
    contract = load_contract(settings.contracts_dir / "health" / "outpatient_visits.odcs.yaml")
    receipt = journal.current_receipt(DATASET, PARTITION)
    assert receipt is not None
    validation = journal.find_validation(DATASET, PARTITION, receipt.delivery, contract.sha256)
    assert validation is not None
    opened = book.open_for(validation, contract, today=book.today(), held=["too many rows held"])
    assert opened is not None
    return opened


def step(client: TestClient, order: Order, name: str, **fields: object) -> int:
    """Press the button of a step on the order's page; the answer's status."""
    page = client.get(f"/orders/{order.number}").text
    token = re.search(r'name="form_token" value="([^"]+)"', page)
    data = {"form_token": token[1] if token else "", "seen": order.version, **fields}
    answer = client.post(f"/orders/{order.number}/{name}", data=data, follow_redirects=False)
    return answer.status_code


def test_department_sees_its_own_orders_only(
    browser: Browser, people: People, order: Order
) -> None:
    """A guessed order number must look the same as one that does not exist."""
    own = browser(people.health)
    assert order.number in own.get("/orders").text
    assert "too many rows held" in own.get(f"/orders/{order.number}").text
    other = browser(people.transport)
    assert order.number not in other.get("/orders").text
    guessed, invented = (
        other.get(f"/orders/{number}") for number in (order.number, "ZG-20260331-9999")
    )
    assert guessed.status_code == invented.status_code == 404
    assert guessed.text.replace(order.number, "") == invented.text.replace("ZG-20260331-9999", "")
    assert step(other, order, "acknowledged") in (403, 404)
    assert browser(people.steward).get(f"/orders/{order.number}").text.count("<td>sun</td>") == 0


def test_an_order_goes_its_way_on_the_page(browser: Browser, people: People, order: Order) -> None:
    """Without the console, a department would have to ask an engineer to acknowledge for it."""
    department, steward = browser(people.health), browser(people.steward)
    page = department.get(f"/orders/{order.number}").text
    assert "Acknowledge" in page
    assert "Waive" not in page
    assert step(department, order, "acknowledged", note="seen") == 303
    assert step(department, order, "resubmitted") == 409, "it was decided on an old version"
    current = order.model_copy(update={"version": order.version + 1})
    assert step(department, current, "resubmitted") == 303
    current = order.model_copy(update={"version": order.version + 2})
    assert step(steward, current, "waived") == 409, "a waiver needs a reason"
    assert step(steward, current, "verified") == 303
    history = steward.get(f"/orders/{order.number}").text
    assert history.count("<td>li</td>") == 1
    assert history.count("<td>wei</td>") == 2


def test_steps_of_others_and_steps_of_the_system_are_refused(
    browser: Browser, people: People, order: Order
) -> None:
    """A department that could close its own order would grade itself."""
    department = browser(people.health)
    assert step(department, order, "waived", note="we are fine") == 409
    assert step(department, order, "opened") == 404
    assert step(department, order, "nonsense") == 400
    assert browser(people.public).get("/orders").status_code == 403


def test_report_of_a_department_is_for_those_who_see_it(
    browser: Browser, people: People, story: Story
) -> None:
    """A report on another department must not be a matter of typing its name."""
    address = "/departments/health/report"
    paper = browser(people.health).get(address, params={"month": "2026-03"})
    assert (paper.status_code, paper.content[:5]) == (200, b"%PDF-")
    book = browser(people.steward).get(address, params={"file_format": "xlsx"})
    assert book.content[:2] == b"PK"
    assert 'filename="health-2026-03.xlsx"' in book.headers["content-disposition"]
    assert browser(people.transport).get(address).status_code == 404
    assert browser(people.public).get(address).status_code == 403
    assert browser(people.health).get(address, params={"month": "tomorrow"}).status_code == 400
