"""Templates: one Jinja environment a language, and what every page gets."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from cityledger.console import forms, words
from cityledger.console.charts import sparkline
from cityledger.console.formats import FILTERS
from cityledger.console.i18n import COOKIE, LANGUAGES, language_of, translations
from cityledger.console.navigation import NavigationItem
from cityledger.console.scale import heat_class, shares

HERE = Path(__file__).parent
#: Comes out of an installed package, not out of our folder.
CHART_LIBRARY = "charts.js"
_YEAR = 365 * 24 * 3600


class Pages:
    """Renders templates.

    Args:
        navigation: Entries of all page modules.
    """

    def __init__(self, navigation: Sequence[NavigationItem]) -> None:
        self.navigation = sorted(navigation, key=lambda item: item.order)
        self._environments = {language: _environment(language) for language in LANGUAGES}

    def render(
        self, request: Request, template: str, *, status_code: int = 200, **context: Any
    ) -> HTMLResponse:
        """A page in the reader's language, with the cookies that it needs."""
        language = language_of(request)
        body = (
            self._environments[language]
            .get_template(template)
            .render(**self._common(request, language), **context)
        )
        response = HTMLResponse(body, status_code=status_code, headers={"Vary": "Cookie"})
        options = cookie_options(request)
        if request.cookies.get(COOKIE) != language and "lang" in request.query_params:
            response.set_cookie(COOKIE, language, max_age=_YEAR, **options)
        if request.cookies.get(forms.COOKIE) != forms.browser_mark(request):
            response.set_cookie(forms.COOKIE, forms.browser_mark(request), **options)
        return response

    def _common(self, request: Request, language: str) -> dict[str, Any]:
        root = request.scope.get("root_path", "")
        path = request.scope["path"].removeprefix(root) or "/"
        person = getattr(request.state, "person", None)
        return {
            "language": language,
            "languages": LANGUAGES,
            "person": person,
            "path": path,
            "here": request.query_params,
            "city": request.app.state.desk.house.city_name(language),
            "notice": request.app.state.desk.house.notice,
            "navigation": [item for item in self.navigation if person and item.shown_to(person)],
            "logout": request.app.state.logout_path,
            "form_field": forms.FIELD,
            "form_token": forms.token(request),
            "url": lambda path, **query: address(root, path, query),
            "static": lambda name: f"{root}/static/{name}?v={fingerprint(name)}",
            "named": lambda zh, en: (en if language == "en" else zh) or zh or en,
        }


def address(root: str, path: str, query: Mapping[str, Any] | None = None) -> str:
    """An address below the console's prefix; its parts are quoted."""
    kept = {name: value for name, value in (query or {}).items() if value not in (None, "")}
    return f"{root}{quote(path, safe='/')}" + (f"?{urlencode(kept)}" if kept else "")


def cookie_options(request: Request) -> dict[str, Any]:
    """How every cookie of the console is set."""
    return {
        "path": request.scope.get("root_path", "") or "/",
        "httponly": True,
        "samesite": "lax",
        "secure": request.url.scheme == "https",
    }


@lru_cache(maxsize=64)
def fingerprint(name: str) -> str:
    """Changes with the file's content, so that browsers may keep static files for long."""
    if name == CHART_LIBRARY:
        return version("vl-convert-python")
    return hashlib.sha256((HERE / "static" / name).read_bytes()).hexdigest()[:12]


def _environment(language: str) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    # The extension adds the method; the type of Environment does not know it.
    environment.install_gettext_translations(  # type: ignore[attr-defined]
        translations(language), newstyle=True
    )
    environment.filters.update(FILTERS)
    environment.globals.update(
        words=words, heat_class=heat_class, sparkline=sparkline, shares=shares
    )
    return environment
