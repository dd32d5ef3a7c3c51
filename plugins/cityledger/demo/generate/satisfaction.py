"""hotline.satisfaction: JSON lines from survey software that adds fields as it likes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np

from cityledger.demo.generate.answers import Place
from cityledger.demo.generate.city import districts
from cityledger.demo.generate.delivery import Delivery, close
from cityledger.demo.generate.planting import NOTHING, Book, Corrected
from cityledger.demo.generate.spellings import iso, moments, pick
from cityledger.demo.generate.table import Columns, Table
from cityledger.demo.generate.text_files import encode_lines
from cityledger.demo.generate.tickets import ticket_number

DATASET = "hotline.satisfaction"


def _columns(rng: np.random.Generator, rows: int, day: date) -> Columns:
    start = datetime.combine(day, datetime.min.time())
    reached = (rng.random(rows) < 0.9).tolist()
    scores = rng.choice(np.arange(1, 6), rows, p=(0.02, 0.03, 0.1, 0.3, 0.55)).tolist()
    minutes = rng.integers(540, 1200, size=rows).tolist()
    return {
        "survey_no": [f"HF{day:%Y%m%d}{number:06d}" for number in range(1, rows + 1)],
        "ticket_no": [ticket_number(day, int(n)) for n in rng.permutation(rows) + 1],
        "surveyed_at": [iso(start + timedelta(minutes=m)) for m in minutes],
        "method": rng.choice(np.array(["电话", "短信", "网站"]), rows, p=(0.6, 0.3, 0.1)).tolist(),
        "district": districts(rng, rows),
        "reached": ["是" if yes else "否" for yes in reached],
        "score": [str(s) if yes else "" for s, yes in zip(scores, reached, strict=True)],
        "satisfied": [
            ("是" if s >= 4 else "否") if yes else ""
            for s, yes in zip(scores, reached, strict=True)
        ],
        "resolved": [
            ("是" if s >= 3 else "否") if yes else ""
            for s, yes in zip(scores, reached, strict=True)
        ],
        "remark": [""] * rows,
    }


def _plant(table: Table) -> None:
    book = table.book
    for row in book.take(
        "missing_conditional", 0.005, lambda row: table.cell(row, "reached") == "是"
    ):
        table.put(row, "score", "")
        book.bad("missing_conditional", row, blocks=("_row.required_if",))
    table.drop(0.003, "ticket_no", "—")
    table.spoil("out_of_range", 0.005, "score", "6", "score.between")
    table.spoil("unknown_code", 0.003, "method", "传真", "method.in_set")
    table.spoil("bad_format", 0.003, "ticket_no", "GD-2026-1", "ticket_no.pattern")
    table.former_area(0.003)
    table.repeat(0.003, "survey_no.unique")


def _soil(table: Table) -> None:
    table.widen(0.01, "score")
    table.respell("date_spelling", 0.04, "surveyed_at", lambda _, text: _spelled(table, text))
    table.respell(
        "yes_no_spelling", 0.05, "satisfied", lambda _, text: _yes_no(table, text == "是")
    )
    table.placeholder(0.02, "remark", ("无", "—"))


def _spelled(table: Table, text: str) -> tuple[str, str]:
    return pick(table.book.rng, moments(datetime.fromisoformat(text))), text


def _yes_no(table: Table, yes: bool) -> tuple[str, str]:
    spelled = pick(table.book.rng, ["Y", "1", "true"] if yes else ["N", "0", "false"])
    return spelled, str(yes).lower()


def _broken(book: Book) -> dict[int, bytes]:
    raw: dict[int, bytes] = {}
    for row in book.take("invalid_json", 0.001):
        raw[row] = b'{"\xe5\x9b\x9e\xe8\xae\xbf": '
        book.lost("invalid_json", row, "invalid_json")
    for row in book.take("invalid_json", 0.001):
        raw[row] = b"[1, 2, 3]"
        book.lost("invalid_json", row, "not_an_object")
    return raw


def _native(record: Mapping[str, str], typed: bool) -> dict[str, Any]:
    """A JSON object; the newer software writes numbers, Booleans and null, the older texts."""
    if not typed:
        return {key: text for key, text in record.items() if text or key != "remark"}
    kinds: dict[str, Any] = {"是": True, "否": False, "": None}
    values: dict[str, Any] = {key: kinds.get(text, text) for key, text in record.items()}
    if record["score"].isascii() and record["score"].isdigit():
        values["score"] = int(record["score"])
    return {**values, "softwareVersion": "4.2"}


def build(
    rng: np.random.Generator, rows: int, partition: str, corrected: Corrected = NOTHING
) -> Delivery:
    """The delivery of a day."""
    day = date.fromisoformat(partition)
    book = Book(DATASET, partition, rows, rng, corrected=corrected)
    table = Table(book, _columns(rng, rows, day))
    _plant(table)
    _soil(table)
    raw = _broken(book)
    names = list(table.columns)
    typed = (rng.random(rows) < 0.5).tolist()
    lines = [
        json.dumps(_native(dict(zip(names, record, strict=True)), new), ensure_ascii=False)
        for record, new in zip(table.records(), typed, strict=True)
    ]
    data, starts = encode_lines(lines, "utf-8", newline="\n", raw=raw)
    book.renamed("softwareVersion")
    path = f"hotline/满意度回访_{day:%Y%m%d}.jsonl"
    return close(book, {path: data}, lambda row: Place(path, None, starts[row]))
