"""What a page function works with: who asks, in which language, the data, and how to answer."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.responses import HTMLResponse

from cityledger.console.desk import Desk
from cityledger.console.errors import missing
from cityledger.console.i18n import language_of, translations
from cityledger.console.identity import CurrentPerson
from cityledger.console.rendering import address
from cityledger.contracts.model import Contract

_RECENT = timedelta(days=7)


class View:
    """One request by one identified person."""

    def __init__(self, request: Request, person: CurrentPerson) -> None:
        self.request, self.person = request, person
        self.language = language_of(request)
        self.desk: Desk = request.app.state.desk

    def page(self, template: str, *, status_code: int = 200, **context: Any) -> HTMLResponse:
        """Render a template that extends ``base.html``."""
        page: HTMLResponse = self.request.app.state.pages.render(
            self.request, template, status_code=status_code, **context
        )
        return page

    def gettext(self, text: str) -> str:
        """A marked text in the reader's language."""
        return translations(self.language).gettext(text)

    def named(self, zh: str, en: str) -> str:
        """Of two spellings of a name, the reader's."""
        return (en if self.language == "en" else zh) or zh or en

    def url(self, path: str, **query: Any) -> str:
        """An address below the console's prefix."""
        return address(self.request.scope.get("root_path", ""), path, query)

    def contract(self, dataset: str) -> Contract:
        """A dataset's contract.

        Raises:
            MissingError: there is none, or it is another department's: both look the same.
        """
        seen = self.desk.house.seen_by(self.person)
        if dataset not in seen:
            raise missing(dataset, seen, "/datasets/{}")
        return seen[dataset]

    def day(self, wanted: date | None, department: str | None = None) -> date:
        """The last day of the window to show: the wanted one, else today.

        Where nothing is recent, the newest day that has data: a page of gaps tells nothing.
        """
        if wanted is not None:
            return wanted
        today, newest = self.desk.quality.today(), self.desk.quality.newest_day(department)
        return newest if newest is not None and newest < today - _RECENT else today

    def department(self, department: str) -> str:
        """A department's name.

        Raises:
            MissingError: there is none, or the person may not see it: both look the same.
        """
        seen = self.desk.house.departments_of(self.person)
        if department not in seen:
            raise missing(department, seen, "/departments/{}")
        return self.desk.house.department_name(department, self.language)


CurrentView = Annotated[View, Depends(View)]
