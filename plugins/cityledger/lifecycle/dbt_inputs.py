"""What the dbt models read besides the validated objects: small Parquet files.

They lie in one folder below the target folder, always under the same names, so that dbt's partial
parse stays valid from run to run. Each file is replaced atomically.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import polars as pl
from polars.datatypes import DataTypeClass as PolarsType

from cityledger.contracts.city import City
from cityledger.contracts.identity import Partition
from cityledger.contracts.model import Contract
from cityledger.records import Accounting, Release, Validation

Row = Mapping[str, Any]
Schema = Mapping[str, PolarsType]

_TEXT, _COUNT = pl.String, pl.Int64
_SOURCE: Schema = dict.fromkeys(("dataset", "partition", "delivery", "contract"), _TEXT)
_RELEASES: Schema = {**_SOURCE, "uri": _TEXT, "rows": _COUNT}
_KNOWN: Schema = {"dataset": _TEXT, "partition": _TEXT, "is_released": pl.Boolean}
_EXPECTED: Schema = dict.fromkeys(("dataset", "department", "partition"), _TEXT)
_ACCOUNTING: Schema = {**_SOURCE, **dict.fromkeys(Accounting.model_fields, _COUNT)}
_RULE_RESULTS: Schema = {
    **_SOURCE,
    **dict.fromkeys(("key", "rule", "severity", "gb_code", "dimension", "status"), _TEXT),
    **dict.fromkeys(("evaluated", "failed"), _COUNT),
}
_AREAS: Schema = {
    **dict.fromkeys(("code", "name", "name_en", "level", "parent"), _TEXT),
    "population": _COUNT,
    **dict.fromkeys(("valid_from", "valid_to"), pl.Date),
    "successors": _TEXT,
}
_DEPARTMENTS: Schema = dict.fromkeys(("code", "name", "name_en"), _TEXT)


def write_inputs(
    folder: Path,
    *,
    releases: Sequence[Release],
    validations: Sequence[Validation],
    contracts: Mapping[str, Contract],
    city: City,
) -> None:
    """Write all input files.

    Args:
        folder: Where the models look (``CITYLEDGER_DBT_INPUT_DIR``).
        releases: The newest of each dataset and partition; held ones are known, but not staged.
        validations: Those that the released ones came from.
        contracts: By ``department.dataset``.
        city: Areas and departments.
    """
    folder.mkdir(parents=True, exist_ok=True)
    released = [release for release in releases if release.released]
    files: dict[str, tuple[Schema, Iterable[Row]]] = {
        "releases": (_RELEASES, map(_release, released)),
        "known_partitions": (_KNOWN, map(_known, releases)),
        "expected_partitions": (_EXPECTED, _expected(releases, contracts)),
        "accounting": (_ACCOUNTING, map(_accounting, validations)),
        "rule_results": (_RULE_RESULTS, _rule_results(validations)),
        "areas": (_AREAS, _areas(city)),
        "departments": (_DEPARTMENTS, _departments(city)),
    }
    for name, (schema, rows) in files.items():
        _write(folder / f"{name}.parquet", pl.DataFrame(list(rows), schema=schema, orient="row"))


def verdict_tag(one: Release | Validation) -> str:
    """How tables name what a delivery was judged by.

    The first 8 hex digits of the contract's SHA-256, and after a replay the tag of its corrections
    and waivers, as in the validated object's key: rows judged anew replace those staged before.
    """
    contract = one.contract_sha256[:8]
    folder = one.validated.key.rpartition("/")[0]
    replayed = re.search(rf"-{contract}-([0-9a-f]{{8}})$", folder)
    return f"{contract}-{replayed[1]}" if replayed else contract


def _write(path: Path, frame: pl.DataFrame) -> None:
    draft = path.with_suffix(".draft")
    frame.write_parquet(draft)
    draft.replace(path)


def _release(release: Release) -> Row:
    return {
        "dataset": release.dataset,
        "partition": release.partition,
        "delivery": release.delivery,
        "contract": verdict_tag(release),
        "uri": release.validated.uri,
        "rows": release.rows,
    }


def _known(release: Release) -> Row:
    return {
        "dataset": release.dataset,
        "partition": release.partition,
        "is_released": release.released,
    }


def _expected(releases: Sequence[Release], contracts: Mapping[str, Contract]) -> Iterator[Row]:
    for key, contract in contracts.items():
        known = [Partition.parse(r.partition) for r in releases if r.dataset == key]
        for partition in _between(known) if known else ["none"]:
            yield {"dataset": key, "department": contract.id.department, "partition": partition}


def _between(known: Sequence[Partition]) -> Iterator[str]:
    first = min(partition.start for partition in known)
    current = max(known, key=lambda partition: partition.start)
    while current.start >= first:
        yield current.key
        current = current.previous()


def _accounting(validation: Validation) -> Row:
    return {
        "dataset": validation.dataset,
        "partition": validation.partition,
        "delivery": validation.delivery,
        "contract": verdict_tag(validation),
        **validation.accounting.model_dump(),
    }


def _rule_results(validations: Sequence[Validation]) -> Iterator[Row]:
    for validation in validations:
        for result in validation.results:
            yield {
                "dataset": validation.dataset,
                "partition": validation.partition,
                "delivery": validation.delivery,
                "contract": verdict_tag(validation),
                **result.model_dump(mode="json", include=set(_RULE_RESULTS)),
            }


def _areas(city: City) -> Iterator[Row]:
    if city.code:
        yield from _city_periods(city)
    for area in city.areas:
        yield {
            "code": area.code,
            "name": area.name,
            "name_en": area.english,
            "level": area.level,
            "parent": area.parent,
            "population": area.population,
            "valid_from": area.valid_from,
            "valid_to": area.valid_to,
            "successors": ",".join(area.successors) or None,
        }


def _city_periods(city: City) -> Iterator[Row]:
    """The city itself, with the residents of the areas that are in force in each period."""
    changes = {area.valid_from for area in city.areas} | {
        area.valid_to + timedelta(days=1) for area in city.areas if area.valid_to
    }
    starts: list[date | None] = [None, *sorted(day for day in changes if day)]
    for start, following in zip(starts, [*starts[1:], None], strict=True):
        yield {
            "code": city.code,
            "name": city.name,
            "name_en": city.english,
            "level": "city",
            "population": city.population_on(start or date.min) or None,
            "valid_from": start,
            "valid_to": following and following - timedelta(days=1),
        }


def _departments(city: City) -> Iterator[Row]:
    for department in city.departments:
        yield {"code": department.id, "name": department.name, "name_en": department.english}
