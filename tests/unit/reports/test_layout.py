"""The department's report says what was found, in both languages, and carries nothing harmful."""

from __future__ import annotations

import io
from datetime import UTC, date, datetime

import pytest
from cityledger.contracts.model import Scope, Severity
from cityledger.contracts.scoring import ScoringConfig
from cityledger.ledger.quality_records import DatasetStanding, DeliveryCounts, Scores
from cityledger.orders.records import Order, OrderState
from cityledger.records import RuleResult, RuleStatus
from cityledger.reports import DepartmentReport, department_pdf, department_workbook
from cityledger.reports.layout import Layout, share
from cityledger.reports.records import DatasetMonth, Figure, Problem
from cityledger.reports.words import WORDS
from openpyxl import load_workbook

from quality_checks.scoring import ScoreCard, score

HOSTILE = '=HYPERLINK("http://x","*#panic(1)* $x$ \\u{41}")'


def card(failed: int) -> ScoreCard:
    result = RuleResult(
        key="health.visits.age.between",
        rule="between",
        columns=("age",),
        scope=Scope.ROW,
        severity=Severity.BLOCK,
        gb_code="0302",
        dimension="accuracy",
        evaluated=1000,
        failed=failed,
        status=RuleStatus.WARNING,
    )
    return score([result], ScoringConfig())


def dataset(title: str, total: float | None, grade: str | None) -> DatasetMonth:
    standing = DatasetStanding(
        dataset="health.visits",
        department="health",
        title=title,
        scores=Scores(total=total, grade=grade),
        deliveries=DeliveryCounts(on_time=29, late=1, missing=1),
    )
    return DatasetMonth(
        standing=standing, runs=30, extracted=1010, rejected=10, parsed=1000, quarantined=7
    )


@pytest.fixture
def report() -> DepartmentReport:
    order = Order(
        number="ZG-20260320-0274",
        dataset="health.visits",
        department="health",
        partition="2026-03-19",
        title="门诊",
        delivery="d" * 16,
        state=OrderState.OPEN,
        opened_on=date(2026, 3, 20),
        due_on=date(2026, 3, 27),
        escalate_on=date(2026, 4, 3),
        reasons=("quarantined 6.2 %",),
        contact="x",
        steward="s",
        escalate_to="",
        version=1,
        changed_by="cityledger",
        changed_at=datetime(2026, 3, 20, tzinfo=UTC),
    )
    problem = Problem(
        dataset="health.visits",
        title="门诊",
        key="health.visits.age.between",
        severity=Severity.BLOCK,
        zh="“年龄”应在 0 至 120 之间",
        en="“年龄” must lie between 0 and 120",
        evaluated=1000,
        failed=1,
    )
    figure = Figure(
        code="HLT-01",
        name="万人日均门诊量",
        name_en="Visits",
        period="2026-03",
        value="4.84",
        unit="人次",
        target=None,
        status="missed",
    )
    return DepartmentReport(
        city="云汐市",
        city_en="Yunxi",
        notice="虚构城市",
        department="health",
        name=HOSTILE,
        name_en="Health Commission",
        start=date(2026, 3, 1),
        end=date(2026, 3, 31),
        made_on=date(2026, 4, 1),
        card=card(10),
        before=card(100),
        deliveries=DeliveryCounts(on_time=29, late=1, missing=1),
        datasets=(dataset("门诊", 99.0, "A"), dataset(HOSTILE, 61.5, "D")),
        problems=(problem,) * 14,
        orders=(order,),
        figures=(figure,),
    )


def test_the_large_figures_are_those_of_the_month(report: DepartmentReport) -> None:
    """A deputy mayor reads four numbers; each must be the one that the tables below add up to."""
    figures = {one["label"]: one for one in Layout(report, "zh").figures()}
    assert (figures["综合得分"]["value"], figures["综合得分"]["note"]) == (
        "99.00",
        "优 · 较上月 +9.00",
    )
    assert figures["按时交付"]["value"] == "29 / 31"
    assert figures["隔离记录"]["value"] == "14"
    assert figures["隔离记录"]["note"] == "占解析记录的 0.70%"
    assert (figures["未办结整改单"]["value"], figures["未办结整改单"]["note"]) == (
        "1",
        "其中逾期 1",
    )
    assert figures["未办结整改单"]["alarming"]


def test_the_summary_names_the_weakest_dataset_and_the_worst_problem(
    report: DepartmentReport,
) -> None:
    """Whoever reads one paragraph only must learn what to do first."""
    english = Layout(report, "en").summary
    assert english.startswith(
        "29 of 31 deliveries came on time. The lowest score is that of =HYPER"
    )
    assert "“年龄” must lie between 0 and 120, 1 cases." in english
    assert english.endswith("1 orders are overdue.")


def test_a_dimension_that_nothing_assessed_has_no_score(report: DepartmentReport) -> None:
    """Shown as 100 or as 0, it would praise or blame what nobody has looked at."""
    dimensions = {one["name"]: one for one in Layout(report, "en").dimensions()}
    scores = [one["text"] for one in dimensions.values()]
    assert scores.count("—") == 5
    assert dimensions["accuracy"]["change"] == "+9.00 on last month"


def test_small_shares_are_never_shown_as_none_or_all() -> None:
    """One bad row in a million is not 0 %, and one good row is not 0 % good."""
    assert share(1, 1_000_000) == "0.01%"
    assert share(999_999, 1_000_000) == "99.99%"
    assert (share(0, 5), share(5, 5), share(0, 0)) == ("0.00%", "100.00%", "—")


@pytest.mark.parametrize("language", ["zh", "en"])
def test_paper_is_the_same_twice_and_hostile_names_are_only_text(
    report: DepartmentReport, language: str
) -> None:
    """A dataset's title that the layout program runs could read files into the report."""
    first = department_pdf(report, language)
    assert first.startswith(b"%PDF-")
    assert first == department_pdf(report, language)


@pytest.mark.parametrize("language", ["zh", "en"])
def test_the_workbook_has_every_problem_and_no_formula(
    report: DepartmentReport, language: str
) -> None:
    """A cell that starts with = runs on the machine of whoever opens the report."""
    book = load_workbook(io.BytesIO(department_workbook(report, language)))
    cells = [cell for sheet in book for row in sheet.iter_rows() for cell in row]
    assert {cell.data_type for cell in cells if cell.value is not None} == {"s"}
    assert any(cell.value == HOSTILE for cell in cells)
    assert book[WORDS[language]["problems"]].max_row == 1 + 14


def test_both_languages_say_the_same_things() -> None:
    """A word that one language lacks is an error on the day somebody asks for that language."""
    assert WORDS["zh"].keys() == WORDS["en"].keys()
