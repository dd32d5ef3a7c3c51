"""Texts for the enumerations of the house; templates show them by ``_(words.…[value])``."""

from __future__ import annotations

from cityledger.console.i18n import mark

#: Role → text.
ROLE = {
    "engineer": mark("engineer"),
    "steward": mark("steward"),
    "auditor": mark("auditor"),
    "department": mark("department"),
    "public": mark("public"),
}

#: Stage → text.
STAGE = {
    "extract": mark("extract"),
    "land": mark("land"),
    "parse": mark("parse"),
    "validate": mark("validate"),
    "release": mark("release"),
    "standardise": mark("standardise"),
    "publish": mark("publish"),
}

#: Indicator status → text, and the style of its badge.
INDICATOR = {
    "met": mark("target met"),
    "at_risk": mark("at risk"),
    "missed": mark("target missed"),
    "not_applicable": mark("no target"),
    "not_yet_due": mark("not yet due"),
    "insufficient_data": mark("insufficient data"),
}

#: Status of a rule's result → text.
RULE = {
    "passed": mark("passed"),
    "warning": mark("warning"),
    "failed": mark("failed"),
    "error": mark("could not be checked"),
}

#: State of a delivery → text.
DELIVERY = {
    "on_time": mark("on time"),
    "late": mark("late"),
    "missing": mark("missing"),
    "not_due": mark("not yet due"),
    "held": mark("held"),
}

#: Status of a stage's attempt → text.
OUTCOME = {
    "success": mark("done"),
    "skipped": mark("was done already"),
    "partial": mark("one step of it done"),
    "held": mark("held"),
    "failure": mark("failed"),
}

#: Classification of a column → text.
CLASSIFICATION = {
    "public": mark("public data"),
    "internal": mark("internal"),
    "personal": mark("personal"),
    "sensitive": mark("sensitive personal"),
}

#: Logical type of a column → text.
TYPE = {
    "string": mark("text"),
    "integer": mark("whole number"),
    "number": mark("number"),
    "boolean": mark("yes or no"),
    "date": mark("date"),
    "timestamp": mark("date and time"),
    "time": mark("time"),
}

#: Grain of a partition → text.
GRAIN = {
    "day": mark("daily"),
    "month": mark("monthly"),
    "quarter": mark("quarterly"),
    "year": mark("yearly"),
}

#: Verdict on a delivery itself → text.
FACT = {
    "readable": mark("The records could be read"),
    "complete": mark("As many rows came as were declared"),
    "on_time": mark("The delivery came when it was due"),
}

#: Severity of a rule → text.
SEVERITY = {
    "block": mark("blocks the row"),
    "warn": mark("warns"),
    "info": mark("tells"),
}

#: Any status → tone of its badge. The glyph in the badge says the same as the colour.
TONE = {
    "verified": "good",
    "closed": "good",
    "in_force": "good",
    "open": "bad",
    "acknowledged": "warn",
    "resubmitted": "warn",
    "met": "good",
    "passed": "good",
    "success": "good",
    "skipped": "good",
    "partial": "good",
    "released": "good",
    "A": "good",
    "B": "good",
    "C": "warn",
    "D": "warn",
    "E": "bad",
    "on_time": "good",
    "at_risk": "warn",
    "warning": "warn",
    "held": "warn",
    "late": "warn",
    "missed": "bad",
    "failed": "bad",
    "failure": "bad",
    "missing": "bad",
    "error": "bad",
}

#: How a decision came about → text.
CHANNEL = {
    "console": mark("on this console"),
    "airflow": mark("in Airflow"),
    "cli": mark("on the command line"),
    "timeout": mark("nobody decided in time"),
}
