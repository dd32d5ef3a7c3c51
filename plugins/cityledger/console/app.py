"""The console's application, for Airflow's api-server and for itself.

How to add a page:

1. ``console/pages/<name>.py`` with ``router = APIRouter(dependencies=[Depends(require(...))])``:
   ``require(*STAFF)``, ``require(Role.STEWARD)`` … A page function takes ``view: CurrentView`` and
   returns ``view.page("<name>.html", …)``. Write ``def``, not ``async def``: the database blocks.
   ``view.contract(dataset)`` and ``view.department(slug)`` answer 404 for what is not the person's.
   Raise ``missing(name, known, "/path/{}")`` for a name that does not exist.
2. ``console/templates/<name>.html`` extends ``base.html``. Texts by ``_()`` (in Python ``mark()``
   where defined, ``view.gettext()`` where shown), addresses by ``url("/path")``. A form carries
   ``{{ form_proof() }}`` of ``parts.html``; forms without it are refused.
3. ``console/locales/zh_CN/<name>.po``: the Chinese of the new texts (a test finds missing ones).
4. List the module in ``PAGES`` below; ``NAVIGATION`` in it adds entries to the menu.

Charts come from ``console/charts.py``, never from the internet.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import ModuleType

from fastapi import Depends, FastAPI, Request

from cityledger.console import assets, errors, forms
from cityledger.console.desk import Desk
from cityledger.console.headers import POLICY
from cityledger.console.identity import Identify
from cityledger.console.limits import BodyLimit
from cityledger.console.pages import (
    city,
    compare,
    dataset,
    decisions,
    department,
    evidence,
    indicators,
    ledger,
    lineage,
    orders,
    quarantine,
    replay,
    reports,
    run,
    stock,
    trail,
    waivers,
)
from cityledger.console.rendering import Pages
from cityledger.console.secret import load_key
from cityledger.observability.metrics.app import route as metrics
from cityledger.observability.metrics.exposition import Exposition, Part
from cityledger.settings import Settings
from cityledger.web_headers import SecurityHeaders

PAGES: tuple[ModuleType, ...] = (
    city,
    department,
    dataset,
    run,
    replay,
    waivers,  # before quarantine, whose addresses of deliveries are as long
    quarantine,
    decisions,
    orders,
    reports,
    indicators,
    stock,
    lineage,
    ledger,
    compare,
    evidence,
    trail,
)


def create_app(
    settings: Settings,
    *,
    identify: Identify,
    login_address: Callable[[Request], str] | None = None,
    logout_path: str | None = None,
    figures: Mapping[str, Part] | None = None,
) -> FastAPI:
    """The console, to be mounted under a prefix.

    Args:
        settings: Where things are.
        identify: Says who sent a request; None (or a raised ``LoginRequiredError``) for nobody.
        login_address: Where people without a session are sent; without it they get a 401.
        logout_path: Path of the form that ends a session, if the console has its own.
        figures: Further parts of ``/metrics``, by name.
    """
    app = FastAPI(
        title="CityLedger",
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        dependencies=[Depends(forms.check)],
    )
    app.state.desk = Desk(settings)
    app.state.identify = identify
    app.state.login_address = login_address
    app.state.logout_path = logout_path
    app.state.key = load_key(settings.home)
    app.state.pages = Pages([item for page in PAGES for item in getattr(page, "NAVIGATION", ())])
    app.add_middleware(BodyLimit)
    errors.install(app)
    # After it, hence around it: errors get the headers too.
    app.add_middleware(SecurityHeaders, policy=POLICY)
    app.include_router(assets.router)
    for page in PAGES:
        app.include_router(page.router)
    # Not a page: Prometheus has no session, it is let in by its token or its address.
    app.router.routes.append(metrics(settings, lambda: Exposition(settings, more=figures)))
    return app
