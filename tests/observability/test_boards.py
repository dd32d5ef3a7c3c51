"""Dashboards, alerts and the document speak of metrics that exist, and of all that there are."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from cityledger.observability.metrics import catalogue
from cityledger.observability.metrics.catalogue import Kind

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "infra/observability"
BOARDS = sorted((FOLDER / "grafana/dashboards").glob("*.json"))
RULES = FOLDER / "prometheus/rules.yaml"
DOCUMENT = (ROOT / "docs/observability.md").read_text("utf-8")

#: Names that Prometheus makes of a histogram.
_PARTS = ("_bucket", "_count", "_sum")
_NAME = re.compile(r"\bcityledger_[a-z_]+\b")
_SELECTOR = re.compile(r"\b(cityledger_[a-z_]+)\{([^}]*)\}")
_LABEL = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)")
_GROUPED = re.compile(r"\b(?:by|without)\s*\(([^)]*)\)")


def alerts() -> list[dict[str, Any]]:
    groups = yaml.safe_load(RULES.read_text("utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def expressions() -> Iterator[tuple[str, str]]:
    """Where an expression stands, and the expression."""
    for rule in alerts():
        yield rule["alert"], rule["expr"]
    for path in BOARDS:
        board = json.loads(path.read_text("utf-8"))
        for panel in board["panels"]:
            for target in panel["targets"]:
                yield f"{path.stem}: {panel['title']}", target["expr"]
        for variable in board["templating"]["list"]:
            yield f"{path.stem}: ${variable['name']}", variable["definition"]


ALL = list(expressions())


def metric(name: str) -> catalogue.Metric:
    """The metric that a name in an expression belongs to."""
    for part in _PARTS:
        found = catalogue.BY_NAME.get(name.removesuffix(part))
        if name.endswith(part) and found is not None and found.kind is Kind.HISTOGRAM:
            return found
    assert name in catalogue.BY_NAME, f"there is no metric {name}"
    return catalogue.BY_NAME[name]


@pytest.mark.parametrize(("place", "expression"), ALL, ids=[place for place, _ in ALL])
def test_expressions_name_what_there_is(place: str, expression: str) -> None:
    """A misspelt name is an empty panel, or an alert that never comes."""
    names = _NAME.findall(expression)
    assert names, expression
    labels = {"le", *(label for name in names for label in metric(name).labels)}
    for name, inside in _SELECTOR.findall(expression):
        assert set(_LABEL.findall(inside)) <= {*metric(name).labels, "le"}, expression
    for inside in _GROUPED.findall(expression):
        assert {one.strip() for one in inside.split(",") if one.strip()} <= labels, expression
    for opening, closing in ("()", "{}", "[]"):
        assert expression.count(opening) == expression.count(closing), expression


def test_counters_are_asked_for_their_growth() -> None:
    """A counter itself only ever rises; a threshold on it is true for ever after."""
    for place, expression in ALL:
        for name in _NAME.findall(expression):
            if metric(name).kind is not Kind.GAUGE:
                assert "increase(" in expression or "rate(" in expression, place


@pytest.mark.parametrize("one", catalogue.METRICS, ids=lambda one: one.name)
def test_every_metric_is_documented(one: catalogue.Metric) -> None:
    """Who reads a dashboard must be able to look up what a figure counts."""
    rows = [line for line in DOCUMENT.splitlines() if line.startswith(f"| `{one.name}`")]
    assert len(rows) == 1, one.name
    cells = [cell.strip() for cell in rows[0].split("|")[1:-1]]
    assert cells[1] == one.kind
    assert re.findall(r"`(\w+)`", cells[2]) == list(one.labels)


def test_no_other_metric_is_documented() -> None:
    """What a document promises and the endpoint lacks is looked for in vain."""
    for name in re.findall(r"^\| `(cityledger_\w+)`", DOCUMENT, re.MULTILINE):
        assert name in catalogue.BY_NAME


def test_every_metric_is_used() -> None:
    """A figure that no panel and no alert shows is work for every scrape and for nobody."""
    used = {metric(name).name for _, expression in ALL for name in _NAME.findall(expression)}
    assert {one.name for one in catalogue.METRICS} - used == set()


def test_every_alert_says_what_to_do_and_is_documented() -> None:
    """An alert that leaves its reader alone is switched off after the third time."""
    for rule in alerts():
        assert rule["labels"]["severity"] in {"page", "ticket"}
        assert re.search(r"[\u4e00-\u9fff]", rule["annotations"]["summary"]), rule["alert"]
        assert rule["annotations"]["action"]
        assert f"| `{rule['alert']}` | {rule['labels']['severity']} |" in DOCUMENT, rule["alert"]


def test_metrics_are_named_by_the_rules_of_prometheus() -> None:
    """Tools know by the ending what a number is."""
    for one in catalogue.METRICS:
        assert one.name.endswith("_total") == (one.kind is Kind.COUNTER), one.name
        assert re.fullmatch(r"cityledger_[a-z][a-z_]*[a-z]", one.name)
        assert "le" not in one.labels
    assert len(catalogue.BY_NAME) == len(catalogue.METRICS)


def test_boards_stand_by_themselves() -> None:
    """Provisioned boards are matched by uid, and load nothing from the internet."""
    boards = [json.loads(path.read_text("utf-8")) for path in BOARDS]
    assert len({board["uid"] for board in boards}) == len(boards) == 3
    sources = FOLDER / "grafana/provisioning/datasources/cityledger.yaml"
    known = {one["uid"] for one in yaml.safe_load(sources.read_text("utf-8"))["datasources"]}
    for board in boards:
        ids = [panel["id"] for panel in board["panels"]]
        assert len(set(ids)) == len(ids)
        assert {panel["datasource"]["uid"] for panel in board["panels"]} <= known
        assert "http" not in json.dumps(board)
        assert _overlapping(board["panels"]) == []


def test_the_collector_sends_nothing_that_nobody_receives() -> None:
    """A pipeline that names a part that is not there stops the collector at its start."""
    config = yaml.safe_load((FOLDER / "otel-collector.yaml").read_text("utf-8"))
    for pipeline in config["service"]["pipelines"].values():
        for kind in ("receivers", "processors", "exporters"):
            assert set(pipeline[kind]) <= set(config[kind])
    assert "memory_limiter" in config["service"]["pipelines"]["traces"]["processors"]


def test_rules_hold_with_prometheus_own_tool_where_there_is_one() -> None:
    """The checks above know names, not the language; promtool knows the language."""
    documents = yaml.safe_load((FOLDER / "prometheus/rules.test.yaml").read_text("utf-8"))
    tested = {case["alertname"] for test in documents["tests"] for case in test["alert_rule_test"]}
    assert tested <= {rule["alert"] for rule in alerts()}
    if (tool := shutil.which("promtool")) is not None:
        for words in (("check", "rules", "rules.yaml"), ("test", "rules", "rules.test.yaml")):
            done = subprocess.run(
                [tool, *words], cwd=FOLDER / "prometheus", capture_output=True, text=True
            )
            assert done.returncode == 0, done.stdout + done.stderr


def _overlapping(panels: list[dict[str, Any]]) -> list[tuple[str, str]]:
    taken: dict[tuple[int, int], str] = {}
    found = []
    for panel in panels:
        at = panel["gridPos"]
        for x in range(at["x"], at["x"] + at["w"]):
            for y in range(at["y"], at["y"] + at["h"]):
                if (x, y) in taken:
                    found.append((taken[x, y], panel["title"]))
                taken[x, y] = panel["title"]
    return found
