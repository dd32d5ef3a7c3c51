"""The pack for people: one page in Chinese and English, as HTML and as PDF, with a QR code."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import segno
from jinja2 import Environment, StrictUndefined

from cityledger.typesetting import typeset

_FOLDER = Path(__file__).parent


def html_page(predicate: Mapping[str, Any]) -> bytes:
    """The page as HTML; it loads nothing."""
    shown = _shown(predicate)
    environment = Environment(autoescape=True, undefined=StrictUndefined)
    return (
        environment.from_string((_FOLDER / "evidence.html.j2").read_text("utf-8"))
        .render(shown)
        .encode()
    )


def pdf_page(predicate: Mapping[str, Any]) -> bytes:
    """The page as PDF; the same evidence gives the same bytes."""
    return typeset(_FOLDER / "evidence.typ", _shown(predicate))


def _shown(predicate: Mapping[str, Any]) -> dict[str, Any]:
    subject, card = predicate["subject"], predicate["subject"].get("card")
    code = predicate["build"]["code"]
    facts = [*(_value_facts(subject, card) if card else _table_facts(subject))]
    facts += [
        ("快照", "Snapshot", str(predicate["build"]["snapshot_id"])),
        ("代码版本", "Code", f"{code['commit']}{' (modified)' if code['modified'] else ''}"),
        ("依赖锁定", "Lock", code["lock_sha256"]),
        (
            "透明日志",
            "Log",
            f"{predicate['log']['origin']}, {predicate['log']['tree_size']} events",
        ),
        ("日志根", "Root", predicate["log"]["root"]),
    ]
    title = f"{card['name']['zh']} {card['name']['en']}" if card else subject["table"]
    return {
        "id": predicate["id"],
        "title": title,
        "value": f"{subject['value']} {subject['unit']}" if card else "",
        "facts": [list(fact) for fact in facts],
        "inputs": [_shown_input(one) for one in predicate["inputs"]],
        "models": [
            {name: one[name] or "" for name in ("table", "sql", "content_sha256")}
            for one in predicate["models"]
        ],
        "svg": _qr(f"cityledger:evidence:{predicate['id']}"),
    }


def _value_facts(subject: Mapping[str, Any], card: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    return [
        ("口径", "Definition", f"{card['definition']['zh']} / {card['definition']['en']}"),
        ("区划", "Area", str(subject["area_code"])),
        ("期别", "Period", str(subject["period"])),
        ("分子", "Numerator", f"{subject['numerator']} ({card['numerator']})"),
        ("分母", "Denominator", f"{subject['denominator']} ({card['denominator']})"),
        ("状态", "Status", str(subject["status"])),
        ("口径版本", "Definition version", str(subject["definition_version"])),
    ]


def _table_facts(subject: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    return [
        ("行数", "Rows", str(subject["rows"])),
        ("内容摘要", "Content digest", str(subject["content_sha256"])),
    ]


def _shown_input(one: Mapping[str, Any]) -> dict[str, Any]:
    counts, decision = one["accounting"], one["decision"]
    decisions = [f"{decision['decided_by']}: {decision['reason']}"] if decision else []
    decisions += [f"{part['submitted_by']}: {part['file']['name']}" for part in one["corrections"]]
    decisions += [f"{part['approved_by']}: {part['reason']}" for part in one["waivers"]]
    return {
        "dataset": one["dataset"],
        "partition": one["partition"],
        "files": [{"name": part["name"], "sha256": part["sha256"]} for part in one["objects"]],
        "rows": f"{counts['validated']} / {counts['extracted']}",
        "decisions": "; ".join(decisions),
    }


def _qr(text: str) -> str:
    buffer = io.BytesIO()
    code = segno.make(text, error="m", micro=False)
    code.save(buffer, kind="svg", xmldecl=False, svgns=True, nl=False, border=2, omitsize=True)
    return buffer.getvalue().decode()
