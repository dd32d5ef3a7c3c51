"""The console in a browser: widths, keyboard, charts, print; nothing comes from elsewhere."""

from __future__ import annotations

import pytest
from cityledger.console.standalone import PREFIX
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser

DATASET = "/datasets/health.outpatient_visits"
PAGES = ("/", "/departments", "/departments/health", "/datasets", DATASET, "/indicators")
_OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


def test_pages_fit_desk_and_phone(page: Page, console: str, complaints: list[str]) -> None:
    """A page that scrolls sideways on a phone is read by nobody in the field."""
    paths = (*PAGES, _newest_run(page, console))
    for width in (1280, 360):
        page.set_viewport_size({"width": width, "height": 800})
        for language in ("zh", "en"):
            for path in paths:
                page.goto(f"{console}{path}?lang={language}")
                assert page.evaluate(_OVERFLOW) <= 0, (path, width, language)
    assert not complaints


def test_charts_come_alive_and_go_back_to_print(
    page: Page, console: str, complaints: list[str]
) -> None:
    """The content policy forbids generated code: charts that need it would stay dead, silently."""
    page.goto(f"{console}{DATASET}")
    for figure in page.query_selector_all("figure.chart"):
        figure.scroll_into_view_if_needed()
    expect(page.locator("figure.chart:not(.is-live)")).to_have_count(0, timeout=20_000)
    assert page.locator("figure.chart .live svg").count() == page.locator("figure.chart").count()
    page.emulate_media(media="print")
    assert page.locator("figure.chart .drawing").first.is_visible()
    assert not page.locator("figure.chart .live").first.is_visible()
    assert not page.locator("nav.menu").is_visible()
    assert page.pdf(format="A4").startswith(b"%PDF")
    assert not complaints


def test_a_drawing_is_there_without_scripts(page: Page, console: str) -> None:
    """Where scripts are switched off by policy, charts and examples must still be readable."""
    browser = page.context.browser
    assert browser is not None
    plain = browser.new_context(java_script_enabled=False)
    plain.add_cookies(page.context.cookies())
    still = plain.new_page()
    still.goto(f"{console}{DATASET}")
    # An image stands where the drawing had not been made yet.
    assert still.locator("figure.chart .drawing :is(svg, img)").first.is_visible()
    still.locator("details.remote summary").first.click()
    still.locator("details.remote a").first.click()
    assert "/examples" in still.url
    assert still.locator("#examples table tbody tr").count() > 0
    plain.close()


def test_examples_open_in_place_and_are_masked(
    page: Page, console: str, complaints: list[str]
) -> None:
    """A whole id number in an example would be a leak on every steward's screen."""
    page.goto(f"{console}{DATASET}")
    page.locator("details.remote summary").first.click()
    page.locator("details.remote #examples tbody tr").first.wait_for()
    text = page.locator("details.remote #examples").inner_text()
    assert "*" in text
    assert not any(len(word) == 18 and word[:17].isdigit() for word in text.split())
    assert not complaints


def test_the_keyboard_reaches_the_content(page: Page, console: str) -> None:
    """Whoever works without a mouse skips the menu first, and sees where they are."""
    page.goto(f"{console}{DATASET}")
    page.keyboard.press("Tab")
    focused = page.locator(":focus")
    assert focused.get_attribute("href") == "#content"
    assert focused.bounding_box()["x"] >= 0  # type: ignore[index]
    assert focused.evaluate("element => getComputedStyle(element).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "content"


def _newest_run(page: Page, console: str) -> str:
    page.goto(f"{console}{DATASET}")
    found = page.locator("a[href*='/runs/']").first.get_attribute("href")
    assert found is not None
    return found.removeprefix(PREFIX)
