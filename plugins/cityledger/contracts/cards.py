"""Indicator cards: what each indicator is, by the dbt project's ``config.meta.indicator``."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import yaml


@dataclass(frozen=True, slots=True)
class Card:
    """What an indicator is, by its card in the dbt project.

    Attributes:
        direction: ``higher`` or ``lower`` is better.
        target: ``kind``, ``value`` and ``due`` as written on the card.
        datasets: Those that it is computed from.
    """

    code: str
    name: str
    name_en: str
    unit: str
    unit_en: str
    definition: str
    definition_en: str
    numerator: str
    denominator: str
    frequency: str
    department: str
    direction: str
    baseline: float | None
    target: dict[str, Any]
    standard: str
    version: str
    valid_from: date | None
    valid_to: date | None
    datasets: tuple[str, ...]
    model: str


def read_cards(folder: Path) -> dict[str, Card]:
    """The indicator cards of a dbt project, by code."""
    cards: dict[str, Card] = {}
    for file in sorted(folder.glob("*.yml")):
        models = (yaml.safe_load(file.read_text("utf-8")) or {}).get("models") or []
        for model in models:
            meta = model.get("config", {}).get("meta", {}).get("indicator")
            if meta:
                cards[meta["code"]] = _card(meta, model["name"])
    return cards


def _card(meta: dict[str, Any], model: str) -> Card:
    name, unit, definition = (_both(meta.get(key)) for key in ("name", "unit", "definition"))
    return Card(
        code=meta["code"],
        name=name[0],
        name_en=name[1],
        unit=unit[0],
        unit_en=unit[1],
        definition=definition[0],
        definition_en=definition[1],
        numerator=meta.get("numerator") or "",
        denominator=meta.get("denominator") or "",
        frequency=meta.get("frequency") or "",
        department=meta.get("responsible_department") or "",
        direction=meta.get("direction") or "",
        baseline=meta.get("baseline"),
        target=meta.get("target") or {},
        standard=meta.get("standard") or "",
        version=str(meta.get("version") or ""),
        valid_from=meta.get("valid_from"),
        valid_to=meta.get("valid_to"),
        datasets=tuple(meta.get("datasets") or ()),
        model=model,
    )


def _both(value: Any) -> tuple[str, str]:
    if isinstance(value, dict):
        zh, en = str(value.get("zh") or ""), str(value.get("en") or "")
        return zh or en, en or zh
    return str(value or ""), str(value or "")
