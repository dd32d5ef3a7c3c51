"""Whether a delivery is gathered from its parts or read as a whole."""

from __future__ import annotations

from collections.abc import Sequence

from cityledger.lifecycle.amendments import Amendments
from cityledger.lifecycle.parts.plan import PartMark, PartShelf


def usable_marks(shelf: PartShelf, amendments: Amendments) -> tuple[list[PartMark], str]:
    """The marks of all parts, when the delivery can be gathered from them.

    Returns:
        The marks in file order, and an empty text; or none, and why the delivery is judged as a
        whole.
    """
    plan = shelf.plan()
    if plan.whole:
        return [], plan.whole
    if amendments.corrections:
        # Corrections replace text before it is typed; parts were typed from what was handed in.
        return [], "rows of it have been corrected"
    return _complete(shelf.marks(plan))


def _complete(marks: Sequence[PartMark | None]) -> tuple[list[PartMark], str]:
    done = [mark for mark in marks if mark is not None]
    if len(done) < len(marks):
        return [], f"{len(marks) - len(done)} of its parts are not parsed"
    unusable = next((mark for mark in done if mark.unusable), None)
    if unusable is not None:
        return [], f"part {unusable.part.number} cannot be read ({unusable.unusable})"
    return done, ""
