"""What a dbt build was made of: code, contracts, models, releases; kept with the evidence.

A build's record names every file by its SHA-256; the files lie together in one archive, which is
named by its own SHA-256 and shared by all builds from the same files. So a number can be re-derived
after its contract or model was changed, on a machine that never saw them.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import subprocess
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import attr
from openlineage.client.facet_v2 import RunFacet

from cityledger import __version__
from cityledger.errors import BadInputError, CityLedgerError
from cityledger.ledger.facets import PRODUCER
from cityledger.records import Record, Release, Standardisation
from cityledger.settings import PROJECT_DIR, Settings
from cityledger.storage.objects import EVIDENCE, ObjectStore

CONTRACTS, MODELS = "contracts", "dbt_project"
_BUILDS, _ARCHIVES = "builds/", "sources/"
_OLDER = "older"  # folder of contracts that judged a release and have changed since
_LEFT_OUT = {"target", "logs", "dbt_packages", "__pycache__"}
_ENGINES = ("duckdb", "dbt-core", "dbt-duckdb", "polars", "pandera", "pyarrow", "sqlglot")
_FACET = "urn:cityledger:facet:build-run:1"

log = logging.getLogger(__name__)


class Code(Record):
    """Which code ran.

    Attributes:
        commit: Of the checkout; ``unknown`` when it is none.
        modified: Whether the checkout differed from its commit.
        lock_sha256: Of the lock file with all dependencies; ``unknown`` without one.
        engines: Package → version.
    """

    version: str
    commit: str
    modified: bool
    lock_sha256: str
    engines: dict[str, str]


class BuiltModel(Record):
    """One table of the build.

    Attributes:
        sql: As it ran; empty for a seed.
        key: Columns that tell its rows apart, as its test says.
        meta: What the project says about it (indicator card, dataset, rows).
    """

    name: str
    table: str
    sql: str
    parents: tuple[str, ...]
    key: tuple[str, ...]
    meta: dict[str, Any]


class Build(Record):
    """One build.

    Attributes:
        run_id: Of the OpenLineage run of stage standardise.
        files: ``contracts/…`` and ``dbt_project/…`` → SHA-256.
        archive: SHA-256 of the archive that holds them, and every contract of ``releases``.
        engine: What computed the tables; their SQL is DuckDB's in any case.
    """

    snapshot_id: int
    run_id: str
    code: Code
    models: tuple[BuiltModel, ...]
    releases: tuple[Release, ...]
    digests: dict[str, str]
    files: dict[str, str]
    archive: str
    engine: str = "duckdb"

    def model(self, table: str) -> BuiltModel:
        """The model of ``schema.table``.

        Raises:
            BadInputError: the build has no such table.
        """
        for model in self.models:
            if model.table == table:
                return model
        raise BadInputError(
            f"the build of snapshot {self.snapshot_id} has no table {table}", code="unknown_table"
        )


@attr.define
class BuildRunFacet(RunFacet):
    """Pins the build's record to its run (key ``cityledger_build``)."""

    sha256: str
    commit: str
    lock: str

    @staticmethod
    def _get_schema() -> str:
        return _FACET


def keep_build(
    settings: Settings,
    store: ObjectStore,
    *,
    run_id: str,
    target_dir: Path,
    result: Standardisation,
    releases: Sequence[Release],
    previous: int | None = None,
) -> BuildRunFacet:
    """Write a build's record, and the archive of its files, into the evidence bucket.

    Args:
        settings: Where contracts and models lie.
        store: Where the evidence goes; an archive that is there already is not sent again.
        run_id: Of the OpenLineage run of stage standardise.
        target_dir: dbt's target folder after the build.
        result: What the build made.
        releases: What it was made of.
        previous: Snapshot of the build before this one, which may hold contracts of releases that
            have changed since.

    Returns:
        The facet with the record's SHA-256, which brings it into the transparency log.
    """
    contents = dict(_sources(settings))
    older = _older(store, previous, releases, contents)
    archive = _pack(contents | older)
    build = Build(
        snapshot_id=result.snapshot_id,
        run_id=run_id,
        code=code_identity(),
        models=tuple(_models(target_dir)),
        releases=tuple(release for release in releases if release.released),
        digests=result.digests,
        files={path: _sha256(data) for path, data in contents.items()},
        archive=_sha256(archive),
        engine=settings.engine,
    )
    until = datetime.now(UTC) + timedelta(days=settings.ledger_retention_days)
    if store.find(EVIDENCE, _archive_key(build)) is None:
        store.put_new(EVIDENCE, _archive_key(build), archive, retain_until=until)
    raw = build.model_dump_json(indent=1).encode()
    store.put_new(
        EVIDENCE, _key(build.snapshot_id), raw, retain_until=until, content_type="application/json"
    )
    return BuildRunFacet(
        sha256=_sha256(raw),
        commit=build.code.commit,
        lock=build.code.lock_sha256,
        producer=PRODUCER,
    )


def find_build(store: ObjectStore, snapshot_id: int) -> tuple[Build, bytes]:
    """The record of a build, and its bytes.

    Raises:
        CityLedgerError: there is none (code ``object_missing``).
    """
    raw = store.get_bytes(EVIDENCE, _key(snapshot_id))
    return Build.model_validate_json(raw), raw


def read_sources(store: ObjectStore, build: Build) -> dict[str, bytes]:
    """SHA-256 → bytes of every file that a build has kept, contracts of its releases included.

    Raises:
        CityLedgerError: the archive is gone (``object_missing``), or it lacks a file that the
            record names (``object_changed``).
    """
    key = _archive_key(build)
    try:
        with zipfile.ZipFile(io.BytesIO(store.get_bytes(EVIDENCE, key))) as archive:
            contents = (archive.read(name) for name in archive.namelist())
            found = {_sha256(data): data for data in contents}
    except (zipfile.BadZipFile, zlib.error) as error:
        raise _changed(store, key) from error
    if not found.keys() >= set(build.files.values()):
        raise _changed(store, key)
    return found


@lru_cache(maxsize=1)
def code_identity() -> Code:
    """Which code this process runs."""
    commit, modified = _checkout()
    lock = PROJECT_DIR / "requirements.lock"
    return Code(
        version=__version__,
        commit=commit,
        modified=modified,
        lock_sha256=_sha256(lock.read_bytes()) if lock.exists() else "unknown",
        engines=dict(_versions()),
    )


def _key(snapshot_id: int) -> str:
    return f"{_BUILDS}{snapshot_id:020d}.json"


def _archive_key(build: Build) -> str:
    return f"{_ARCHIVES}{build.archive}.zip"


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _changed(store: ObjectStore, key: str) -> CityLedgerError:
    return CityLedgerError(
        "the archive of a build's files is not the one that was kept",
        where=f"s3://{store.bucket(EVIDENCE)}/{key}",
        fix="compare it with a copy of the bucket, and ask who changed it",
        code="object_changed",
    )


def _older(
    store: ObjectStore,
    previous: int | None,
    releases: Iterable[Release],
    contents: Mapping[str, bytes],
) -> dict[str, bytes]:
    """Contracts of releases that have changed since, as the build before this one kept them."""
    present = {_sha256(data) for data in contents.values()}
    wanted = {one.contract_sha256 for one in releases if one.released} - present
    if not wanted or previous is None:
        return {}
    try:
        kept = read_sources(store, find_build(store, previous)[0])
    except CityLedgerError as error:
        if error.code not in {"object_missing", "object_changed"}:
            raise
        # Numbers go on; a pack of this build will say which contract is gone.
        log.warning("older contracts are not carried along: %s", error)
        return {}
    return {f"{_OLDER}/{sha256}": kept[sha256] for sha256 in sorted(wanted & kept.keys())}


def _pack(contents: Mapping[str, bytes]) -> bytes:
    """A zip archive whose bytes follow from its contents alone."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(contents):
            archive.writestr(zipfile.ZipInfo(name), contents[name], zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def _versions() -> Iterator[tuple[str, str]]:
    for name in _ENGINES:
        try:
            yield name, version(name)
        except PackageNotFoundError:
            continue


def _checkout() -> tuple[str, bool]:
    def git(*arguments: str) -> str:
        command = ["git", "-C", str(PROJECT_DIR), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)  # noqa: S603 - fixed words
        return done.stdout.strip()

    try:
        return git("rev-parse", "HEAD"), bool(git("status", "--porcelain", "--untracked-files=no"))
    except (OSError, subprocess.SubprocessError):
        return "unknown", False


def _sources(settings: Settings) -> Iterator[tuple[str, bytes]]:
    for name, folder in ((CONTRACTS, settings.contracts_dir), (MODELS, settings.dbt_project_dir)):
        for path in sorted(folder.rglob("*")):
            parts = path.relative_to(folder).parts
            hidden = any(part.startswith(".") or part in _LEFT_OUT for part in parts)
            if path.is_file() and not hidden:
                yield "/".join((name, *parts)), path.read_bytes()


def _models(target_dir: Path) -> Iterator[BuiltModel]:
    manifest = json.loads((target_dir / "manifest.json").read_text("utf-8"))
    nodes: Mapping[str, Any] = manifest["nodes"]
    keys = dict(_keys(nodes.values()))
    for key, node in sorted(nodes.items()):
        if node["resource_type"] in {"model", "seed"} and node["config"]["enabled"]:
            parents = [one for one in node.get("depends_on", {}).get("nodes", []) if one in nodes]
            yield BuiltModel(
                name=node["name"],
                table=_table(node),
                sql=node.get("compiled_code") or "",
                parents=tuple(sorted(_table(nodes[one]) for one in parents)),
                key=keys.get(key, ()),
                meta=node["config"].get("meta", {}),
            )


def _keys(nodes: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, tuple[str, ...]]]:
    for node in nodes:
        test = node.get("test_metadata") or {}
        if test.get("name") == "one_row_per":
            yield node["attached_node"], tuple(test["kwargs"]["columns"])


def _table(node: Mapping[str, Any]) -> str:
    return f"{node['schema']}.{node['alias']}"
