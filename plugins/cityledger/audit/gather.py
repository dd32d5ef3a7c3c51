"""Everything that a published value or a table rests on, as the journals and the log hold it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from cityledger.audit.pinned import pinned_lake, published, rows, view
from cityledger.audit.trace import VALUES, find_value, indicator_model
from cityledger.errors import BadInputError, CityLedgerError
from cityledger.ledger.builds import Build, find_build, read_sources
from cityledger.ledger.decisions import DecisionStore
from cityledger.ledger.log import Checkpoint, checkpoint
from cityledger.ledger.log.proofs import Inclusion, Prover
from cityledger.records import Correction, Publication, Receipt, Release, Stage, Validation
from cityledger.runner import CITY, Runner
from cityledger.storage.objects import PUBLISHED
from cityledger.storage.tables import lineage_event, outcome

_DELIVERED = (Stage.LAND.value, Stage.VALIDATE.value, Stage.RELEASE.value)


@dataclass(frozen=True)
class Delivery:
    """One delivery that went in, with what was decided about it."""

    release: Release
    receipt: Receipt
    validation: Validation
    contract: bytes
    corrections: tuple[Correction, ...]


@dataclass(frozen=True)
class LoggedEvent:
    """A lineage event with its proof."""

    raw: bytes
    proof: Inclusion


@dataclass(frozen=True)
class Evidence:
    """What a pack is made of.

    Attributes:
        subject: What is proved: the value's row, or the table and its digest.
        tables: The tables that it was computed from, itself included, in name order.
        values: The published file with the value in it.
    """

    subject: dict[str, Any]
    name: str
    publication: Publication | None
    build: Build
    build_record: bytes
    tables: tuple[str, ...]
    deliveries: tuple[Delivery, ...]
    events: tuple[LoggedEvent, ...]
    head: Checkpoint
    files: dict[str, bytes]
    values: bytes | None


def gather_indicator(
    runner: Runner, code: str, *, area: str, period: str, snapshot_id: int | None = None
) -> Evidence:
    """Evidence for one published value.

    Raises:
        BadInputError: there is no such value.
        CityLedgerError: something that it rests on is not there any more.
    """
    publication = published(runner.journal, snapshot_id)
    build, record = find_build(runner.store, publication.snapshot_id)
    model = indicator_model(build, code)
    with pinned_lake(runner.settings, build) as connection:
        value = find_value(connection, code, area, period)
    subject = {name: _plain(one) for name, one in value.items()}
    subject |= {
        "kind": "indicator",
        "snapshot_id": build.snapshot_id,
        "card": model.meta["indicator"],
    }
    subject["card"] = json.loads(json.dumps(subject["card"], default=str))
    name = f"indicator {code}, area {area}, period {period}, snapshot {build.snapshot_id}"
    tables = _ancestors(build, [model.table]) | {
        VALUES,
        "indicators.dim_indicator",
        "core.dim_area",
    }
    return _gather(runner, build, record, subject, name, tables, publication)


def gather_table(runner: Runner, table: str, *, snapshot_id: int | None = None) -> Evidence:
    """Evidence for one table of a build.

    Raises:
        BadInputError: there is no such table or build.
    """
    newest = runner.journal.latest_standardisation()
    if newest is None:
        raise BadInputError("nothing was standardised yet", code="not_standardised")
    build, record = find_build(runner.store, snapshot_id or newest.snapshot_id)
    model = build.model(table)
    with pinned_lake(runner.settings, build) as connection:
        count = rows(connection, f"SELECT count(*) AS n FROM {view(table)}")[0]["n"]
    subject = {
        "kind": "table",
        "table": table,
        "snapshot_id": build.snapshot_id,
        "rows": count,
        "content_sha256": build.digests[table],
    }
    name = f"table {table}, snapshot {build.snapshot_id}"
    tables = _ancestors(build, [model.table])
    return _gather(runner, build, record, subject, name, tables, None)


def _gather(
    runner: Runner,
    build: Build,
    record: bytes,
    subject: dict[str, Any],
    name: str,
    tables: set[str],
    publication: Publication | None,
) -> Evidence:
    datasets = {
        str(model.meta["dataset"])
        for model in build.models
        if model.table in tables and model.meta.get("dataset")
    }
    releases = [release for release in build.releases if release.dataset in datasets]
    sources = read_sources(runner.store, build)
    deliveries = tuple(_delivery(runner, build, sources, release) for release in releases)
    head = checkpoint(runner.settings, database=runner.database, store=runner.store)
    prover = Prover(runner.settings, runner.database, runner.store)
    ids = _event_ids(runner, build, tables, releases, publication)
    return Evidence(
        subject=subject,
        name=name,
        publication=publication,
        build=build,
        build_record=record,
        tables=tuple(sorted(tables)),
        deliveries=deliveries,
        events=tuple(LoggedEvent(raw, prover.inclusion(event_id, head)) for event_id, raw in ids),
        head=head,
        files={path: sources[sha256] for path, sha256 in sorted(build.files.items())},
        values=_values(runner, publication) if publication else None,
    )


def _values(runner: Runner, publication: Publication) -> bytes:
    """The published CSV, which the publication's logged event names."""
    ref = next(one for one in publication.objects if one.key.endswith("indicator_values.csv"))
    data = runner.store.get_bytes(PUBLISHED, ref.key, ref.version_id)
    if hashlib.sha256(data).hexdigest() != ref.sha256:
        raise CityLedgerError(
            "the published file is not the one that was published",
            where=ref.uri,
            fix="publish again, and ask who changed it",
            code="object_changed",
        )
    return data


def _ancestors(build: Build, tables: Iterable[str]) -> set[str]:
    parents = {model.table: model.parents for model in build.models}
    found: set[str] = set()
    waiting = list(tables)
    while waiting:
        table = waiting.pop()
        if table not in found:
            found.add(table)
            waiting += parents[table]
    return found


def _delivery(
    runner: Runner, build: Build, sources: Mapping[str, bytes], release: Release
) -> Delivery:
    where = f"{release.dataset} {release.partition} {release.delivery}"
    receipts = runner.journal.receipts(release.dataset, release.partition)
    receipt = next((one for one in receipts if one.delivery == release.delivery), None)
    validation = runner.journal.find_validation(
        release.dataset, release.partition, release.delivery, release.contract_sha256
    )
    if receipt is None or validation is None or validation.validated != release.validated:
        raise CityLedgerError(
            "the journal does not hold what this build used any more",
            where=where,
            fix="make the pack from a newer publication",
            code="evidence_incomplete",
        )
    decided = DecisionStore(runner.database).corrections(
        release.dataset, release.partition, release.delivery
    )
    return Delivery(
        release=release,
        receipt=receipt,
        validation=validation,
        contract=_contract(build, sources, release),
        corrections=tuple(one for one in decided if one.file in validation.corrections),
    )


def _contract(build: Build, sources: Mapping[str, bytes], release: Release) -> bytes:
    """The contract that judged: the build's own, or an older one that it carries along."""
    if (contract := sources.get(release.contract_sha256)) is not None:
        return contract
    raise CityLedgerError(
        f"no build has kept the contract with SHA-256 {release.contract_sha256}",
        where=f"{release.dataset} {release.partition}, snapshot {build.snapshot_id}",
        fix="validate the delivery again under the present contract, then publish",
        code="evidence_incomplete",
    )


def _event_ids(
    runner: Runner,
    build: Build,
    tables: set[str],
    releases: Sequence[Release],
    publication: Publication | None,
) -> list[tuple[int, bytes]]:
    """The COMPLETE events of the runs that made it, in the log's order."""
    runs = {build.run_id} | _delivery_runs(runner, releases)
    if publication is not None:
        runs |= _publish_runs(runner, publication)
    jobs = [f"{table}.{Stage.STANDARDISE.value}" for table in tables]
    columns = (lineage_event.c.id, lineage_event.c.raw, lineage_event.c.run_id)
    complete = lineage_event.c.event_type == "COMPLETE"
    with runner.database.begin() as connection:
        own = connection.execute(
            select(*columns).where(lineage_event.c.run_id.in_(runs), complete)
        ).all()
        models = connection.execute(
            select(*columns).where(lineage_event.c.job_name.in_(jobs), complete)
        ).all()
    found = {row.id: bytes(row.raw) for row in own}
    found |= {row.id: bytes(row.raw) for row in models if _is_child(bytes(row.raw), build.run_id)}
    return sorted(found.items())


def _is_child(raw: bytes, run_id: str) -> bool:
    parent = json.loads(raw)["run"].get("facets", {}).get("parent", {})
    return bool(parent.get("run", {}).get("runId") == run_id)


def _delivery_runs(runner: Runner, releases: Sequence[Release]) -> set[str]:
    wanted = {(one.dataset, one.partition, one.delivery) for one in releases}
    columns = (outcome.c.run_id, outcome.c.dataset, outcome.c.partition, outcome.c.delivery)
    query = select(*columns).where(
        outcome.c.dataset.in_({one.dataset for one in releases}),
        outcome.c.stage.in_(_DELIVERED),
        outcome.c.status.in_(("success", "held")),
    )
    with runner.database.begin() as connection:
        return {
            str(row.run_id)
            for row in connection.execute(query)
            if (row.dataset, row.partition, row.delivery) in wanted
        }


def _publish_runs(runner: Runner, publication: Publication) -> set[str]:
    found = runner.journal.outcomes(CITY, stage=Stage.PUBLISH)
    return {
        one.run_id
        for one in found
        if one.status == "success" and one.detail.get("snapshot_id") == publication.snapshot_id
    }


def _plain(value: object) -> Any:
    """A value as text, spelled alike everywhere; numbers keep their decimals."""
    if value is None or isinstance(value, bool | int | str):
        return value
    return f"{value:f}" if hasattr(value, "as_tuple") else str(value)
