"""What the pages of the ledger work with: graph, catalogue, and how things are called."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from cityledger.console.errors import MissingError
from cityledger.console.i18n import mark
from cityledger.console.ledger_reads import LedgerReads
from cityledger.console.lineage_picture import Words
from cityledger.console.places import LAYER, Layer, Place, Places, key_of
from cityledger.console.view import View
from cityledger.ledger.catalog import Catalog
from cityledger.ledger.facts import NodeKind
from cityledger.ledger.graph import GappedRun, LineageGraph, Node
from cityledger.ledger.log.files import LogFiles
from cityledger.ledger.log.keyring import Keyring
from cityledger.storage.objects import ObjectStore

_SHARED = mark("shared by all")
_THINGS = mark("%(num)s objects")  # never one: that is shown itself
#: Seconds that a page waits for events that are not in the graph yet; then it says so.
_PATIENCE = 2.0


@dataclass(frozen=True, slots=True)
class Shown:
    """A node as a page shows it.

    Attributes:
        title: What people call it; the name where there is nothing better.
    """

    node: Node
    place: Place
    title: str
    path: str
    key: str

    @property
    def job(self) -> bool:
        """Whether it is a job."""
        return self.node.kind is NodeKind.JOB


class LedgerDesk:
    """The ledger as one request sees it."""

    def __init__(self, view: View) -> None:
        self.view = view
        settings = view.desk.settings
        self.places = Places(settings.bucket_prefix, settings.lineage_namespace)

    @cached_property
    def graph(self) -> LineageGraph:
        """The graph; questions let it catch up first."""
        return LineageGraph(self.view.desk.database, wait=_PATIENCE)

    @cached_property
    def catalog(self) -> Catalog:
        """What the graph knows, page by page."""
        return Catalog(self.view.desk.database, self.graph)

    @cached_property
    def reads(self) -> LedgerReads:
        """Questions that only pages have."""
        return LedgerReads(self.view.desk.database)

    @cached_property
    def store(self) -> ObjectStore:
        """The object store."""
        return ObjectStore.from_settings(self.view.desk.settings)

    @cached_property
    def keyring(self) -> Keyring:
        """Keys of the transparency log."""
        settings = self.view.desk.settings
        return Keyring(settings, self.view.desk.database, LogFiles(settings, self.store))

    def node(self, key: str) -> Node:
        """A job or dataset by the key of its page.

        Raises:
            MissingError: there is none.
        """
        self.graph.behind()
        found = self.reads.node(key)
        if found is None:
            raise MissingError(key)
        return found

    def path(self, node: Node) -> str:
        """The page of a node, below the console's prefix."""
        kind = "jobs" if node.kind is NodeKind.JOB else "data"
        return f"/ledger/{kind}/{key_of(node)}"

    def shown(self, node: Node) -> Shown:
        """A node with its title and page."""
        place = self.places.of(node)
        return Shown(
            node, place, self.title(place) or place.name or node.name, self.path(node), key_of(node)
        )

    def shown_run(self, run: GappedRun) -> tuple[str, str, str]:
        """Id, job and path of a run."""
        return run.run_id, run.job, f"/ledger/runs/{run.run_id}"

    def title(self, place: Place) -> str:
        """The title of the contract, or of the indicator, that a place belongs to."""
        if place.layer is Layer.INDICATORS:
            return self._indicators.get(place.name, "")
        return self._datasets.get(place.dataset, "") if place.layer is not Layer.SOURCE else ""

    @cached_property
    def _datasets(self) -> dict[str, str]:
        """Titles of contracts, read once for a picture of thousands of boxes."""
        contracts = self.view.desk.house.contracts
        return {name: self.view.named(one.title, name) for name, one in contracts.items()}

    @cached_property
    def _indicators(self) -> dict[str, str]:
        """Names of indicators by the model that computes them."""
        cards = self.view.desk.house.cards.values()
        return {card.model: self.view.named(card.name, card.name_en) for card in cards}

    def department(self, slug: str) -> str:
        """Name of a department; of what all share when empty."""
        if not slug:
            return self.view.gettext(_SHARED)
        return self.view.desk.house.department_name(slug, self.view.language)

    def layer(self, place: Place) -> str:
        """Name of a layer."""
        return self.view.gettext(LAYER[place.layer])

    def words(self, opened: Callable[[str], str]) -> Words:
        """How the picture calls things."""
        things = self.view.gettext(_THINGS)

        return Words(
            title=self.title,
            department=self.department,
            page=lambda node: self.view.url(self.path(node)),
            opened=opened,
            things=lambda count: things % {"num": count},
            translate=self.view.gettext,
        )
