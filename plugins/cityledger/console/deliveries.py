"""A delivery as the address of a page, and what its page says when something cannot be done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import Depends, Form
from fastapi.responses import RedirectResponse

from cityledger.console.errors import ForbiddenError, MissingError
from cityledger.console.i18n import mark
from cityledger.console.view import CurrentView, View
from cityledger.errors import BadInputError, CityLedgerError, UnavailableError
from cityledger.people import Role
from cityledger.quarantine.access import require_handling
from cityledger.quarantine.batches import newest_validation
from cityledger.quarantine.corrections import UnfitFileError

#: The part of an address that names a delivery.
PLACE: Final = "/{dataset}/{partition}/{delivery}"
#: Most characters of a reason.
LONGEST: Final = 500
Sentence = Annotated[str, Form(max_length=LONGEST)]


class Where:
    """A judged delivery that the person may see.

    Attributes:
        place: Dataset, partition, delivery.
        validation: Its newest verdict.

    Raises:
        MissingError: there is none, or it is another department's: both look the same.
    """

    def __init__(self, view: CurrentView, dataset: str, partition: str, delivery: str) -> None:
        self.view, self.contract = view, view.contract(dataset)
        self.place = (dataset, partition, delivery)
        try:
            self.validation = newest_validation(view.desk.database, *self.place)
        except BadInputError as error:
            raise MissingError("/".join(self.place)) from error

    def path(self, below: str = "") -> str:
        """A path of the console below the delivery's page in quarantine."""
        return "/".join(("/quarantine", *self.place)) + below

    def back(self, anchor: str, **query: Any) -> RedirectResponse:
        """To the delivery's page, after something was done."""
        address = f"{self.view.url(self.path(), **query)}#{anchor}"
        return RedirectResponse(address, HTTPStatus.SEE_OTHER)

    @property
    def handles(self) -> bool:
        """Whether the person may take rows away, correct and replay them."""
        try:
            require_handling(self.view.person, self.contract)
        except BadInputError:
            return False
        return True

    @property
    def superseded(self) -> bool:
        """Whether a newer delivery of the period has landed."""
        newest = self.view.desk.journal.current_receipt(*self.place[:2])
        return newest is not None and newest.delivery != self.place[2]

    def common(self) -> dict[str, Any]:
        """What every page about a delivery shows."""
        view, department = self.view, self.contract.id.department
        return {
            "contract": self.contract,
            "title": self.contract.title,
            "department": view.desk.house.department_name(department, view.language),
            "validation": self.validation,
            "base": self.path(),
            "handles": self.handles,
            "steward": view.person.has(Role.STEWARD),
            "superseded": self.superseded,
            "today": today(),
            "longest": LONGEST,
        }


def _handled(where: Annotated[Where, Depends(Where)]) -> Where:
    if not where.handles:
        raise ForbiddenError
    return where


CurrentPlace = Annotated[Where, Depends(Where)]
#: A delivery whose rows the person may take away and correct; others are refused.
HandledPlace = Annotated[Where, Depends(_handled)]


def today() -> date:
    """The day by which waivers begin and end."""
    return datetime.now(UTC).date()


@dataclass(frozen=True, slots=True)
class Problem:
    """What could not be done.

    Attributes:
        part: The part of the page that it belongs to.
        text: In the reader's language.
        detail: The error's own words where they say more than the text, else empty.
        lines: Rows of a handed-in file that show it, 1-based with the header.
        columns: Names of columns that are missing.
    """

    part: str
    text: str
    detail: str
    status: HTTPStatus
    lines: Sequence[int] = ()
    columns: Sequence[str] = ()


#: Error code → what the page says.
_TEXTS: Final = {
    "reason_missing": mark("Say why: the reason is kept."),
    "nothing_quarantined": mark("Nothing of this delivery is in quarantine."),
    "no_file": mark("Choose the corrected file first."),
    "no_row_ids": mark("The file has no column _row_id. Hand in the downloaded file, edited."),
    "missing_column": mark("Columns are missing. Leave all columns and their names as they are."),
    "duplicate_row": mark("A row occurs more than once. Keep the right one of them."),
    "unknown_row": mark(
        "A _row_id is missing, or this delivery has no such row. Leave the column _row_id as it "
        "was downloaded; records that were never handed in come with a new delivery."
    ),
    "other_dataset": mark("The rows belong to another dataset. Hand the file in there."),
    "other_partition": mark("The rows belong to another period. Hand the file in there."),
    "other_delivery": mark(
        "The rows belong to another delivery of this period. Download the rows of this one."
    ),
    "not_quarantined": mark(
        "The file changes rows that are not in quarantine: they were found good. Leave them out."
    ),
    "nothing_changed": mark("No cell differs from what is in quarantine."),
    "unknown_rule": mark("The contract does not have this rule."),
    "not_waivable": mark("This rule cannot be waived."),
    "bad_until": mark("The last day has passed. Name a day to come."),
    "already_waived": mark("There is such a waiver already."),
    "already_revoked": mark("Somebody else has revoked this waiver before."),
    "locked": mark("Somebody else is working on this delivery. Try again in a minute."),
    "already_decided": mark("Somebody else has decided about this batch before you."),
    "not_held": mark("The gate let this batch pass by itself: there is nothing to decide."),
    "judged_anew": mark(
        "The batch has been judged again since you opened the page. Look at it, then decide."
    ),
    "not_validated": mark(
        "The contract has changed since the batch was judged. Replay it, then decide."
    ),
}
_CONFLICTS: Final = frozenset(
    {"already_waived", "already_revoked", "locked", "already_decided", "not_held", "judged_anew"}
)
#: What the error's own words add: whose rows they are, which waiver there is.
_TELLING: Final = frozenset(
    {"other_dataset", "other_partition", "other_delivery", "already_waived", "not_waivable"}
)


def problem(view: View, error: CityLedgerError, part: str, otherwise: str = "") -> Problem:
    """What a page says about an error.

    Args:
        view: Whose reader it is for.
        error: What was raised.
        part: The part of the page that it belongs to.
        otherwise: Text for bad input of which there is no better one.

    Raises:
        CityLedgerError: the error itself, when it is not for this page.
    """
    fallback = otherwise if isinstance(error, BadInputError) else ""
    text = _TEXTS.get(error.code, fallback)
    if not text or (isinstance(error, UnavailableError) and error.code != "locked"):
        raise error
    conflict = error.code in _CONFLICTS
    unfit = error if isinstance(error, UnfitFileError) else None
    return Problem(
        part=part,
        text=view.gettext(text),
        detail=error.what if error.code in _TELLING or error.code not in _TEXTS else "",
        status=HTTPStatus.CONFLICT if conflict else HTTPStatus.UNPROCESSABLE_ENTITY,
        lines=unfit.lines if unfit else (),
        columns=unfit.columns if unfit else (),
    )
