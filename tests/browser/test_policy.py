"""The content policy in a browser: no page breaks it, and what breaks it does not run."""

from __future__ import annotations

import pytest
from cityledger.console.standalone import PREFIX
from playwright.sync_api import Page

from tests.browser.conftest import DATASET, PARTITION

pytestmark = pytest.mark.browser

PAGES = (
    "/",
    "/departments",
    "/departments/health",
    "/datasets",
    f"/datasets/{DATASET}",
    "/indicators",
    "/quarantine",
    "/quarantine/waivers",
    "/decisions",
    "/orders",
    "/stock",
    f"/stock/{DATASET}",
    "/ledger",
    "/ledger/graph",
    "/ledger/events",
    "/compare",
    "/evidence",
    "/audit",
    "/login",
    "/nothing",
)
_RECORD = """
window.broken = [];
document.addEventListener('securitypolicyviolation', event =>
  window.broken.push(event.violatedDirective + ' ' + event.blockedURI));
"""


@pytest.fixture
def watched(page: Page) -> Page:
    """The page, whose violations of the policy are noted from its first line on."""
    page.add_init_script(_RECORD)
    return page


def test_no_page_breaks_the_policy(watched: Page, console: str) -> None:
    """A script or style that the policy blocks is a part of the page that is silently dead."""
    paths = [*PAGES]
    watched.goto(f"{console}/quarantine")
    found = watched.locator(f"a[href*='{DATASET}/{PARTITION}']").first.get_attribute("href")
    assert found is not None
    paths.append(found.removeprefix(PREFIX).partition("#")[0])
    for path in paths:
        watched.goto(f"{console}{path}", wait_until="networkidle")
        for figure in watched.query_selector_all("figure.chart"):
            figure.scroll_into_view_if_needed()
        assert watched.evaluate("window.broken") == [], path


def test_injected_script_does_not_run(watched: Page, console: str) -> None:
    """The watch above would see nothing whatever happened; and a hole in a template would run."""
    watched.goto(f"{console}/datasets")
    watched.evaluate(
        """() => {
          const script = document.createElement('script');
          script.textContent = 'window.ran = true';
          document.body.append(script);
          const image = '<img src="x" onerror="window.ran = true">';
          document.body.insertAdjacentHTML('beforeend', image);
        }"""
    )
    watched.wait_for_timeout(200)
    assert watched.evaluate("window.ran === undefined")
    broken = watched.evaluate("window.broken")
    assert any("inline" in one for one in broken), broken


@pytest.mark.parametrize("tag", ["a", "code", "span", "strong"])
def test_a_turned_name_stays_in_its_place(page: Page, console: str, tag: str) -> None:
    """A name with a sign that turns the direction makes what follows it read backwards."""
    page.goto(f"{console}/datasets")
    places = page.evaluate(
        """tag => {
          const line = document.createElement('p');
          line.innerHTML = `<i>1</i> <${tag}>\\u202Egnp.tropper</${tag}> <i>2</i> <i>3</i>`;
          document.querySelector('main').append(line);
          return [...line.querySelectorAll('i')].map(one => one.getBoundingClientRect().left);
        }""",
        tag,
    )
    assert places == sorted(places)
