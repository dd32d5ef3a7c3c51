"""The log on real servers: what it takes in, what it finds when somebody tampers, its keys."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cityledger.errors import BadInputError, CityLedgerError
from cityledger.ledger.intake import Intake
from cityledger.ledger.log import Checkpoint, checkpoint, checkpoints
from cityledger.ledger.log.files import LogFiles
from cityledger.ledger.log.keyring import Keyring
from cityledger.ledger.log.merkle import verify_consistency, verify_inclusion
from cityledger.ledger.log.notes import Signer
from cityledger.ledger.log.proofs import Prover
from cityledger.ledger.log.tiles import tile_path
from cityledger.ledger.log.verify import Finding, verify
from cityledger.settings import Settings
from cityledger.storage.database import Database
from cityledger.storage.objects import EVIDENCE, ObjectStore
from cityledger.storage.tables import lineage_event
from sqlalchemy import insert, select, text

X = "raw = 'x', sha256 = encode(sha256('x'), 'hex')"
INSERT = "INSERT INTO cityledger.lineage_event (id, raw, sha256) OVERRIDING SYSTEM VALUE"


@pytest.fixture
def database(ready_settings: Settings) -> Iterator[Database]:
    made = Database.from_settings(ready_settings)
    yield made
    made.close()


def add(database: Database, *numbers: int) -> None:
    rows = [{"sha256": _sha256(raw(number)), "raw": raw(number)} for number in numbers]
    with database.begin() as connection:
        connection.execute(insert(lineage_event), rows)


def raw(number: int) -> bytes:
    return json.dumps({"eventType": "COMPLETE", "number": number}).encode()


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def tamper(database: Database, *statements: str) -> None:
    """What the owner of the tables can do: switch the triggers off."""
    with database.begin() as connection:
        tables = ("lineage_event", "log_checkpoint")
        for switch in ("DISABLE", "ENABLE"):
            for table in tables:
                connection.execute(text(f"ALTER TABLE cityledger.{table} {switch} TRIGGER ALL"))
            if switch == "DISABLE":
                for statement in statements:
                    connection.execute(text(statement))


def findings(settings: Settings) -> list[Finding]:
    return list(verify(settings).findings)


def kinds(settings: Settings) -> list[tuple[str, str]]:
    return [(one.kind, one.subject.partition(" (")[0]) for one in findings(settings)]


def overwrite(settings: Settings, path: str, change: Callable[[bytes], bytes]) -> None:
    """A new version above the locked one: all that WORM leaves to somebody with the keys."""
    store = ObjectStore.from_settings(settings)
    data = store.get_bytes(EVIDENCE, f"ledger/{path}")
    store.put_bytes(EVIDENCE, f"ledger/{path}", change(data))


def flip(data: bytes) -> bytes:
    return bytes([data[0] ^ 1]) + data[1:]


def test_log_grows_and_stays_consistent(ready_settings: Settings, database: Database) -> None:
    """Prevents a log that forgets, or whose proofs only work for its first tree."""
    made: list[Checkpoint] = []
    next_number = 0
    for more in (1, 254, 1, 1, 300):
        add(database, *range(next_number, next_number + more))
        next_number += more
        made.append(checkpoint(ready_settings))
    assert [one.tree_size for one in made] == [1, 255, 256, 257, 557]
    assert checkpoints(database) == made
    assert checkpoint(ready_settings) == made[-1]
    report = verify(ready_settings)
    assert (report.clean, report.events, report.pending) == (True, 557, 0)
    prover = Prover(ready_settings, database, ObjectStore.from_settings(ready_settings))
    for old in made[:-1]:
        hashes = [bytes.fromhex(one) for one in prover.consistency(old.tree_size, 557)]
        roots = bytes.fromhex(old.root), bytes.fromhex(made[-1].root)
        verify_consistency(old.tree_size, 557, *roots, hashes)
    with database.begin() as connection:
        ids = list(connection.scalars(select(lineage_event.c.id).order_by(lineage_event.c.id)))
    for index in (0, 255, 256, 556):
        proof = prover.inclusion(ids[index])
        assert proof.leaf_index == index
        hashes = [bytes.fromhex(one) for one in proof.hashes]
        leaf, root = bytes.fromhex(proof.leaf), bytes.fromhex(made[-1].root)
        verify_inclusion(index, 557, leaf, hashes, root)


def test_proof_of_what_is_not_there(ready_settings: Settings, database: Database) -> None:
    """Prevents a stack trace for an event that is unknown or too new."""
    prover = Prover(ready_settings, database, ObjectStore.from_settings(ready_settings))
    add(database, 1)
    with pytest.raises(BadInputError, match="no checkpoint"):
        prover.inclusion(1)
    checkpoint(ready_settings)
    add(database, 2)
    with pytest.raises(BadInputError, match="not in the tree"):
        prover.inclusion(2)
    with pytest.raises(BadInputError, match="no event 77"):
        prover.inclusion(77)
    with pytest.raises(BadInputError, match="1 events"):
        prover.consistency(1, 2)


def test_huge_event_keeps_its_bytes(ready_settings: Settings) -> None:
    """Prevents a leaf that cannot be read back because the format has 16 bits for its length."""
    intake = Intake(ready_settings)
    for size in (10, 70_000, 20):
        assert intake.accept(json.dumps({"eventType": "x" * size}).encode())
    checkpoint(ready_settings)
    assert verify(ready_settings).clean
    overwrite(ready_settings, "large/00000000000000000001", flip)
    assert [one.kind for one in findings(ready_settings)] == ["object_changed"]


def test_event_without_meaning_is_a_leaf_too(ready_settings: Settings) -> None:
    """Prevents loss of what could not be read: empty, binary, broken."""
    intake = Intake(ready_settings)
    for event in (b"", b"\xff\x00", b"{"):
        assert intake.accept(event)
    assert checkpoint(ready_settings).tree_size == 3
    assert verify(ready_settings).clean


@pytest.mark.parametrize(
    ("statements", "expected"),
    [
        (
            ["UPDATE cityledger.lineage_event SET raw = 'x' WHERE id = 5"],
            [("digest_changed", "event 5"), ("event_changed", "event 5")],
        ),
        (
            [f"UPDATE cityledger.lineage_event SET {X} WHERE id = 5"],
            [("event_changed", "event 5")],
        ),
        (["DELETE FROM cityledger.lineage_event WHERE id IN (3, 300)"],
         [("event_removed", "leaf 2"), ("event_removed", "leaf 299")]),
        (["DELETE FROM cityledger.lineage_event WHERE id = 300"], [("event_removed", "leaf 299")]),
        (
            [
                "DELETE FROM cityledger.lineage_event WHERE id = 9",
                f"{INSERT} VALUES (9, 'y', encode(sha256('y'), 'hex'))",
            ],
            [("event_changed", "event 9")],
        ),
        (
            [
                "DELETE FROM cityledger.lineage_event WHERE id = 9",
                f"{INSERT} VALUES (0, 'y', encode(sha256('y'), 'hex'))",
            ],
            [("event_inserted", "event 0"), ("event_removed", "leaf 8")],
        ),
        (
            ["UPDATE cityledger.lineage_event SET id = DEFAULT WHERE id = 300",
             "UPDATE cityledger.lineage_event SET id = DEFAULT WHERE id = 300"],
            [("event_removed", "leaf 299")],
        ),
    ],
)  # fmt: skip
def test_tampered_events_are_named(
    ready_settings: Settings,
    database: Database,
    statements: list[str],
    expected: list[tuple[str, str]],
) -> None:
    """Prevents a past that its owner can tidy up unseen."""
    add(database, *range(300))
    checkpoint(ready_settings)
    tamper(database, *statements)
    assert kinds(ready_settings) == expected


def test_reordered_events_are_named(ready_settings: Settings, database: Database) -> None:
    """Prevents a swap of two events from passing, or from being told as hundreds of changes."""
    add(database, *range(300))
    checkpoint(ready_settings)
    tamper(
        database,
        "CREATE TEMP TABLE other AS SELECT * FROM cityledger.lineage_event WHERE id IN (7, 200)",
        "DELETE FROM cityledger.lineage_event WHERE id IN (7, 200)",
        f"{INSERT} SELECT 207 - id, raw, sha256 FROM other",
    )
    found = findings(ready_settings)
    assert {one.kind for one in found} == {"event_reordered"}
    assert sorted(one.subject.split()[1] for one in found) == ["200", "7"]


def test_tampered_files_are_named(ready_settings: Settings, database: Database) -> None:
    """Prevents files of the log that differ from what was signed."""
    add(database, *range(600))
    checkpoint(ready_settings)
    files = LogFiles(ready_settings, ObjectStore.from_settings(ready_settings))
    paths = [*files.list("tile/"), *files.list("checkpoints/"), "checkpoint"]
    assert len(paths) == 9
    for path in paths:
        overwrite(ready_settings, path, flip)
        found = findings(ready_settings)
        wanted = "checkpoint" if path.startswith("checkpoint") else path
        assert found, path
        assert all(one.kind in {"object_changed", "checkpoint_rewritten", "checkpoint_untrusted"}
                   for one in found), found  # fmt: skip
        assert any(wanted in one.subject for one in found), (path, found)
        overwrite(ready_settings, path, flip)
        assert verify(ready_settings).clean


def test_rewritten_past_of_database_and_bucket_is_found(
    ready_settings: Settings, database: Database
) -> None:
    """Prevents a consistent forgery: even with all rows and files rewritten, old notes tell."""
    add(database, *range(10))
    first = checkpoint(ready_settings)
    add(database, *range(10, 20))
    checkpoint(ready_settings)
    forged = Signer.generate(first.note.split("\n")[0])
    tamper(
        database,
        f"UPDATE cityledger.lineage_event SET {X} WHERE id = 3",
        f"UPDATE cityledger.log_checkpoint SET note = '{forged.sign(first.note)}'"
        f" WHERE tree_size = {first.tree_size}",
    )
    found = kinds(ready_settings)
    assert ("event_changed", "event 3") in found
    assert ("checkpoint_rewritten", "checkpoint 10") in found


def test_deleted_checkpoint_is_found(ready_settings: Settings, database: Database) -> None:
    """Prevents forgetting that a tree was ever signed."""
    add(database, *range(3))
    checkpoint(ready_settings)
    add(database, 3)
    checkpoint(ready_settings)
    tamper(database, "DELETE FROM cityledger.log_checkpoint WHERE tree_size = 3")
    assert [one.kind for one in findings(ready_settings)] == ["checkpoint_missing"]


def test_nothing_is_signed_on_a_damaged_log(ready_settings: Settings, database: Database) -> None:
    """Prevents a signature that would make a forgery official."""
    add(database, *range(3))
    checkpoint(ready_settings)
    overwrite(ready_settings, tile_path(0, 0, 3), flip)
    add(database, 3)
    with pytest.raises(CityLedgerError) as caught:
        checkpoint(ready_settings)
    assert caught.value.code == "log_inconsistent"


def test_late_event_with_a_small_id_is_waited_for(
    ready_settings: Settings, database: Database
) -> None:
    """Prevents an honest event from looking inserted because its transaction ended late."""
    add(database, 1)
    begun, finish = threading.Event(), threading.Event()

    def slow() -> None:
        with Database.from_settings(ready_settings).begin() as connection:
            row = {"sha256": _sha256(raw(2)), "raw": raw(2)}
            connection.execute(insert(lineage_event), row)
            begun.set()
            finish.wait(20)

    writer = threading.Thread(target=slow)
    writer.start()
    assert begun.wait(20)
    add(database, 3)
    threading.Timer(0.5, finish.set).start()
    assert checkpoint(ready_settings).tree_size == 3
    writer.join()
    assert verify(ready_settings).clean


def test_two_checkpointers_at_once(ready_settings: Settings, database: Database) -> None:
    """Prevents two trees of one size: publication and DAG may come together."""
    add(database, *range(50))
    made: list[Checkpoint] = []
    workers = [
        threading.Thread(target=lambda: made.append(checkpoint(ready_settings))) for _ in range(4)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(made) == 4
    assert len({one.note for one in made}) == 1


def keyring(settings: Settings, database: Database) -> Keyring:
    return Keyring(settings, database, LogFiles(settings, ObjectStore.from_settings(settings)))


def test_lost_key_is_replaced(ready_settings: Settings, database: Database) -> None:
    """Prevents a log that stands still, or whose past is void, after a disk died."""
    add(database, 1)
    checkpoint(ready_settings)
    ring = keyring(ready_settings, database)
    assert ring.path.stat().st_mode & 0o777 == 0o600
    ring.path.unlink()
    with pytest.raises(CityLedgerError) as caught:
        checkpoint(ready_settings)
    assert caught.value.code == "signing_key_missing"
    new = ring.rotate("the disk died", "steward")
    again = checkpoint(ready_settings)
    assert (again.tree_size, again.key_id) == (1, new.key_id)
    add(database, 2)
    checkpoint(ready_settings)
    report = verify(ready_settings)
    assert (report.clean, report.checkpoints) == (True, 3)


def test_stolen_key_is_revoked(ready_settings: Settings, database: Database) -> None:
    """Prevents a thief's checkpoints from counting, and honest ones from being lost with them."""
    add(database, 1)
    honest = checkpoint(ready_settings)
    ring = keyring(ready_settings, database)
    ring.revoke(honest.key_id, "stolen laptop", 1, "steward")
    with pytest.raises(CityLedgerError) as caught:
        checkpoint(ready_settings)
    assert caught.value.code == "signing_key_revoked"
    thief = Signer.parse(ring.path.read_text())
    ring.rotate("the former one was stolen", "steward")
    add(database, 2)
    checkpoint(ready_settings)
    assert verify(ready_settings).clean
    note = thief.sign(honest.note.split("\n\n")[0].replace("\n1\n", "\n7\n") + "\n")
    files = LogFiles(ready_settings, ObjectStore.from_settings(ready_settings))
    files.add(f"checkpoints/{7:020d}-{honest.key_id}", note.encode())
    found = {one.kind: one.what for one in findings(ready_settings)}
    assert "stolen laptop" in found["checkpoint_untrusted"]


def test_key_of_another_log_is_refused(
    ready_settings: Settings, database: Database, tmp_path: Path
) -> None:
    """Prevents two installations that sign with one key under two names."""
    add(database, 1)
    ring = keyring(ready_settings, database)
    ring.path.parent.mkdir(parents=True)
    ring.path.write_text(Signer.generate("elsewhere/ledger").secret())
    with pytest.raises(BadInputError) as caught:
        checkpoint(ready_settings)
    assert caught.value.code == "signing_key_of_another_log"


def test_wrong_cached_tile_does_not_spoil_proofs(
    ready_settings: Settings, database: Database
) -> None:
    """Prevents a damaged disk cache from making an honest log look forged."""
    add(database, *range(300))
    made = checkpoint(ready_settings)
    store = ObjectStore.from_settings(ready_settings)
    first = Prover(ready_settings, database, store).inclusion(5)
    for path in (ready_settings.home / "cache" / "ledger").rglob("*"):
        if path.is_file():
            path.write_bytes(flip(path.read_bytes()))
    again = Prover(ready_settings, database, store).inclusion(5)
    assert again == first
    overwrite(ready_settings, tile_path(0, 0), lambda data: flip(data[:64]) + flip(data[64:]))
    for path in (ready_settings.home / "cache" / "ledger").rglob("*"):
        if path.is_file():
            path.unlink()
    with pytest.raises(CityLedgerError) as caught:
        Prover(ready_settings, database, store).inclusion(5, made)
    assert caught.value.code == "log_inconsistent"


def test_append_only_role_can_add_but_not_change(
    ready_settings: Settings, database: Database
) -> None:
    """Prevents a service account that could switch off what protects the ledger."""
    with database.begin() as connection:
        connection.execute(text("SET LOCAL ROLE cityledger_append"))
        row = {"sha256": _sha256(raw(1)), "raw": raw(1)}
        connection.execute(insert(lineage_event), row)
    for statement in (
        "UPDATE cityledger.lineage_event SET raw = 'x'",
        "DELETE FROM cityledger.lineage_event",
        "ALTER TABLE cityledger.lineage_event DISABLE TRIGGER ALL",
    ):
        with pytest.raises(CityLedgerError) as caught:
            _as_role(database, statement)
        assert caught.value.code == "database_refused"
        cause = str(caught.value.__cause__)
        assert "permission denied" in cause or "must be owner" in cause


def _as_role(database: Database, statement: str) -> None:
    with database.begin() as connection:
        connection.execute(text("SET LOCAL ROLE cityledger_append"))
        connection.execute(text(statement))
