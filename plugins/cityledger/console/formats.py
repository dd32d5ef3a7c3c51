"""How numbers, times and names look; the filters of all templates."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal, InvalidOperation

NOTHING = "—"


def number(value: float | Decimal | str | None, digits: int = 0) -> str:
    """A figure with thousands separators; a dash for what is not known."""
    if value is None or value == "":
        return NOTHING
    try:
        exact = Decimal(str(value))
    except InvalidOperation:
        return str(value)
    return f"{exact:,.{digits}f}" if exact.is_finite() else NOTHING


def figure(value: Decimal | float | str | None) -> str:
    """A figure as it was published, without zeros that say nothing."""
    if value is None or value == "":
        return NOTHING
    try:
        exact = Decimal(str(value))
    except InvalidOperation:
        return str(value)
    if not exact.is_finite():
        return NOTHING
    text = f"{exact:,f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def brief(value: Decimal | float | str | None) -> str:
    """A figure with at most two decimals, for lists; its own page has all of them."""
    if value is None or value == "":
        return NOTHING
    try:
        return figure(round(Decimal(str(value)), 2))
    except InvalidOperation:
        return str(value)


def percent(part: float | None, whole: float | None = 100, digits: int = 1) -> str:
    """``part`` of ``whole`` in percent; never 100 % unless it is all, never 0 % unless none."""
    if part is None or not whole:
        return NOTHING
    share = 100 * part / whole
    bound = 10**-digits
    if share not in (0, 100):
        share = min(max(share, bound), 100 - bound)
    return f"{share:.{digits}f}%"


def score(value: float | None) -> str:
    """A score of 0-100 with one decimal, cut and not rounded: 99.96 is not 100."""
    return NOTHING if value is None else f"{int(value * 10 + 1e-6) / 10:.1f}"


def day(value: date | datetime | None) -> str:
    """``2026-03-31``."""
    return NOTHING if value is None else value.strftime("%Y-%m-%d")


def moment(value: datetime | None) -> str:
    """``2026-03-31 08:15`` in the server's time zone."""
    return NOTHING if value is None else value.astimezone().strftime("%Y-%m-%d %H:%M")


def size(value: int | None) -> str:
    """A size in bytes as people read it."""
    if value is None:
        return NOTHING
    amount = float(value)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < 1024:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} TiB"


FILTERS = {
    "number": number,
    "figure": figure,
    "brief": brief,
    "percent": percent,
    "score": score,
    "day": day,
    "moment": moment,
    "size": size,
}
