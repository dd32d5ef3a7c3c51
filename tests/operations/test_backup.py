"""Backup and restore of a small installation, on real servers."""

from __future__ import annotations

import shutil
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cityledger.errors import BadInputError, CityLedgerError
from cityledger.ledger.log import checkpoint
from cityledger.ledger.log.landed import verify_landed
from cityledger.ledger.log.verify import verify
from cityledger.operations.backup.check import check
from cityledger.operations.backup.create import create
from cityledger.operations.backup.dump import PostgresTools
from cityledger.operations.backup.folder import BackupFolder
from cityledger.operations.backup.records import Manifest
from cityledger.operations.backup.restore import restore
from cityledger.runner import Runner
from cityledger.settings import Settings
from cityledger.storage.database import Database
from cityledger.storage.objects import EVIDENCE, LAKE, LANDING, ObjectStore
from cityledger.storage.operator_store import OperatorStore
from cityledger_stack.prepare import prepare
from sqlalchemy import text

from tests.operations.conftest import NewHouse

DATASET, PARTITION = "hotline.satisfaction", "2026-03-31"
NEXT = ("environment.air_quality", "2026-03")


@pytest.fixture(scope="module")
def lived_in(house: NewHouse, s3_url: str, drop: Path) -> Settings:
    """An installation with a delivery, a signed log, versions of one key and a delete marker."""
    settings = house(s3_url)
    prepare(settings)
    store = OperatorStore.from_settings(settings)
    shutil.copytree(drop, settings.drop_dir)
    runner = Runner(settings)
    _judge(runner, DATASET, PARTITION)
    checkpoint(settings)
    until = datetime.now(UTC) + timedelta(days=3)
    for data in (b"first", b"other", b"first"):
        store.put_bytes(LANDING, "foreign/ledger.csv", data, retain_until=until)
    store.put_bytes(LANDING, "foreign/gone.csv", b"gone")
    store.mark_deleted(LANDING, "foreign/gone.csv")
    store.put_bytes(LAKE, "main/x.parquet", b"1")
    held = store.find(LANDING, "foreign/ledger.csv")
    assert held is not None
    store.hold(LANDING, held.key, held.version_id)
    return settings


@pytest.fixture(scope="module")
def made(
    lived_in: Settings, tools: PostgresTools, tmp_path_factory: pytest.TempPathFactory
) -> tuple[BackupFolder, Manifest]:
    """A backup of it."""
    folder = BackupFolder(tmp_path_factory.mktemp("backups"))
    return folder, create(lived_in, folder, tools=tools)


def _judge(runner: Runner, dataset: str, partition: str) -> None:
    runner.extract_land(dataset, partition)
    runner.parse_validate(dataset, partition)
    runner.release(dataset, partition)


def _content(settings: Settings) -> list[tuple[object, ...]]:
    """Everything in the store that does not depend on where it is."""
    store, found = OperatorStore.from_settings(settings), []
    for bucket in (LANDING, EVIDENCE, LAKE, "validated", "quarantine", "published"):
        for one in store.versions(bucket):
            kept = None if one.marker else store.properties(bucket, one.key, one.version_id)
            found.append((bucket, one.key, one.marker, one.latest, one.size, kept))
    return sorted(found, key=repr)


def _rights(settings: Settings) -> list[tuple[object, ...]]:
    """Who may do what with the tables."""
    query = (
        "SELECT grantee, table_name, privilege_type FROM information_schema.role_table_grants"
        " WHERE table_schema = 'cityledger' AND grantee <> 'postgres' ORDER BY 1, 2, 3"
    )
    with Database.from_settings(settings).begin() as connection:
        return [tuple(row) for row in connection.execute(text(query))]


def test_a_restored_installation_is_the_same_and_goes_on(
    lived_in: Settings,
    made: tuple[BackupFolder, Manifest],
    house: NewHouse,
    other_s3_url: str,
    tools: PostgresTools,
) -> None:
    """A backup that cannot be restored elsewhere, with a clean ledger, is none."""
    folder, manifest = made
    assert manifest.warnings == ()
    assert check(folder, manifest, tools=tools, progress=None) == []
    new = house(other_s3_url)
    shutil.copytree(lived_in.home / "secrets", new.home / "secrets")

    done = restore(new, folder, manifest, tools=tools)

    assert (done.written, done.databases) == (manifest.versions + 1, ("cityledger",))
    report = verify(new)
    assert report.clean
    assert manifest.checkpoint is not None
    assert (report.tree_size, report.root) == (
        manifest.checkpoint.tree_size,
        manifest.checkpoint.root,
    )
    store = ObjectStore.from_settings(new)
    assert list(verify_landed(Database.from_settings(new), store)) == []
    assert _content(new) == _content(lived_in)
    assert _rights(new) == _rights(lived_in) != []
    # Once more changes nothing; then the next delivery comes, and the log goes on.
    assert restore(new, folder, manifest, tools=tools).written == 0
    shutil.copytree(lived_in.drop_dir, new.drop_dir)
    runner = Runner(new)
    _judge(runner, *NEXT)
    assert checkpoint(new).tree_size > report.tree_size
    assert verify(new).clean


@pytest.mark.drill
def test_a_restore_that_was_cut_off_goes_on(
    lived_in: Settings,
    made: tuple[BackupFolder, Manifest],
    house: NewHouse,
    other_s3_url: str,
    tools: PostgresTools,
) -> None:
    """Hours of copying lost to a network fault, or versions written twice."""
    folder, manifest = made
    new = house(other_s3_url)
    shutil.copytree(lived_in.home / "secrets", new.home / "secrets")

    def cut(what: str, done: int, _total: int | None) -> None:
        if what == "objects" and done >= 3:
            raise ConnectionError

    with pytest.raises(ConnectionError):
        restore(new, folder, manifest, tools=tools, progress=cut)
    begun = len(_content(new))
    assert begun >= 3
    done = restore(new, folder, manifest, tools=tools)
    assert done.written <= manifest.versions + 1 - 3
    assert _content(new) == _content(lived_in)
    assert verify(new).clean


@pytest.mark.drill
def test_what_is_signed_or_landed_during_a_backup_does_not_tear_it(
    lived_in: Settings,
    house: NewHouse,
    other_s3_url: str,
    tools: PostgresTools,
    tmp_path: Path,
) -> None:
    """A checkpoint in the bucket that the restored database does not know is a false alarm."""
    runner, folder = Runner(lived_in), BackupFolder(tmp_path / "backups")

    def meanwhile(what: str, done: int, _total: int | None) -> None:
        if what == "database cityledger" and done == 1:
            _judge(runner, "market.enterprises", "2026-03")
            checkpoint(lived_in)

    manifest = create(lived_in, folder, tools=tools, progress=meanwhile)
    assert manifest.checkpoint is not None
    assert checkpoint(lived_in).tree_size > manifest.checkpoint.tree_size
    new = house(other_s3_url)
    shutil.copytree(lived_in.home / "secrets", new.home / "secrets")
    restore(new, folder, manifest, tools=tools)
    assert verify(new).clean
    # The delivery that had landed in the meantime is taken up, not landed a second time.
    shutil.copytree(lived_in.drop_dir, new.drop_dir)
    before = _content(new)
    _judge(Runner(new), "market.enterprises", "2026-03")
    landed = [one for one in _content(new) if one[0] == LANDING]
    assert landed == [one for one in before if one[0] == LANDING]
    checkpoint(new)
    assert verify(new).clean


def test_only_what_is_new_is_read_again(
    lived_in: Settings, made: tuple[BackupFolder, Manifest], tools: PostgresTools
) -> None:
    """A nightly backup that reads terabytes every night is soon switched off."""
    folder, _ = made
    store = ObjectStore.from_settings(lived_in)
    first = create(lived_in, folder, tools=tools)
    store.put_bytes(LAKE, "main/x.parquet", b"2")  # replaced in a bucket without versions
    second = create(lived_in, folder, tools=tools)
    assert (second.read, second.read_bytes) == (1, 1)
    assert second.versions == first.versions
    lines = {one.key: one for one in folder.lines(second.id)}
    assert folder.object(str(lines["main/x.parquet"].sha256)).read_bytes() == b"2"


@pytest.mark.drill
def test_an_interrupted_backup_is_gone_on_with(
    lived_in: Settings, tools: PostgresTools, tmp_path: Path
) -> None:
    """The first backup of a large city takes a day; it must not begin anew after a fault."""
    folder = BackupFolder(tmp_path / "backups")

    def cut(what: str, done: int, _total: int | None) -> None:
        if what == "objects" and done >= 10:
            raise ConnectionError

    with pytest.raises(ConnectionError):
        create(lived_in, folder, tools=tools, progress=cut)
    assert folder.ids() == []
    assert len(folder.unfinished()) == 1
    whole = create(lived_in, folder, tools=tools)
    assert whole.read <= whole.versions - 9
    assert folder.unfinished() == []
    assert check(folder, whole, tools=tools, progress=None) == []


@pytest.mark.drill
def test_damage_is_named_and_never_restored(
    lived_in: Settings, house: NewHouse, s3_url: str, tools: PostgresTools, tmp_path: Path
) -> None:
    """A rotten disk under the backups, found on the day of the restore."""
    folder = BackupFolder(tmp_path / "backups")
    manifest = create(lived_in, folder, tools=tools)
    line = next(one for one in folder.lines(manifest.id) if one.key == "foreign/ledger.csv")
    folder.object(str(line.sha256)).write_bytes(b"wrong")
    dump = folder.folder(manifest.id) / "cityledger.dump"
    dump.write_bytes(dump.read_bytes()[:-100])
    found = {one.file for one in check(folder, manifest, tools=tools, progress=None)}
    assert found == {"cityledger.dump", "s3://landing/foreign/ledger.csv"}
    # What is damaged is read anew by the next backup, once it has been thrown away.
    folder.object(str(line.sha256)).unlink()
    again = create(lived_in, folder, tools=tools)
    assert check(folder, again, tools=tools, progress=None) == []


def test_an_object_that_the_database_names_and_nobody_has_is_told(
    lived_in: Settings, tools: PostgresTools, tmp_path: Path
) -> None:
    """A backup of a damaged installation that looks like a good one."""
    store = OperatorStore.from_settings(lived_in)
    key = next(one.key for one in store.versions("validated"))
    kept = store.get_bytes("validated", key)
    store.remove("validated", key, None)
    try:
        made = create(lived_in, BackupFolder(tmp_path / "backups"), tools=tools)
    finally:
        store.put_bytes("validated", key, kept)
    (warning,) = made.warnings
    assert "1 object(s)" in warning
    assert key in warning


def test_restore_refuses_what_does_not_fit(
    lived_in: Settings,
    made: tuple[BackupFolder, Manifest],
    house: NewHouse,
    s3_url: str,
    tools: PostgresTools,
) -> None:
    """A restore over a living installation, under another name, or without its keys."""
    folder, manifest = made
    with pytest.raises(BadInputError, match="not empty") as refused:
        restore(lived_in, folder, manifest, tools=tools)
    assert refused.value.code == "restore_target_not_empty"
    new = house(s3_url)  # a new database, but the old store with newer objects in it
    with pytest.raises(BadInputError, match="ledger signing key"):
        restore(new, folder, manifest, tools=tools)
    shutil.copytree(lived_in.home / "secrets", new.home / "secrets")
    other = new.model_copy(update={"bucket_prefix": "other-"})
    with pytest.raises(BadInputError, match="CITYLEDGER_BUCKET_PREFIX"):
        restore(other, folder, manifest, tools=tools)
    store = ObjectStore.from_settings(lived_in)
    store.put_bytes(EVIDENCE, "not/in/the/backup", b"1")
    with pytest.raises(BadInputError, match="not in the backup"):
        restore(new, folder, manifest, tools=tools)


def test_keys_never_lie_in_a_backup(
    lived_in: Settings, made: tuple[BackupFolder, Manifest]
) -> None:
    """Whoever finds the backup disk must not be able to sign, or to undo pseudonyms."""
    folder, manifest = made
    key = (lived_in.home / "secrets" / "ledger.key").read_text().strip().split("+", 4)[4]
    assert lived_in.pseudonym_key is not None
    assert lived_in.s3_url is not None
    assert lived_in.database_url is not None
    password = lived_in.database_url.get_secret_value().split(":")[2].split("@")[0]
    for secret in (key, lived_in.pseudonym_key.get_secret_value(), password):
        for path in folder.path.rglob("*"):
            assert not path.is_file() or secret.encode() not in path.read_bytes(), path.name
    told = {one.name: one.fingerprint for one in manifest.secrets}
    assert told["ledger signing key"]
    assert told["pseudonym key"]


def test_a_moved_version_is_known_by_its_bytes_only(ready_settings: Settings) -> None:
    """A receipt's version id of another store must not lead to other bytes, whatever they claim."""
    store = ObjectStore.from_settings(ready_settings)
    true = store.put_bytes(LANDING, "a/b.csv", b"true")
    store.put_bytes(LANDING, "a/b.csv", b"lies")
    for foreign in ("0" * 32, "3/L4kqtJlcpXroDTDmJ+rmSpXd3dIbrHY+MTRCxf3vjVBH40Nr8X8gdRQBpUMLUo"):
        moved = true.model_copy(update={"version_id": foreign})
        with store.open(moved) as stream:
            assert stream.read() == b"true"
        lost = moved.model_copy(update={"sha256": "0" * 64})
        with pytest.raises(CityLedgerError) as missing, store.open(lost) as stream:
            stream.read()
        assert missing.value.code == "object_missing"


@pytest.mark.drill
def test_prune_keeps_what_others_need(
    lived_in: Settings, tools: PostgresTools, tmp_path: Path
) -> None:
    """Tidying that takes bytes away from the backups that stay."""
    folder, store = BackupFolder(tmp_path / "backups"), ObjectStore.from_settings(lived_in)
    store.put_bytes(LAKE, "main/y.parquet", b"only in the old one")
    old = create(lived_in, folder, tools=tools)
    store.put_bytes(LAKE, "main/y.parquet", b"only in the new one")
    time.sleep(1.01)  # a backup's id is its second
    new = create(lived_in, folder, tools=tools)
    folder.discard(old.id)
    assert folder.tidy()[0] >= 1
    assert folder.ids() == [new.id]
    assert check(folder, new, tools=tools, progress=None) == []
