"""A report in words: the same texts go onto paper and into the workbook."""

from __future__ import annotations

from typing import Any

from cityledger.orders.records import Order
from cityledger.reports.records import DatasetMonth, DepartmentReport, Figure, Problem
from cityledger.reports.words import INDICATOR_STATUS, ORDER_STATE, SEVERITY, WORDS

NOTHING = "—"
# Names of the columns of each table, in :data:`WORDS`.
DATASET_HEAD = ("dataset", "score", "grade", "on_time", "parsed", "quarantined", "rejected")
PROBLEM_HEAD = ("dataset", "problem", "severity", "failed", "share")
ORDER_HEAD = ("number", "reason", "state", "opened", "due")
FIGURE_HEAD = ("code", "indicator", "period", "value", "target", "status")
_ALARMING = 80.0  # below the second best grade of the shipped convention


class Layout:
    """A report's texts in one language.

    Args:
        report: What to say.
        language: ``zh`` or ``en``.
    """

    def __init__(self, report: DepartmentReport, language: str) -> None:
        self.report, self.language = report, language
        self.words = WORDS[language]

    @property
    def title(self) -> str:
        """What stands on top."""
        month = self._say("month", year=self.report.start.year, month=self.report.start.month)
        name = self._of(self.report.name, self.report.name_en)
        return self._say("title", name=name, month=month)

    @property
    def subtitle(self) -> str:
        """City, span and day of making."""
        report = self.report
        city = self._of(report.city, report.city_en)
        days = {"start": report.start, "end": report.end, "made_on": report.made_on}
        return self._say("subtitle", city=city, **days)

    @property
    def footer(self) -> str:
        """What stands at the foot of each page."""
        return self._say("footer", notice=self.report.notice).rstrip(" ·")

    @property
    def formula(self) -> str:
        """How the total came about, and where its weights come from."""
        card = self.report.card
        return f"{self._of(card.formula, card.formula_en)}\n{self.words['weights']}"

    @property
    def summary(self) -> str:
        """The month in a few sentences."""
        parts = [self._deliveries(), self._lowest(), self._worst(), self._overdue()]
        said = [part for part in parts if part]
        return ("" if self.language == "zh" else " ").join(said) or self.words["summary_none"]

    def figures(self) -> list[dict[str, Any]]:
        """The four large figures: label, value, note, alarming."""
        counts, card = self.report.deliveries, self.report.card
        quarantined = sum(one.quarantined for one in self.report.datasets)
        parsed = sum(one.parsed for one in self.report.datasets)
        overdue = self._overdue_orders()
        unfinished = [order for order in self.report.orders if not order.final]
        delivery_note = {"late": counts.late, "missing": counts.missing, "held": counts.held}
        grade = self._of(card.grade_name or "", card.grade_name_en or "")
        change = self.change(card.total, self.report.before.total) or self.words["first"]
        return [
            self._figure(
                "total", score(card.total), f"{grade} · {change}".strip(" ·"), _low(card.total)
            ),
            self._figure(
                "deliveries",
                f"{counts.on_time} / {counts.expected}",
                self._say("delivery_note", **delivery_note),
                counts.on_time < counts.expected,
            ),
            self._figure(
                "quarantine",
                f"{quarantined:,}",
                self._say("quarantine_note", share=share(quarantined, parsed)),
                False,
            ),
            self._figure(
                "orders_open",
                f"{len(unfinished):,}",
                self._say("orders_note", overdue=overdue),
                overdue > 0,
            ),
        ]

    def dimensions(self) -> list[dict[str, Any]]:
        """Name, score (None when not assessed), its text, the change, alarming."""
        before = self.report.before
        return [
            {
                "name": self._of(one.name, one.name_en),
                "score": one.score,
                "text": score(one.score),
                "change": self.change(one.score, before.dimension(one.code).score),
                "alarming": _low(one.score),
            }
            for one in self.report.card.dimensions
        ]

    def change(self, now: float | None, before: float | None) -> str:
        """The difference to the month before; empty when there is none to tell."""
        if now is None or before is None:
            return ""
        return self._say("change", change=f"{now - before:+.2f}")

    def dataset_row(self, one: DatasetMonth) -> list[str]:
        """Dataset, score, grade, deliveries, parsed, quarantined, rejected."""
        standing = one.standing
        grade = standing.scores.grade or NOTHING
        delivered = f"{standing.deliveries.on_time} / {standing.deliveries.expected}"
        counts = [f"{n:,}" if one.runs else NOTHING for n in (one.parsed, one.quarantined)]
        rejected = f"{one.rejected:,}" if one.runs else NOTHING
        return [standing.title, score(standing.scores.total), grade, delivered, *counts, rejected]

    def problem_row(self, one: Problem) -> list[str]:
        """Dataset, problem, severity, cases, share."""
        severity = SEVERITY[one.severity][self.language]
        cases = f"{one.failed:,}"
        return [
            one.title,
            self._of(one.zh, one.en),
            severity,
            cases,
            share(one.failed, one.evaluated),
        ]

    def order_row(self, order: Order) -> list[str]:
        """Number, reason, state, opened, due."""
        state = ORDER_STATE[order.state][self.language]
        reason = f"{order.title} {order.partition}: {'; '.join(order.reasons)}"
        return [order.number, reason, state, f"{order.opened_on}", f"{order.due_on}"]

    def figure_row(self, one: Figure) -> list[str]:
        """Code, indicator, period, value, target, status."""
        value = f"{one.value} {one.unit}" if one.value is not None else NOTHING
        status = INDICATOR_STATUS[one.status][self.language]
        name = self._of(one.name, one.name_en)
        return [one.code, name, one.period, value, one.target or NOTHING, status]

    def heads(self, *names: str) -> list[str]:
        """Headings of a table."""
        return [self.words[name] for name in names]

    def _deliveries(self) -> str:
        counts = self.report.deliveries
        if not counts.expected:
            return ""
        figures = {"expected": counts.expected, "on_time": counts.on_time}
        return self._say("summary_deliveries", **figures)

    def _lowest(self) -> str:
        scored = [one.standing for one in self.report.datasets if one.standing.scores.total]
        if len(scored) < 2:
            return ""
        lowest = min(scored, key=lambda one: one.scores.total or 0)
        return self._say("summary_lowest", title=lowest.title, score=score(lowest.scores.total))

    def _worst(self) -> str:
        if not self.report.problems:
            return ""
        worst = self.report.problems[0]
        text = self._of(worst.zh, worst.en)
        return self._say(
            "summary_problem", title=worst.title, problem=text, failed=f"{worst.failed:,}"
        )

    def _overdue(self) -> str:
        overdue = self._overdue_orders()
        return self._say("summary_orders", overdue=overdue) if overdue else ""

    def _overdue_orders(self) -> int:
        return sum(order.overdue(self.report.made_on) for order in self.report.orders)

    def _figure(self, label: str, value: str, note: str, alarming: bool) -> dict[str, Any]:
        return {"label": self.words[label], "value": value, "note": note, "alarming": alarming}

    def _of(self, zh: str, en: str) -> str:
        return (en if self.language == "en" else zh) or zh or en

    def _say(self, text: str, /, **values: Any) -> str:
        return self.words[text].format(**values)


def score(value: float | None) -> str:
    """Two digits, as it is computed; a dash when not assessed."""
    return NOTHING if value is None else f"{value:.2f}"


def share(part: int, whole: int) -> str:
    """In percent; never 0 % of something, never 100 % unless all."""
    if not whole:
        return NOTHING
    percent = 100 * part / whole
    if 0 < part < whole:
        percent = min(max(percent, 0.01), 99.99)
    return f"{percent:.2f}%"


def _low(value: float | None) -> bool:
    return value is not None and value < _ALARMING
