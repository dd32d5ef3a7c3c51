"""Why a number changed: what two publications of one indicator were made of, side by side.

The source is what each build kept with the evidence (`cityledger.ledger.builds`), the verdicts of
the journal, and the published values. Only what leads to the indicator counts.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field

from sqlalchemy import text

from cityledger.console.formats import figure
from cityledger.console.i18n import mark
from cityledger.console.words import INDICATOR, RULE
from cityledger.contracts.resolve import SUFFIX
from cityledger.errors import CityLedgerError
from cityledger.ledger.builds import CONTRACTS, MODELS, Build, BuiltModel, find_build
from cityledger.records import Release, RuleResult, Validation
from cityledger.storage.database import Database
from cityledger.storage.objects import ObjectStore

_ROWS = mark("%(n)s rows")
_PUBLICATIONS = text(
    """
    SELECT DISTINCT ON (snapshot_id) snapshot_id, saved_at, id FROM cityledger.publication
    ORDER BY snapshot_id DESC, id DESC
    """
)
# All areas and periods are in the evidence; the journal keeps the city-wide values.
_VALUES = text(
    """
    SELECT p.snapshot_id, v.area, v.period, v.value, v.unit, v.target, v.status
    FROM cityledger.indicator_value v JOIN cityledger.publication p ON p.id = v.publication_id
    WHERE v.code = :code AND p.id IN (
        SELECT max(id) FROM cityledger.publication
        WHERE snapshot_id = ANY(CAST(:snapshots AS bigint[])) GROUP BY snapshot_id)
    ORDER BY v.area, v.period
    """
)
_VALIDATIONS = text(
    """
    SELECT id, record FROM cityledger.validation
    WHERE dataset = :dataset AND partition = :partition AND delivery = :delivery
      AND contract_sha256 = :contract ORDER BY id DESC
    """
)


@dataclass(frozen=True, slots=True)
class Published:
    """A publication that can be chosen."""

    snapshot_id: int
    at: object


@dataclass(frozen=True, slots=True)
class Pair:
    """Something that differs.

    Attributes:
        what: What it is: a dataset and period, a rule, a file.
        before, after: As texts; empty where it was not there.
        paths: Pages of both sides, empty where there is none.
    """

    what: str
    before: str
    after: str
    paths: tuple[str, str] = ("", "")


@dataclass(frozen=True)
class Differences:
    """What differs on the way to the number.

    Attributes:
        values: Period and area with both values, where they differ.
        elsewhere: Deliveries that differ and do not lead to this number.
        first_tables: Tables whose content differs though nothing that they are made from does.
        missing: Snapshots whose build was not kept; then nothing is known of what it was made of.
    """

    values: tuple[Pair, ...] = ()
    compared_values: int = 0
    data: tuple[Pair, ...] = ()
    contracts: tuple[Pair, ...] = ()
    rules: tuple[Pair, ...] = ()
    decisions: tuple[Pair, ...] = ()
    definition: tuple[Pair, ...] = ()
    models: tuple[Pair, ...] = ()
    code: tuple[Pair, ...] = ()
    first_tables: tuple[str, ...] = ()
    elsewhere: int = 0
    missing: tuple[int, ...] = ()

    @property
    def causes(self) -> bool:
        """Whether anything that the number is made of differs."""
        groups = (self.data, self.contracts, self.rules, self.decisions, self.definition)
        return any((*groups, self.models, self.code))


@dataclass(frozen=True)
class _Side:
    """One publication's build, cut down to what leads to the indicator."""

    build: Build
    model: BuiltModel
    tables: frozenset[str]
    releases: Mapping[tuple[str, str], Release]
    others: Mapping[tuple[str, str], Release] = field(default_factory=dict)


@dataclass(frozen=True)
class Tongue:
    """How things are called in the reader's language.

    Attributes:
        translate: Of a marked text.
        title: Of a dataset.
        rule: Of a dataset and the key of one of its rules.
    """

    translate: Callable[[str], str] = str
    title: Callable[[str], str] = str
    rule: Callable[[str, str], str] = lambda _, key: key

    def place(self, place: tuple[str, str]) -> str:
        """A dataset and a period."""
        return f"{self.title(place[0])} {place[1]}"


class Comparer:
    """Compares publications of one installation."""

    def __init__(
        self, database: Database, store: ObjectStore, tongue: Tongue | None = None
    ) -> None:
        self._database, self._store, self._tongue = database, store, tongue or Tongue()

    def publications(self) -> list[Published]:
        """All publications, the newest first."""
        with self._database.begin() as connection:
            return [
                Published(row.snapshot_id, row.saved_at)
                for row in connection.execute(_PUBLICATIONS)
            ]

    def compare(self, code: str, before: int, after: int) -> Differences:
        """What differs for one indicator between two snapshots."""
        values, compared = self._values(code, before, after)
        sides = {one: self._side(code, one) for one in (before, after)}
        old, new = sides[before], sides[after]
        if old is None or new is None:
            missing = tuple(one for one, side in sides.items() if side is None)
            return Differences(values, compared, missing=missing)
        places = sorted(old.releases.keys() | new.releases.keys())
        verdicts = {place: self._verdicts(old, new, place) for place in places}
        return Differences(
            values=values,
            compared_values=compared,
            data=tuple(_data(old, new, verdicts, self._tongue)),
            contracts=tuple(_contracts(old, new, verdicts, self._tongue)),
            rules=tuple(_rules(verdicts, self._tongue)),
            decisions=tuple(_decisions(old, new, verdicts, self._tongue)),
            definition=tuple(_definition(old.model, new.model)),
            models=tuple(_models(old, new)),
            code=tuple(_code(old.build, new.build)),
            first_tables=tuple(_first_tables(old, new)),
            elsewhere=sum(1 for _ in _changed(old.others, new.others)),
        )

    def _values(self, code: str, before: int, after: int) -> tuple[tuple[Pair, ...], int]:
        found: dict[tuple[str, str], dict[int, str]] = {}
        with self._database.begin() as connection:
            for row in connection.execute(_VALUES, {"code": code, "snapshots": [before, after]}):
                status = self._tongue.translate(INDICATOR[row.status])
                value = f"{figure(row.value)} {row.unit} ({status})"
                found.setdefault((row.period, row.area), {})[row.snapshot_id] = value
        pairs = [
            Pair(f"{period} · {area}", sides.get(before, ""), sides.get(after, ""))
            for (period, area), sides in sorted(found.items())
        ]
        return tuple(one for one in pairs if one.before != one.after), len(pairs)

    def _side(self, code: str, snapshot: int) -> _Side | None:
        try:
            build, _ = find_build(self._store, snapshot)
        except CityLedgerError as error:
            if error.code != "object_missing":
                raise
            return None
        model = next(
            (one for one in build.models if one.meta.get("indicator", {}).get("code") == code), None
        )
        if model is None:
            return None
        tables = _ancestors(build, model.table)
        datasets = {
            str(one.meta["dataset"])
            for one in build.models
            if one.table in tables and one.meta.get("dataset")
        }
        by_place = {(one.dataset, one.partition): one for one in build.releases}
        return _Side(
            build,
            model,
            frozenset(tables),
            {place: one for place, one in by_place.items() if place[0] in datasets},
            {place: one for place, one in by_place.items() if place[0] not in datasets},
        )

    def _verdicts(self, old: _Side, new: _Side, place: tuple[str, str]) -> _Verdicts:
        return _Verdicts(
            self._verdict(old.releases.get(place)), self._verdict(new.releases.get(place))
        )

    def _verdict(self, release: Release | None) -> tuple[int, Validation] | None:
        """The verdict that a release let through, with the number of its page."""
        if release is None:
            return None
        bounds = {
            "dataset": release.dataset,
            "partition": release.partition,
            "delivery": release.delivery,
            "contract": release.contract_sha256,
        }
        with self._database.begin() as connection:
            for row in connection.execute(_VALIDATIONS, bounds):
                validation = Validation.model_validate(row.record)
                if validation.validated == release.validated:
                    return row.id, validation
        return None


@dataclass(frozen=True, slots=True)
class _Verdicts:
    """Both sides' verdicts of one dataset and period."""

    before: tuple[int, Validation] | None
    after: tuple[int, Validation] | None

    @property
    def paths(self) -> tuple[str, str]:
        """Their pages."""
        return _page(self.before), _page(self.after)

    @property
    def both(self) -> tuple[Validation | None, Validation | None]:
        """Without the numbers of the pages."""
        return self.before and self.before[1], self.after and self.after[1]


Places = Mapping[tuple[str, str], _Verdicts]


def _page(verdict: tuple[int, Validation] | None) -> str:
    return f"/runs/{verdict[0]}" if verdict else ""


def _ancestors(build: Build, table: str) -> set[str]:
    parents = {model.table: model.parents for model in build.models}
    found: set[str] = set()
    waiting = [table]
    while waiting:
        one = waiting.pop()
        if one not in found:
            found.add(one)
            waiting += parents.get(one, ())
    return found


def _changed(
    old: Mapping[tuple[str, str], Release], new: Mapping[tuple[str, str], Release]
) -> Iterable[tuple[str, str]]:
    for place in sorted(old.keys() | new.keys()):
        sides = [side.get(place) for side in (old, new)]
        shas = {one.validated.sha256 if one else None for one in sides}
        if len(shas) > 1:
            yield place


def _data(old: _Side, new: _Side, verdicts: Places, tongue: Tongue) -> Iterable[Pair]:
    for place in _changed(old.releases, new.releases):
        yield Pair(
            tongue.place(place),
            _delivery(old.releases.get(place), tongue),
            _delivery(new.releases.get(place), tongue),
            verdicts[place].paths,
        )


def _delivery(release: Release | None, tongue: Tongue) -> str:
    if release is None:
        return ""
    return f"{release.delivery}: {tongue.translate(_ROWS) % {'n': f'{release.rows:,}'}}"


def _contracts(old: _Side, new: _Side, verdicts: Places, tongue: Tongue) -> Iterable[Pair]:
    for place in sorted(old.releases.keys() & new.releases.keys()):
        before, after = old.releases[place], new.releases[place]
        if before.contract_sha256 != after.contract_sha256:
            versions = [one.contract_version if one else "?" for one in verdicts[place].both]
            path = _file(f"{CONTRACTS}/{place[0].replace('.', '/', 1)}{SUFFIX}")
            yield Pair(
                tongue.place(place),
                f"{versions[0]} ({before.contract_sha256[:12]})",
                f"{versions[1]} ({after.contract_sha256[:12]})",
                (path, path),
            )


def _rules(verdicts: Places, tongue: Tongue) -> Iterable[Pair]:
    """Rules that are new or gone, have another threshold, or were broken by other numbers."""
    for place, sides in verdicts.items():
        before, after = sides.both
        if before is None or after is None:
            continue
        olds = {one.key: one for one in before.results}
        news = {one.key: one for one in after.results}
        for key in sorted(olds.keys() | news.keys()):
            left, right = (_result(side.get(key), tongue.translate) for side in (olds, news))
            if left != right:
                what = f"{tongue.place(place)}: {tongue.rule(place[0], key)}"
                yield Pair(what, left, right, sides.paths)


def _result(result: RuleResult | None, translate: Callable[[str], str]) -> str:
    if result is None:
        return ""
    limit = f", {result.threshold_text}" if result.threshold_text else ""
    return f"{translate(RULE[result.status])}: {result.failed:,}{limit}"


def _decisions(old: _Side, new: _Side, verdicts: Places, tongue: Tongue) -> Iterable[Pair]:
    for place, sides in verdicts.items():
        before, after = sides.both
        left = _decided(old.releases.get(place), before)
        right = _decided(new.releases.get(place), after)
        if left != right:
            yield Pair(tongue.place(place), left, right, sides.paths)


def _decided(release: Release | None, validation: Validation | None) -> str:
    parts = []
    if release and release.decision:
        parts.append(f"{release.decision.decided_by}: {release.decision.reason}")
    if validation:
        parts += [f"{one.name} ({one.sha256[:12]})" for one in validation.corrections]
        parts += [f"{one.rule}: {one.approved_by}: {one.reason}" for one in validation.waivers]
    return "; ".join(parts)


def _definition(old: BuiltModel, new: BuiltModel) -> Iterable[Pair]:
    before, after = old.meta.get("indicator", {}), new.meta.get("indicator", {})
    for name in sorted(before.keys() | after.keys()):
        left, right = before.get(name), after.get(name)
        if left != right:
            yield Pair(name, _said(left), _said(right))


def _said(value: object) -> str:
    if isinstance(value, dict):
        return "; ".join(f"{key}: {one}" for key, one in value.items())
    return "" if value is None else str(value)


def _models(old: _Side, new: _Side) -> Iterable[Pair]:
    """Files of the project that lead to the number and are others now, with how they differ.

    Not the SQL as it ran: the staging tables' names the files of the deliveries.
    """
    names = {
        model.name
        for side in (old, new)
        for model in side.build.models
        if model.table in side.tables
    }
    for path in sorted(old.build.files.keys() | new.build.files.keys()):
        shas = [side.build.files.get(path) for side in (old, new)]
        if shas[0] != shas[1] and _leads(path, names):
            before, after = (one[:12] if one else "" for one in shas)
            yield Pair(path, before, after, (_file(path), _file(path)))


def _leads(path: str, names: Collection[str]) -> bool:
    """Whether a file of the project takes part in computing the models of these names."""
    top, _, rest = path.partition("/")
    folder, _, name = rest.partition("/")
    if top != MODELS or folder in {"tests", "analyses"}:
        return False
    stem, _, suffix = name.rpartition("/")[2].rpartition(".")
    if folder in {"models", "seeds"}:
        return suffix in {"sql", "csv", "py"} and stem in names
    return True


def _file(path: str) -> str:
    return f"/compare/file/{path}"


def _code(old: Build, new: Build) -> Iterable[Pair]:
    left, right = old.code, new.code
    for name in ("version", "commit", "modified", "lock_sha256"):
        before, after = getattr(left, name), getattr(right, name)
        if before != after:
            yield Pair(name, str(before), str(after))
    for name in sorted(left.engines.keys() | right.engines.keys()):
        if left.engines.get(name) != right.engines.get(name):
            yield Pair(name, left.engines.get(name, ""), right.engines.get(name, ""))


def _first_tables(old: _Side, new: _Side) -> Iterable[str]:
    """Where content begins to differ: tables with no parent that differs."""
    differing = {
        table
        for table in old.tables | new.tables
        if old.build.digests.get(table) != new.build.digests.get(table)
    }
    parents = {model.table: model.parents for model in new.build.models}
    return sorted(one for one in differing if not differing & set(parents.get(one, ())))
