"""What the pages show: figures, states that are empty or broken, both languages."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import pytest
from cityledger.console.app import create_app
from cityledger.settings import Settings
from starlette.testclient import TestClient

DAY = {"day": "2026-03-31"}
HEALTH = "/datasets/health.outpatient_visits"


class Page(HTMLParser):
    """What a page is made of."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text, self.tags, self.attributes = text, [], []
        self.headings: list[str] = []
        self._open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        self._open.append(tag)

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] in {"h1", "h2"} and data.strip():
            self.headings.append(data.strip())

    def handle_endtag(self, tag: str) -> None:
        if tag in self._open:
            while self._open.pop() != tag:
                pass

    def values(self, name: str) -> list[str]:
        return [value for _, key, value in self.attributes if key == name]


@pytest.fixture
def paths(story: Any) -> list[str]:
    """Every page with something on it."""
    return [
        "/?day=2026-03-31",
        "/departments?day=2026-03-31",
        "/departments/health?day=2026-03-31",
        "/datasets",
        f"{HEALTH}?day=2026-03-31",
        f"{HEALTH}/rules/health.outpatient_visits.visit_no.not_null",
        f"/runs/{story.health}",
        "/indicators",
        "/indicators/SVC-02",
    ]


@pytest.mark.parametrize("language", ["zh-CN", "en"])
def test_every_page_is_whole(browser: Any, paths: list[str], language: str) -> None:
    """A page without language, one heading, captions and a skip link shuts people out."""
    client = browser(language=language)
    for path in paths:
        answer = client.get(path)
        assert answer.status_code == 200, path
        page = Page(answer.text)
        assert page.values("lang")[0] == language
        assert page.tags.count("h1") == 1, path
        assert page.tags.count("table") == page.tags.count("caption"), path
        assert ("a", "href", "#content") in page.attributes
        ids = page.values("id")
        assert len(ids) == len(set(ids)), path
        assert set(page.values("aria-labelledby")) <= set(ids), path
        assert page.tags.count("th") == len(page.values("scope")), path


def test_no_page_runs_or_loads_foreign_code(browser: Any, paths: list[str]) -> None:
    """What the content policy would block must not be there, and nothing comes from elsewhere."""
    client = browser()
    for path in paths:
        answer = client.get(path)
        page = Page(answer.text)
        assert not [name for _, name, _ in page.attributes if name.startswith("on")], path
        assert "style" not in page.tags, path
        for tag, name, value in page.attributes:
            assert not (name in {"src", "href", "action"} and "//" in value), (path, tag, value)
        scripts = [one for one in page.attributes if one[:2] == ("script", "src")]
        assert [one[2].split("?")[0] for one in scripts] == ["/static/console.js"]
        policy = answer.headers["content-security-policy"]
        assert "script-src 'self';" in policy
        assert "'unsafe-eval'" not in policy
        assert "frame-ancestors 'self'" in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "same-origin"
        assert answer.headers["cache-control"] == "no-store"


def test_what_a_file_says_is_text(browser: Any, story: Any) -> None:
    """A header or file name from a department must never become a part of the page."""
    text = browser().get(f"/runs/{story.health}").text
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert" in text
    assert "门诊&lt;b&gt;.csv" in text


def test_the_city_shows_every_dataset_with_figures(browser: Any, story: Any) -> None:
    """Colour alone tells nothing to one man in twelve."""
    text = browser().get("/", params=DAY).text
    assert text.count('class="heat-') > 10
    assert "门诊就诊记录" in text
    assert "not assessed" in text
    assert "Health Commission" in text
    assert "91.25" in text
    assert "target missed" in text


def test_a_run_shows_the_account(browser: Any, story: Any) -> None:
    """The auditor's first question is where every record went."""
    text = browser().get(f"/runs/{story.health}").text
    assert text.count("adds up") == 3
    assert "does not add up" not in text
    assert "fewer fields than the header" in text
    assert "Why the gate held it" in text
    assert "3 of 10 rows are quarantined" in text


def test_a_dataset_shows_rules_dictionary_and_formula(browser: Any, story: Any) -> None:
    """Rules are sentences about business names; the classification stands beside each column."""
    english = browser().get(HEALTH, params=DAY).text
    assert "must not be empty" in english
    assert "sensitive personal" in english
    assert "GB/T 36344" in english
    chinese = browser(language="zh-CN").get(HEALTH, params=DAY).text
    assert "“就诊流水号”不能为空" in chinese
    assert "敏感个人信息" in chinese


def test_a_rule_shows_its_history(browser: Any, story: Any) -> None:
    """A rule that has just begun to fail is another matter than one that always did."""
    text = browser().get(f"{HEALTH}/rules/health.outpatient_visits.visit_no.not_null").text
    assert "30.0%" in text
    assert text.index("2026-03-31") < text.rindex("2026-03-30")


def test_an_indicator_shows_value_target_and_card(browser: Any, story: Any) -> None:
    """A number without its definition and its target can't be judged."""
    client = browser()
    text = client.get("/indicators/SVC-02").text
    for part in ("91.25", "99", "target missed", "Definition", "Government Services"):
        assert part in text
    drawing = re.search(r'src="(/charts/\w+\.svg)"', text)
    assert drawing is not None
    assert client.get(drawing[1]).text.startswith("<svg")
    assert "<svg" in client.get("/indicators/SVC-02").text.split('class="drawing"')[1]
    assert client.get(f"/charts/{'0' * 64}.svg").status_code == 404
    assert browser(None).get(drawing[1]).status_code == 401


def test_nothing_yet_is_a_page_too(browser: Any, database: Any) -> None:
    """On its first day an installation has no run: a blank page looks broken."""
    client = browser()
    for path, words in (
        ("/", "No delivery has been judged yet."),
        ("/departments/health", "No delivery has been judged yet."),
        (HEALTH, "No delivery of this dataset has been judged yet."),
        (f"{HEALTH}/rules/health.outpatient_visits.sex.type", "has not been checked yet"),
        ("/indicators", "No indicator has been published yet."),
    ):
        answer = client.get(path)
        assert answer.status_code == 200, path
        assert words in answer.text, path


def test_no_contract_at_all_is_a_page_too(
    settings: Settings, database: Any, tmp_path: Any, people: Any
) -> None:
    """The first thing that somebody with an empty contracts folder sees is the city page."""
    (tmp_path / "contracts").mkdir()
    bare = settings.model_copy(update={"contracts_dir": tmp_path / "contracts"})
    client = TestClient(create_app(bare, identify=lambda _: people.steward))
    for path in ("/", "/departments", "/datasets"):
        answer = client.get(path, headers={"accept-language": "en"})
        assert answer.status_code == 200, path
        assert "has a contract yet" in answer.text or "No department" in answer.text


def test_a_dead_database_is_said_without_a_trace(
    settings: Settings, people: Any, monkeypatch: Any
) -> None:
    """Addresses, passwords and stack traces help nobody who reads the page."""
    dead = settings.model_copy(update={"database_url": None})
    app = create_app(dead, identify=lambda _: people.steward)
    client = TestClient(app, raise_server_exceptions=False, headers={"accept-language": "en"})
    answer = client.get("/indicators")
    assert answer.status_code == 503
    assert "A service does not answer" in answer.text
    assert "Traceback" not in answer.text
    assert client.get("/api/indicators").json()["error"]["status"] == 503
    assert client.get("/healthz").status_code == 503


def test_a_surprise_keeps_its_text_to_itself(
    browser: Any, story: Any, monkeypatch: Any, caplog: Any
) -> None:
    """The text of a foreign exception may hold an id number: not on the page, not logged."""
    number = "".join(reversed("120013219491501011"))

    def broken(*_: Any, **__: Any) -> None:
        raise ValueError(number)

    monkeypatch.setattr("cityledger.ledger.quality.QualityStore.city", broken)
    answer = browser().get("/")
    assert answer.status_code == 500
    assert "Something broke" in answer.text
    assert number not in answer.text
    assert number not in caplog.text
    assert "ValueError" in caplog.text
    assert "content-security-policy" in answer.headers


@pytest.mark.parametrize(
    ("path", "near"),
    [
        ("/datasets/health.outpatient_visit", HEALTH),
        ("/departments/helth", "/departments/health"),
        ("/indicators/SVC-2", "/indicators/SVC-02"),
        (f"{HEALTH}/rules/health.outpatient_visits.sex.typ", "visits.sex.type"),
    ],
)
def test_a_mistyped_name_gets_the_nearest_one(
    browser: Any, story: Any, path: str, near: str
) -> None:
    """A 404 without a way on is a dead end."""
    answer = browser().get(path)
    assert answer.status_code == 404
    assert "Did you mean" in answer.text
    assert near in answer.text


@pytest.mark.parametrize(
    "path",
    ["/?day=yesterday", "/runs/first", "/runs/99999999999999999999", f"{HEALTH}?day=2026-13-01"],
)
def test_a_bad_address_is_said_politely(browser: Any, story: Any, path: str) -> None:
    """A validation error as JSON in the middle of a web site looks like a crash."""
    answer = browser().get(path)
    assert answer.status_code in (400, 404), path
    assert "<h1>" in answer.text


def test_the_language_is_the_readers(browser: Any, story: Any) -> None:
    """The address wins, then the cookie, then the browser; Chinese when nobody says."""
    client = browser(language="fr")
    assert 'lang="zh-CN"' in client.get("/indicators").text
    assert 'lang="en"' in client.get("/indicators?lang=en").text
    assert 'lang="en"' in client.get("/indicators").text
    assert 'lang="zh-CN"' in client.get("/indicators?lang=zh").text
    other = browser(language="de,en;q=0.9,zh;q=0.3")
    assert 'lang="en"' in other.get("/indicators").text
    assert 'lang="zh-CN"' in browser(language="en;q=x, zh").get("/indicators").text


def test_json_beside_the_pages(browser: Any, story: Any) -> None:
    """What a page shows can be fetched by a program, with the same rules of access."""
    client = browser()
    assert len(client.get("/api/city").json()["datasets"]) == 9
    assert client.get("/api/departments/health").json()["department"] == "health"
    assert client.get("/api/datasets/health.outpatient_visits").json()["runs"]
    assert client.get(f"/api/runs/{story.health}").json()["validation"]["partition"] == "2026-03-31"
    assert len(client.get("/api/indicators").json()["values"]) == 2
    key = "health.outpatient_visits.visit_no.not_null"
    assert len(client.get(f"/api{HEALTH}/rules/{key}").json()) == 2
