"""A headless Chromium and a served console; the tests need a machine that has the browser."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Iterator

import pytest
import uvicorn
from cityledger.console.accounts import Accounts
from cityledger.console.standalone import PREFIX, create_standalone
from cityledger.demo.generate.generator import generate
from cityledger.people import Role
from cityledger.runner import Runner
from cityledger.settings import Settings
from cityledger_stack.ports import pick
from playwright.sync_api import Browser, Page, sync_playwright

PASSWORD = "correct horse battery"
DATASET, PARTITION = "health.outpatient_visits", "2026-03-31"


def chromium() -> str | None:
    """The browser of this machine: the named one, else what is on the path."""
    named = os.environ.get("CITYLEDGER_CHROMIUM")
    return named or shutil.which("chromium") or shutil.which("google-chrome")


@pytest.fixture(scope="session")
def machine_browser() -> Iterator[Browser]:
    """A headless browser; without one on the machine these tests do not apply."""
    path = chromium()
    if path is None:
        pytest.skip("no Chromium on this machine")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def console(ready_settings: Settings) -> Iterator[str]:
    """The address of a served console, with one small generated delivery in it."""
    generate(ready_settings.drop_dir, scale=0.01, seed=1)
    runner = Runner(ready_settings)
    runner.extract_land(DATASET, PARTITION)
    runner.parse_validate(DATASET, PARTITION)
    runner.release(DATASET, PARTITION)
    Accounts(ready_settings.home).add("li", [Role.STEWARD], [], PASSWORD)
    port = pick()
    config = uvicorn.Config(create_standalone(ready_settings), port=port, log_level="warning")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.05)
    yield f"http://127.0.0.1:{port}{PREFIX}"
    server.should_exit = True
    thread.join(timeout=20)


@pytest.fixture
def complaints() -> list[str]:
    """What the browser complained of: blocked code, broken scripts, requests elsewhere."""
    return []


@pytest.fixture
def page(machine_browser: Browser, console: str, complaints: list[str]) -> Iterator[Page]:
    """A logged-in page at 1280 px."""
    context = machine_browser.new_context(viewport={"width": 1280, "height": 900}, locale="zh-CN")
    page = context.new_page()
    page.on("console", lambda one: complaints.append(one.text) if one.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on(
        "request",
        lambda one: None if one.url.startswith(console) else complaints.append(one.url),
    )
    page.goto(f"{console}/login?next=/datasets")
    page.fill("[name=name]", "li")
    page.fill("[name=password]", PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(f"{console}/datasets")
    yield page
    context.close()
