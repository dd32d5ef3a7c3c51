"""The department's report from what the real servers hold."""

from __future__ import annotations

from pathlib import Path

import pytest
from cityledger.cli.main import app
from cityledger.demo.generate.generator import generate
from cityledger.errors import BadInputError
from cityledger.reports import gather
from cityledger.runner import Runner
from cityledger.settings import Settings
from typer.testing import CliRunner

DATASET, PARTITION = "health.outpatient_visits", "2026-03-31"


@pytest.fixture
def runner(ready_settings: Settings) -> Runner:
    generate(ready_settings.drop_dir, scale=0.02, seed=1)
    return Runner(ready_settings)


def test_a_month_is_what_its_newest_verdicts_add_up_to(runner: Runner, tmp_path: Path) -> None:
    """Counting a delivery that was judged twice would double a department's faults."""
    runner.extract_land(DATASET, PARTITION)
    judged = runner.parse_validate(DATASET, PARTITION)
    runner.parse_validate(DATASET, PARTITION)
    report = gather(runner.settings, "health", "2026-03")
    (visits,) = report.datasets
    counts = judged.accounting
    assert (visits.runs, visits.parsed, visits.quarantined) == (
        1,
        counts.parsed,
        counts.quarantined,
    )
    failed = {result.key: result.failed for result in judged.results if result.failed}
    assert {problem.key: problem.failed for problem in report.problems} == failed
    severities = [problem.severity == "block" for problem in report.problems]
    assert severities == sorted(severities, reverse=True)
    path = tmp_path / "report.pdf"
    written = CliRunner().invoke(app, ["report", "health", "-m", "2026-03", "-o", str(path)])
    assert written.exit_code == 0, written.output
    assert path.read_bytes().startswith(b"%PDF-")


def test_a_month_without_deliveries_is_said_and_not_scored(runner: Runner) -> None:
    """A month before the first delivery is nobody's fault, and nothing to be proud of."""
    runner.extract_land(DATASET, PARTITION)
    report = gather(runner.settings, "health", "2020-01")
    assert report.card.total is None
    assert report.problems == ()
    assert report.datasets[0].runs == 0


@pytest.mark.parametrize(
    ("department", "month", "text"),
    [("nobody", "2026-03", "nobody"), ("health", "2026-03-31", "no month"), ("health", "x", "x")],
)
def test_unknown_department_or_month_is_one_clear_error(
    runner: Runner, department: str, month: str, text: str
) -> None:
    """A report on nothing would be filed as a report."""
    with pytest.raises(BadInputError, match=text):
        gather(runner.settings, department, month)
