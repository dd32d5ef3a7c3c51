"""The page that ``make bench`` writes hides nothing."""

from __future__ import annotations

from typing import Any

from tests.benchmarks.performance import NAMES, Outcome, page, summary

MACHINE = {"machine": "a test"}


def turn(hand: float, dbt: float) -> dict[str, Any]:
    """One turn of the benchmark of dbt, in seconds."""
    return {
        "hand": {"seconds": hand, "cpu": hand, "models": hand},
        "ours": {
            "dbt": {"seconds": dbt, "cpu": dbt},
            "stage": {"seconds": dbt, "cpu": dbt},
            "nodes": {},
        },
    }


def dbt(*turns: tuple[float, float]) -> Outcome:
    """A benchmark of dbt that came to an end."""
    result = {"turns": [turn(*one) for one in turns]}
    return Outcome("dbt", "What dbt adds", 1.0, result, "its table")


def test_a_missed_limit_says_so() -> None:
    """A page that only lists figures leaves it to the reader to notice that one is too large."""
    kept, missed = dbt((10, 12), (10, 11)), dbt((10, 13), (10, 14), (10, 11))
    assert [one.kept for one in kept.figures()] == [True]
    assert [one.value for one in missed.figures()] == [1.3]
    assert "| 1.30 × | ≤ 1.25 × | **missed** |" in page([missed], MACHINE)
    assert "**missed**" not in page([kept], MACHINE)
    assert "**missed**" in summary([missed])


def test_a_failed_benchmark_has_its_line() -> None:
    """One that broke off would vanish, and with it the limit that it could not keep."""
    failed = Outcome("scale", "How time grows", 1.0, None, "half a table")
    text = page([failed, dbt((10, 11))], MACHINE)
    assert "| `scale` | did not come to an end | | | **failed** |" in text
    assert "half a table" in text
    assert "| `dbt` |" in text
    assert "FAILED" in summary([failed])


def test_every_benchmark_of_the_house_is_on_the_page() -> None:
    """A benchmark that nobody lists is run by nobody."""
    from cityledger.settings import PROJECT_DIR

    found = {path.stem for path in (PROJECT_DIR / "tests" / "benchmarks").glob("bench_*.py")}
    # It needs other people's tools, installed by `make bench-compare`, and writes its own page.
    assert found - {"bench_suites"} == {f"bench_{name}" for name in NAMES}
