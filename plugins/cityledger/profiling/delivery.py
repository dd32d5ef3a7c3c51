"""Profile one validated delivery of an installation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from cityledger.errors import BadInputError
from cityledger.profiling.records import Profile
from cityledger.profiling.store import ProfileStore
from cityledger.profiling.table import likely_keys, profile_columns
from cityledger.records import Stage
from cityledger.storage.duck import connect

if TYPE_CHECKING:
    from cityledger.ledger.journal import Journal
    from cityledger.records import Validation
    from cityledger.runner import Runner


def profile_delivery(runner: Runner, dataset: str, partition: str) -> Profile:
    """Profile the good rows of a partition's newest delivery, and keep the result.

    A delivery whose bytes have been profiled before is not read again.

    Raises:
        BadInputError: nothing of the partition has been validated under the present contract.
    """
    validation, store = _validation(runner, dataset, partition), ProfileStore(runner.database)
    known = store.find(dataset, partition)
    if known and known.validated_sha256 == validation.validated.sha256:
        return known
    contract = runner.contract(dataset)
    with connect(runner.settings) as connection:
        connection.read_parquet(validation.validated.uri).create_view("delivery")
        rows, columns = profile_columns(connection, "delivery", contract.columns)
        keys = likely_keys(connection, "delivery", rows, columns)
    profile = Profile(
        dataset=dataset,
        partition=partition,
        delivery=validation.delivery,
        validated_sha256=validation.validated.sha256,
        rows=rows,
        columns=columns,
        keys=keys,
        declared_key=contract.primary_key,
    )
    store.save(profile)
    return profile


def newest_validated(
    journal: Journal, dataset: str | None = None, partition: str | None = None
) -> Iterator[tuple[str, str]]:
    """Dataset and newest validated partition, in order of the datasets.

    Args:
        journal: What has been done.
        dataset: Only this one.
        partition: This partition instead of the newest.
    """
    newest: dict[str, str] = {}
    for row in journal.matrix():
        cell = row.stages.get(Stage.VALIDATE)
        wanted = dataset in (None, row.dataset) and partition in (None, row.partition)
        if wanted and cell and cell.status in ("success", "skipped"):
            newest[row.dataset] = max(row.partition, newest.get(row.dataset, ""))
    yield from sorted(newest.items())


def _validation(runner: Runner, dataset: str, partition: str) -> Validation:
    receipt = runner.journal.current_receipt(dataset, partition)
    validation = receipt and runner.journal.find_validation(
        dataset, partition, receipt.delivery, runner.contract(dataset).sha256
    )
    if not validation:
        raise BadInputError(
            "nothing to profile: no delivery has been validated under the present contract",
            where=f"{dataset}/{partition}",
            fix=f"cityledger run {dataset} --partition {partition}",
            code="not_validated",
        )
    return validation
