"""Writes the drop folder of the demo city and its answer key."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cityledger.demo.generate import (
    air_quality,
    enterprises,
    intersections,
    metro_trips,
    satisfaction,
    schools,
    service_cases,
    tickets,
    visits,
)
from cityledger.demo.generate.answers import AnswerKey, DeliveryAnswer
from cityledger.demo.generate.city import CITY
from cityledger.demo.generate.delivery import Delivery
from cityledger.demo.generate.planting import NOTHING, Corrected, stream
from cityledger.errors import BadInputError

NOTICE = (
    "云汐市为虚构城市，全部数据由程序生成，与真实的人、单位无关。"
    " The city is fictional and all data is generated; nobody in it is real."
)
MOST_SCALE = 100
"""20 million trips; the running numbers of tickets and surveys have room for no more."""

KEY_NAME = "answer_key.json"

Builder = Callable[[np.random.Generator, int, str, Corrected], Delivery]

CORRECTIONS: Corrected = frozenset(
    {
        "duplicate_key",
        "excel_damaged_id",
        "missing_conditional",
        "missing_required",
        "old_area_code",
        "sentinel",
        "times_out_of_order",
        "total_differs",
        "unknown_code",
    }
)
"""What a department puts right when it delivers again; the rest is left as it was."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How one dataset is generated.

    Attributes:
        rows: Rows at scale 1 (air quality: most hours for each station).
        fewest: Rows that the smallest demo has, so that every defect finds a row.
        most: Rows that the largest demo has: codes run out, or an .xls sheet is full.
    """

    dataset: str
    partitions: tuple[str, ...]
    rows: int
    fewest: int
    build: Builder
    most: int | None = None

    def rows_at(self, scale: float) -> int:
        """Rows at a scale."""
        rows = max(self.fewest, round(self.rows * scale))
        return rows if self.most is None else min(rows, self.most)


RECIPES = (
    Recipe(service_cases.DATASET, ("2026-03-31",), 3_000, 800, service_cases.build),
    Recipe(tickets.DATASET, ("2026-03-31",), 2_000, 600, tickets.build),
    Recipe(metro_trips.DATASET, ("2026-03-31",), 200_000, 5_000, metro_trips.build),
    Recipe(intersections.DATASET, ("2026-03",), 900, 300, intersections.build, 60_000),
    Recipe(air_quality.DATASET, ("2026-02", "2026-03"), 744, 168, air_quality.build),
    Recipe(enterprises.DATASET, ("2026-03",), 12_000, 1_500, enterprises.build),
    Recipe(visits.DATASET, ("2026-03-31",), 8_000, 1_000, visits.build),
    Recipe(schools.DATASET, ("2025",), 300, 150, schools.build, 9_000),
    Recipe(satisfaction.DATASET, ("2026-03-31",), 1_200, 400, satisfaction.build),
)


def deliveries(scale: float, seed: int) -> Iterator[Delivery]:
    """Generate one delivery after the other.

    Args:
        scale: Multiplies the rows; the least numbers of the recipes are kept.
        seed: Every seed is another city's day; equal seeds give equal bytes.

    Raises:
        BadInputError: the scale or the seed is no use.
    """
    _check(scale, seed)
    for recipe in RECIPES:
        for partition in recipe.partitions:
            yield _build(recipe, partition, scale, seed, NOTHING)


def _build(
    recipe: Recipe, partition: str, scale: float, seed: int, corrected: Corrected
) -> Delivery:
    rng = stream(seed, recipe.dataset, partition)
    return recipe.build(rng, recipe.rows_at(scale), partition, corrected)


def _check(scale: float, seed: int) -> None:
    if not 0 < scale <= MOST_SCALE or seed < 0:
        raise BadInputError(
            f"scale {scale} and seed {seed} cannot be generated",
            fix=f"give a scale above 0 (at most {MOST_SCALE}) and a seed of 0 or more",
            code="bad_scale",
        )


def generate(
    into: Path,
    *,
    scale: float = 1.0,
    seed: int = 1,
    on_delivery: Callable[[DeliveryAnswer], None] = lambda _: None,
) -> AnswerKey:
    """Write the drop folder ``into`` and the answer key beside it.

    Files of an earlier run with the same names are replaced; others stay.

    Args:
        into: The drop folder; created if need be.
        scale: See :func:`deliveries`.
        seed: See :func:`deliveries`.
        on_delivery: Told each delivery after its files are written.

    Raises:
        BadInputError: the scale or the seed is no use.
    """
    answers = []
    for delivery in deliveries(scale, seed):
        _write(into, delivery)
        answers.append(delivery.answer)
        on_delivery(delivery.answer)
    key = AnswerKey(notice=NOTICE, city=CITY, scale=scale, seed=seed, deliveries=tuple(answers))
    _save(into, key)
    return key


def redeliver(into: Path, dataset: str) -> AnswerKey:
    """Let a department deliver again: the same partitions with some defects corrected.

    The new files replace the old ones in the drop folder; the key gets the second deliveries'
    answers (``sequence`` 2) behind the first ones.

    Args:
        into: A drop folder that :func:`generate` has written.
        dataset: ``department.dataset``.

    Raises:
        BadInputError: there is no key, or no such dataset in the demo.
    """
    key = load_key(into)
    recipe = next((one for one in RECIPES if one.dataset == dataset), None)
    if recipe is None:
        raise BadInputError(
            f"the demo city has no dataset '{dataset}'",
            fix=f"choose one of {', '.join(one.dataset for one in RECIPES)}",
            code="unknown_dataset",
        )
    answers = []
    for partition in recipe.partitions:
        delivery = _build(recipe, partition, key.scale, key.seed, CORRECTIONS)
        _write(into, delivery)
        answers.append(delivery.answer)
    first = [one for one in key.deliveries if (one.dataset, one.sequence) != (dataset, 2)]
    updated = key.model_copy(update={"deliveries": (*first, *answers)})
    _save(into, updated)
    return updated


def load_key(into: Path) -> AnswerKey:
    """The answer key of a drop folder.

    Raises:
        BadInputError: the folder has none.
    """
    path = key_path(into)
    if not path.is_file():
        raise BadInputError(
            "the drop folder has no answer key",
            where=str(path),
            fix=f"write it first: cityledger demo generate --into {into}",
            code="no_answer_key",
        )
    return AnswerKey.model_validate_json(path.read_bytes())


def _write(into: Path, delivery: Delivery) -> None:
    for path, data in delivery.files.items():
        target = into / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)


def _save(into: Path, key: AnswerKey) -> None:
    key_path(into).write_text(key.model_dump_json(indent=1) + "\n", encoding="utf-8")


def key_path(drop: Path) -> Path:
    """Where the answer key of a drop folder is: beside it, so that no connector finds it."""
    return drop.parent / f"{drop.name}.{KEY_NAME}"
