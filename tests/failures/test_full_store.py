"""The disk that fills up is the object store's: the run says so, waits, and goes on with room."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from cityledger.errors import Exit

from tests.failures.disks import fill, small_disk
from tests.failures.town import DATASET, JUDGED, PARTITION, RUN, Town, ended, left, undisturbed

pytestmark = [
    pytest.mark.failures,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small disk for the store"),
]

OTHER = ("run", "hotline.tickets", "-p", "2026-03-31", "--to-stage", "release")
#: What SeaweedFS takes at most to see that there is room again; it looks once a minute.
SEES_ROOM = "150"


@pytest.fixture
def disk() -> Iterator[Path]:
    """A disk with room for a few deliveries."""
    folder = Path(tempfile.mkdtemp(prefix="cityledger-full-"))
    folder.chmod(0o711)
    try:
        with small_disk(folder / "disk", "300m"):
            yield folder / "disk"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def full(disk: Path, extracts: Path) -> Iterator[Town]:
    """A town whose store keeps its data on that disk."""
    town = Town(disk.parent / "town", disks={"s3": disk})
    town.environment["CITYLEDGER_DROP_DIR"] = str(extracts)
    try:
        town.start()
        town.prepare()
        yield town
    finally:
        town.stop()


def landed_once(town: Town) -> None:
    """The delivery is there once, and judged as if nothing had happened."""
    found = left(town, DATASET, PARTITION)
    assert (found.deliveries, found.validations, set(found.versions)) == (1, 1, {1})
    assert found.validated == undisturbed(town, DATASET, PARTITION)


def test_a_full_store_is_told_as_such_and_keeps_what_it_had(full: Town, disk: Path) -> None:
    """An operator who reads of an internal error looks for it in the program, not on the disk."""
    assert full.run(*OTHER).code == 0
    before = left(full, OTHER[1], OTHER[3])
    ballast = fill(disk)
    failed = full.run(*JUDGED, CITYLEDGER_PATIENCE_SECONDS="2")
    assert (failed.code, failed.error["code"]) == (Exit.UNAVAILABLE, "s3_full"), failed.err
    assert "disk is full" in failed.error["what"]
    assert "free space on the disk of the object store" in failed.error["fix"]
    assert "run again" in failed.error["fix"]
    ballast.unlink()
    cured = ended(full.begin(*JUDGED, CITYLEDGER_PATIENCE_SECONDS=SEES_ROOM), seconds=300)
    assert cured.code == 0, cured.err
    landed_once(full)
    assert left(full, OTHER[1], OTHER[3]) == before


def test_a_run_waits_for_room_in_the_store_and_goes_on_by_itself(full: Town, disk: Path) -> None:
    """A new store has nothing to write into, holds requests, and a run must not hang with them."""
    ballast = fill(disk)
    process = full.begin(*JUDGED, CITYLEDGER_PATIENCE_SECONDS=SEES_ROOM)
    told = until_told(process)
    ballast.unlink()
    ran = ended(process, seconds=240)
    assert ran.code == 0, told + ran.err
    assert len(re.findall("disk is full", told)) == 1
    assert "Traceback" not in told + ran.err
    landed_once(full)


def test_a_build_into_a_full_store_and_its_death_there_lose_nothing(full: Town, disk: Path) -> None:
    """A build writes past our client; a server that dies without room must keep what it had."""
    assert full.run(*JUDGED).code == 0
    ballast = fill(disk)
    failed = ended(full.begin(*RUN, CITYLEDGER_PATIENCE_SECONDS="2"), seconds=400)
    assert (failed.code, failed.error["code"]) == (Exit.UNAVAILABLE, "s3_full"), failed.err
    full.s3.kill()
    ballast.unlink()
    full.s3.start()
    cured = ended(full.begin(*RUN, CITYLEDGER_PATIENCE_SECONDS=SEES_ROOM), seconds=300)
    assert cured.code == 0, cured.err
    assert left(full, DATASET, PARTITION).published
    landed_once(full)


def until_told(process: subprocess.Popen[str]) -> str:
    """What a run says until it waits."""
    assert process.stderr is not None
    lines = []
    for line in process.stderr:
        lines.append(line)
        if "waiting, at most" in line:
            break
    return "".join(lines)
