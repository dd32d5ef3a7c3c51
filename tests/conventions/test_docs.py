"""What the documents name exists, and what exists is named: verbs, settings, paths, links."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import typer
from cityledger.cli.main import app
from cityledger.console.app import PAGES
from cityledger.settings import Settings
from cityledger_stack import plan
from fastapi.routing import APIRoute
from typer.core import TyperGroup

ROOT = Path(__file__).resolve().parents[2]
READMES = (ROOT / "README.md", ROOT / "README.zh-CN.md")
DOCUMENTS = sorted(
    (
        *READMES,
        ROOT / "CONTRIBUTING.md",
        *(ROOT / "docs").rglob("*.md"),
        ROOT / "quality_checks/README.md",
    )
)
# Where a path in a document may begin: modules are named without the folders above them.
PLACES = ("", "plugins/cityledger/", "quality_checks/", "infra/embedded/cityledger_stack/")
# Read by the supervisor, the compose file and the tests, not by the library.
ELSEWHERE = {
    *("CITYLEDGER_HOME", plan.BROKER, plan.WORKERS),
    *re.findall(r"\$\{(CITYLEDGER_\w+)", (ROOT / "docker-compose.yml").read_text("utf-8")),
}

every_document = pytest.mark.parametrize(
    "document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT))
)


@lru_cache
def verbs() -> dict[str, Any]:
    """Every verb of the command line by its words; groups that do something alone, too."""

    def walk(group: TyperGroup, words: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
        for name, command in group.commands.items():
            here = (*words, name)
            if not isinstance(command, TyperGroup) or command.invoke_without_command:
                yield " ".join(here), command
            if isinstance(command, TyperGroup):
                yield from walk(command, here)

    front_door = typer.main.get_command(app)
    assert isinstance(front_door, TyperGroup)
    return dict(walk(front_door, ()))


def code_of(text: str) -> Iterator[str]:
    """Lines of code blocks and code spans."""
    for block in re.findall(r"^```[^\n]*\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE):
        yield from block.splitlines()
    for line in re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE).splitlines():
        yield from re.findall(r"`([^`\n]+)`", line)


def links_of(document: Path) -> list[str]:
    """Targets of the links that lead to another place of the project."""
    text = re.sub(r"^```.*?^```", "", document.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    return [link for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link]


def anchors_of(document: Path) -> set[str]:
    """The headings as links name them."""
    heads = re.findall(r"^#+ (.+)$", document.read_text("utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def test_every_verb_is_in_the_list_of_verbs() -> None:
    """A verb that docs/cli.md does not list is one that nobody finds."""
    lines = (ROOT / "docs/cli.md").read_text("utf-8").splitlines()
    named = list(code_of("\n".join(line.split("|")[1] for line in lines if line.startswith("| `"))))
    assert len(verbs()) > 40
    assert [
        verb for verb in verbs() if not any(f"{code} ".startswith(f"{verb} ") for code in named)
    ] == []


@every_document
def test_quoted_commands_exist(document: Path) -> None:
    """A reader who types what a document says is told that there is no such command."""
    for code in code_of(document.read_text("utf-8")):
        for quoted in re.findall(r"(?<![\w.-])cityledger ([a-z][^#;&`→]*)", code):
            commands = commands_of(quoted)
            assert commands, f"there is no `cityledger {quoted}`"
            options = [part for one in commands for part in one.params]
            known = {name for part in options for name in (*part.opts, *part.secondary_opts)}
            said = set(re.findall(r"(?<=[ \[/])--[a-z-]+", quoted))
            assert said <= known | {"--help"}, f"cityledger {quoted}"


def commands_of(quoted: str) -> list[Any]:
    """The verbs that a quoted command names, ``show|send`` both; all of a group named alone."""
    found: list[Any] = []
    for words in product(*(word.split("|") for word in quoted.split()[:3])):
        beginnings = [" ".join(words[:length]) for length in (3, 2, 1)]
        verb = next((one for one in beginnings if one in verbs()), None)
        group = [verbs()[one] for one in verbs() if one.startswith(f"{beginnings[0]} ")]
        named = [verbs()[verb]] if verb else group
        if not named:
            return []
        found += named
    return found


def test_settings_are_documented() -> None:
    """A setting that is in no list is one that people patch the code for."""
    text = (ROOT / "docs/cli.md").read_text("utf-8")
    known = {f"CITYLEDGER_{name.upper()}" for name in Settings.model_fields}
    assert [name for name in sorted(known) if f"`{name}`" not in text] == []


@every_document
def test_named_settings_exist(document: Path) -> None:
    """A variable that nothing reads changes nothing, silently."""
    known = {f"CITYLEDGER_{name.upper()}" for name in Settings.model_fields}
    named = set(re.findall(r"CITYLEDGER_[A-Z0-9_]+[A-Z0-9]", document.read_text("utf-8")))
    assert named <= known | ELSEWHERE


@every_document
def test_named_paths_exist(document: Path) -> None:
    """A document that leads into a room that was moved."""
    endings = r"(?:py|sql|yaml|yml|toml|md|sh|json|j2|html|typ)"
    gone = [
        code
        for code in code_of(document.read_text("utf-8"))
        if re.fullmatch(rf"[\w.-]+(?:/[\w.-]+)+\.{endings}", code)
        and not any((ROOT / place / code).exists() for place in (*PLACES, document.parent))
    ]
    assert gone == []


@every_document
def test_links_lead_somewhere(document: Path) -> None:
    """A dead link, or one to a heading that was reworded."""
    for link in links_of(document):
        path, _, anchor = unquote(link).partition("#")
        target = (document.parent / path).resolve() if path else document
        assert target.exists(), link
        assert not anchor or anchor in anchors_of(target), link


@pytest.mark.parametrize("start", READMES, ids=lambda path: path.name)
def test_every_document_is_reachable(start: Path) -> None:
    """A page that no other page links to is written for nobody."""
    seen, waiting = set(), [start]
    while waiting:
        page = waiting.pop()
        if page in seen or page.suffix != ".md":
            continue
        seen.add(page)
        waiting += [(page.parent / link.partition("#")[0]).resolve() for link in links_of(page)]
    assert sorted({*(ROOT / "docs").rglob("*.md")} - seen) == []


def test_the_index_of_decisions_is_complete() -> None:
    """Two records of one number, or one that the index forgot."""
    folder = ROOT / "docs/adr"
    files = sorted(path.name for path in folder.glob("0*.md"))
    rows = re.findall(
        r"^\| \[(\d{4})\]\((.+?)\) \| (.+) \|$",
        (folder / "README.md").read_text("utf-8"),
        re.MULTILINE,
    )
    assert [name for _, name, _ in rows] == files
    assert [int(number) for number, _, _ in rows] == list(range(1, len(files) + 1))
    for number, name, title in rows:
        assert (folder / name).read_text("utf-8").startswith(f"# {number} {title}\n")


def test_both_readmes_say_the_same() -> None:
    """One language's readers get an older city."""
    english, chinese = (path.read_text("utf-8") for path in READMES)

    def bones(text: str) -> tuple[object, ...]:
        tables = [line.count("|") for line in text.splitlines() if line.startswith("|")]
        heads = re.findall(r"^(#+) ", text, flags=re.MULTILINE)
        links = sorted(link for link in re.findall(r"\]\(([^)]+)\)", text) if "README" not in link)
        return tables, heads, links, sorted(set(re.findall(r"CITYLEDGER_\w+", text)))

    assert bones(english) == bones(chinese)


def test_every_page_module_is_mounted() -> None:
    """A page that was written and never shown."""
    folder = ROOT / "plugins/cityledger/console/pages"
    modules = {path.stem for path in folder.glob("*.py")} - {"__init__"}
    assert {page.__name__.rpartition(".")[2] for page in PAGES} == modules


def test_pages_and_their_document_agree() -> None:
    """docs/console.md promises an address that answers 404, or does not know a part of the site."""
    text = (ROOT / "docs/console.md").read_text("utf-8")
    table = text.partition("## Pages")[2].partition("\n## ")[0]
    paths = [code.partition("?")[0] for code in code_of(table) if code.startswith("/")]
    named = {re.sub(r"<.*?>", "{}", path) for path in paths}
    routes = {
        re.sub(r"{.*?}", "{}", route.path)
        for page in PAGES
        for route in page.router.routes
        if isinstance(route, APIRoute)
    }
    assert named - routes - {"/healthz"} == set()
    assert {path.split("/")[1] for path in routes} - {path.split("/")[1] for path in named} == set()
