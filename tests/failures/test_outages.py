"""Services that go away in the middle of a run: it waits, tells, and continues by itself."""

from __future__ import annotations

import re
import time

import pytest

from tests.failures.town import Town, ended, left, undisturbed

# The client of the object store repeats a request by itself for about three seconds.
LONGER_THAN_RETRIES = 4.5


def judge(dataset: str, partition: str) -> tuple[str, ...]:
    return ("run", dataset, "-p", partition, "--to-stage", "release")


@pytest.mark.parametrize(
    ("part", "words", "dataset", "partition"),
    [
        # The first part of the good rows is on its way.
        ("s3", b"PUT /validated/", "gov_services.service_cases", "2026-03-31"),
        # The objects lie in the bucket, the receipt does not.
        pytest.param(
            *("s3", b"PUT /landing/_receipts/", "hotline.tickets", "2026-03-31"),
            marks=pytest.mark.failures,
        ),
        # Judged and stored, but not yet in the journal.
        (
            "postgres",
            b"INSERT INTO cityledger.validation",
            "health.outpatient_visits",
            "2026-03-31",
        ),
    ],
    ids=["store-while-judging", "store-while-landing", "database-before-the-commit"],
)
def test_a_run_waits_for_a_service_and_continues(
    town: Town, part: str, words: bytes, dataset: str, partition: str
) -> None:
    """A service that is away for a while must cost time, no rows, and no person's attention."""
    one = getattr(town, part)
    fallen = one.fall_at(words)
    process = town.begin(*judge(dataset, partition))
    assert fallen.wait(60), ended(process, killed=True)
    time.sleep(LONGER_THAN_RETRIES if part == "s3" else 0.5)
    one.come_back()
    ran = ended(process)
    assert (ran.code, "Traceback" in ran.err) == (0, False), ran.err
    assert len(re.findall(r"does not answer .*; waiting, at most \d+ s more", ran.err)) == 1
    assert "trying again after" in ran.err
    found = left(town, dataset, partition)
    assert (found.deliveries, found.validations, found.releases) == (1, 1, 1)
    assert set(found.versions) == {1}
    assert found.validated == undisturbed(town, dataset, partition)
