"""The front door: everything that a stage needs to read and judge a dataset."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
from cityledger.contracts.model import Contract
from cityledger.records import RuleResult

from quality_checks.compiled import Suite
from quality_checks.compiler import compile_suite
from quality_checks.rules.base import Tables
from quality_checks.session import Session, Verdict

if TYPE_CHECKING:
    from duckdb import DuckDBPyRelation

__all__ = ["Session", "Suite", "Verdict", "check_history", "compile_suite"]


def check_history(
    contract: Contract,
    table: pl.DataFrame | DuckDBPyRelation,
    *,
    codes_dir: Path,
    as_of: date,
    tables: Tables | None = None,
    version: str = "",
) -> tuple[RuleResult, ...]:
    """Judge a dataset's table over all partitions by the contract's rules of scope ``history``.

    Args:
        contract: The resolved contract.
        table: Polars frame or DuckDB relation (``connection.table("staging.stg_…")``).
        codes_dir: Folder of the code lists.
        as_of: Last day of the newest partition.
        tables: Finds what is released of other datasets, for rules that refer to them.
        version: What the table is a version of, e.g. ``snapshot:12``; the results repeat it.
    """
    suite = compile_suite(contract, codes_dir=codes_dir, as_of=as_of, tables=tables)
    stamp = {"contract_sha256": contract.sha256, "object_version": version}
    return tuple(result.model_copy(update=stamp) for result in suite.check_history(table))
