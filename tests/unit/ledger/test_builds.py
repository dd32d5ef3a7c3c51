"""What a build is kept with: one archive, and the contracts that have changed since."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from cityledger.errors import CityLedgerError
from cityledger.ledger.builds import Build, find_build, keep_build, read_sources
from cityledger.records import ObjectRef, Release, Standardisation
from cityledger.settings import Settings
from cityledger.storage.objects import EVIDENCE, ObjectStore


@pytest.fixture
def project(ready_settings: Settings, tmp_path: Path) -> Settings:
    """A city of one contract and one model."""
    contracts, models = tmp_path / "contracts", tmp_path / "models"
    for folder, name in ((contracts, "visits.yaml"), (models, "visits.sql")):
        folder.mkdir()
        (folder / name).write_text("version: 1")
    (tmp_path / "manifest.json").write_text(json.dumps({"nodes": {}}))
    places = {"contracts_dir": contracts, "dbt_project_dir": models}
    return ready_settings.model_copy(update=places)


def _release(contract: bytes) -> Release:
    return Release(
        dataset="health.visits",
        partition="2026-03",
        delivery="1",
        contract_sha256=hashlib.sha256(contract).hexdigest(),
        validated=ObjectRef(bucket="validated", key="k", version_id=None, sha256="", size=0),
        rows=1,
        released=True,
    )


def _keep(settings: Settings, number: int, contract: bytes, previous: int | None) -> Build:
    store = ObjectStore.from_settings(settings)
    keep_build(
        settings,
        store,
        run_id="r",
        target_dir=settings.contracts_dir.parent,
        result=Standardisation.model_construct(snapshot_id=number, digests={}),
        releases=[_release(contract)],
        previous=previous,
    )
    return find_build(store, number)[0]


def _archives(store: ObjectStore) -> list[str]:
    return list(store.list(EVIDENCE, "sources/"))


def test_unchanged_sources_are_kept_once(project: Settings) -> None:
    """Prevents every build from sending all files again."""
    store = ObjectStore.from_settings(project)
    first = _keep(project, 1, b"version: 1", None)
    kept = _archives(store)
    second = _keep(project, 2, b"version: 1", 1)
    assert first.archive == second.archive
    assert _archives(store) == kept
    assert set(first.files) == {"contracts/visits.yaml", "dbt_project/visits.sql"}
    assert set(read_sources(store, second).values()) == {b"version: 1"}


def test_contract_that_changed_is_carried_along(project: Settings) -> None:
    """Prevents a pack without the contract that judged an old delivery, years of builds later."""
    store = ObjectStore.from_settings(project)
    _keep(project, 1, b"version: 1", None)
    for number in (2, 3):
        changed = f"version: {number}"
        for path in (project.contracts_dir / "visits.yaml", project.dbt_project_dir / "visits.sql"):
            path.write_text(changed)
        build = _keep(project, number, b"version: 1", number - 1)
        found = read_sources(store, build)
        assert found[hashlib.sha256(b"version: 1").hexdigest()] == b"version: 1"
        assert set(build.files.values()) == {hashlib.sha256(changed.encode()).hexdigest()}


@pytest.mark.parametrize("content", [b"no archive", b""])
def test_changed_archive_is_found(project: Settings, content: bytes) -> None:
    """Prevents a pack with other code in it than the build's record names."""
    store = ObjectStore.from_settings(project)
    build = _keep(project, 1, b"version: 1", None)
    store.put_bytes(EVIDENCE, f"sources/{build.archive}.zip", content)
    with pytest.raises(CityLedgerError) as caught:
        read_sources(store, build)
    assert caught.value.code == "object_changed"
