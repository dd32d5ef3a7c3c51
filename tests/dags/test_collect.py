"""When the scheduler may start standardising."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from cityledger.airflow import collect
from cityledger.airflow.collect import CollectReleases, QuietMoment

Answer = Callable[..., bool]


def satisfied(policy: QuietMoment) -> bool:
    return policy.is_satisfied_by_keys(matched={"2026-03-31"}, expected=frozenset()).satisfied


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch) -> Answer:
    def answer(*, building: bool = False, working: bool = False, waited: float = 0.0) -> bool:
        policy = QuietMoment("standardise", "dataset__", patience=120.0)
        monkeypatch.setattr(policy, "_consumer_unfinished", lambda: building)
        monkeypatch.setattr(policy, "_producers_working", lambda: working)
        monkeypatch.setattr(policy, "_waited", lambda: waited)
        return satisfied(policy)

    return answer


def test_starts_when_nothing_else_is_on_its_way(ask: Answer) -> None:
    """A release must not wait for nothing."""
    assert ask()


def test_waits_for_the_build_that_runs(ask: Answer) -> None:
    """Queued builds pile up otherwise, each with a process of its own and nothing to do."""
    assert not ask(building=True)
    assert not ask(building=True, waited=10_000.0)


def test_waits_for_datasets_on_their_way_but_not_for_ever(ask: Answer) -> None:
    """Nine datasets of one morning are one build; a slow one must not hold up eight."""
    assert not ask(working=True, waited=119.0)
    assert ask(working=True, waited=121.0)


def test_starts_when_it_cannot_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error taken for "not yet" would forget releases; a needless run only ends as skipped."""
    policy = QuietMoment("standardise", "dataset__", patience=120.0)

    def fail() -> bool:
        raise RuntimeError("database away")

    monkeypatch.setattr(policy, "_consumer_unfinished", fail)
    assert satisfied(policy)


def test_the_database_is_asked_once_for_all_assets_of_a_loop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The scheduler asks for each of 1,000 assets in every loop."""
    policy, asked = QuietMoment("standardise", "dataset__", patience=120.0), []
    monkeypatch.setattr(policy, "_is_quiet", lambda: bool(asked.append(1)))
    assert [satisfied(policy) for _ in range(1000)].count(True) == 0
    assert len(asked) < 10
    monkeypatch.setattr(collect, "_REUSE_SECONDS", -1.0)
    asked.clear()
    satisfied(policy)
    assert asked


def test_all_partitions_become_one_run() -> None:
    """Days, months and years go into the same tables."""
    mapper = CollectReleases(key="released", consumer="c", producers="p", patience=1.0)
    assert mapper.to_downstream("2026-03-31") == mapper.to_downstream("2026-Q1") == "released"
    assert mapper.to_upstream("released") == frozenset()
    assert CollectReleases.deserialize(mapper.serialize()).serialize() == mapper.serialize()
