"""The whole way through outages, five minutes without a store, disks of servers that fill up."""

from __future__ import annotations

import re
import secrets
import time
from pathlib import Path

import pytest
from cityledger.errors import Exit
from cityledger.runner import Runner
from cityledger_stack.postgres import Postgres

from tests.failures.disks import fill, small_disk
from tests.failures.town import DATASET, JUDGED, PARTITION, RUN, Town, ended, left, undisturbed

pytestmark = [pytest.mark.failures, pytest.mark.timeout(1500)]

PLACE = (DATASET, PARTITION)


def published_undisturbed(town: Town) -> str:
    """The digest of the indicators when nothing interferes: in another database, other buckets."""
    name, server = f"undisturbed_{secrets.token_hex(4)}", town.postgres.server
    assert isinstance(server, Postgres)
    with server.connect() as session:
        session.execute(f"CREATE DATABASE {name}")
    runner = Runner(
        town.settings(
            CITYLEDGER_DATABASE_URL=town.database_url(name),
            CITYLEDGER_BUCKET_PREFIX="undisturbed-",
            CITYLEDGER_HOME=str(town.place / "undisturbed"),
        )
    )
    runner.database.migrate()
    runner.store.ensure_buckets()
    runner.extract_land(*PLACE)
    runner.parse_validate(*PLACE)
    runner.release(*PLACE)
    runner.standardise()
    publication = runner.publish()
    runner.database.close()
    assert publication is not None
    return publication.content_sha256


def test_the_whole_way_through_an_outage_at_every_stage(town: Town) -> None:
    """One command; store and database fall in turn, at the worst moments of dbt and publishing."""
    process = town.begin(*RUN, CITYLEDGER_PATIENCE_SECONDS="120")
    for part, words in (
        (town.s3, b"PUT /landing/"),
        (town.postgres, b"INSERT INTO cityledger.release"),
        (town.s3, b"PUT /lake/"),
        (town.postgres, b"ducklake_snapshot_changes"),
        (town.s3, b"PUT /published/"),
        (town.postgres, b"INSERT INTO cityledger.publication"),
    ):
        fallen = part.fall_at(words)
        assert fallen.wait(300), (words, ended(process, killed=True))
        time.sleep(4.5)
        part.come_back()
    ran = ended(process, seconds=600)
    assert ran.code == 0, ran.err
    assert "Traceback" not in ran.err
    found = left(town, *PLACE)
    assert (found.deliveries, found.validations, found.releases) == (1, 1, 1)
    assert set(found.versions) == {1}
    assert found.published == ran.report["publish"]["content_sha256"]
    assert found.published == published_undisturbed(town)
    verified = town.run("ledger", "verify")
    assert verified.code == 0, verified.out + verified.err


def test_five_minutes_without_a_store(town: Town) -> None:
    """The wait by default is longer; it tells about itself, and does not storm the store."""
    place = ("health.outpatient_visits", "2026-03-31")
    fallen = town.s3.fall_at(b"PUT /validated/")
    process = town.begin(
        *("run", place[0], "-p", place[1], "--to-stage", "release"),
        CITYLEDGER_PATIENCE_SECONDS="420",
    )
    assert fallen.wait(120), ended(process, killed=True)
    before = town.s3.gate.connections
    time.sleep(300)
    attempts = town.s3.gate.connections - before
    town.s3.come_back()
    ran = ended(process, seconds=300)
    assert ran.code == 0, ran.err
    assert 3 <= len(re.findall(r"waiting, at most \d+ s more", ran.err)) <= 12
    assert attempts <= 5 * 300 / 15 + 40  # five requests to one attempt
    found = left(town, *place)
    assert (found.deliveries, found.validations, set(found.versions)) == (1, 1, {1})
    assert found.validated == undisturbed(town, *place)


def test_an_outage_beyond_patience_fails_once_and_the_next_run_continues(town: Town) -> None:
    """A run that hangs for ever keeps its worker; one that fails must say how to go on."""
    place = ("hotline.satisfaction", "2026-03-31")
    words = ("run", place[0], "-p", place[1], "--to-stage", "release")
    fallen = town.s3.fall_at(b"PUT /validated/")
    process = town.begin(*words, CITYLEDGER_PATIENCE_SECONDS="3")
    assert fallen.wait(120), ended(process, killed=True)
    failed = ended(process, seconds=300)
    assert (failed.code, failed.error["code"]) == (Exit.UNAVAILABLE, "s3_unavailable")
    assert "3 s long" in failed.error["what"]
    assert "run again" in failed.error["fix"]
    town.s3.come_back()
    assert town.run(*words).code == 0
    found = left(town, *place)
    assert (found.deliveries, found.validations, set(found.versions)) == (1, 1, {1})
    assert found.validated == undisturbed(town, *place)


def test_a_full_disk_of_the_database(server_dir: Path, extracts: Path) -> None:
    """The disk that fills up is the servers' one, and that is where the city's evidence lies."""
    disk = server_dir / "disk-of-postgres"
    with small_disk(disk, "400m"):
        town = Town(server_dir / "full-postgres", patience=4, disks={"postgres": disk})
        town.environment["CITYLEDGER_DROP_DIR"] = str(extracts)
        try:
            town.start()
            town.prepare()
            ballast = fill(disk)
            failed = ended(town.begin(*JUDGED), seconds=400)
            assert failed.code == Exit.UNAVAILABLE, failed.err
            assert failed.error["code"] in {"database_full", "database_unavailable"}
            ballast.unlink()
            one = town.postgres
            if one.child is None or not one.child.running():
                one.come_back()
            cured = town.run(*JUDGED, CITYLEDGER_PATIENCE_SECONDS="120")
            assert cured.code == 0, cured.err
            found = left(town, *PLACE)
            assert (found.deliveries, found.validations, set(found.versions)) == (1, 1, {1})
            assert found.validated == undisturbed(town, *PLACE)
        finally:
            town.stop()
