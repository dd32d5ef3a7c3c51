"""How fast pages are when years of history lie behind them.

10,000 runs of 40 datasets in 8 departments, 300 rules each: 3 million rule results, loaded by COPY,
with 10,000 rectification orders; the scores are then computed by ``ScoreBook.rebuild``, as after a
change of ``scoring.yaml``. Measured is what pages ask of ``QualityStore``, and whole pages as the
console answers them: while nothing happens, when each reader opens another page, and when a
delivery is judged before every request, which no kept answer survives.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import secrets
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
from cityledger.console.app import create_app
from cityledger.console.readiness import get_ready
from cityledger.ledger.deliveries import ZONE
from cityledger.ledger.journal import Journal
from cityledger.ledger.quality import QualityStore
from cityledger.ledger.scores import ScoreBook
from cityledger.orders.records import Order, OrderState
from cityledger.people import Person, Role
from cityledger.records import Receipt, Validation
from cityledger.settings import PROJECT_DIR, Settings, get_settings
from cityledger.storage.database import Database
from starlette.testclient import TestClient

from tests.benchmarks.results import keep

RUNS, DATASETS, DEPARTMENTS, RULES = 10_000, 40, 8, 300
LAST = date(2026, 3, 31)
NOW = datetime(2026, 4, 1, 12, tzinfo=ZONE)
LIMIT_MS, REPORT_LIMIT_MS = 300.0, 5000.0
ORDERS = 10_000
_STEPS = (
    OrderState.OPEN,
    OrderState.ACKNOWLEDGED,
    OrderState.RESUBMITTED,
    OrderState.CLOSED,
)
_STEWARD = Person("steward", frozenset({Role.STEWARD}))
_CODES = [
    "0101",
    "0104",
    "0105",
    "0106",
    "0201",
    "0202",
    "0301",
    "0302",
    "0303",
    "0304",
    "0305",
    "0401",
    "0402",
    "0501",
    "0503",
    "0602",
]


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Load, measure, print a table and write ``history.json``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--rules", type=int, default=RULES)
    parser.add_argument("--repeat", type=int, default=40)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="cityledger-bench-") as name, _server(Path(name)):
        result = _measure(Path(name), options.runs, options.rules, options.repeat)
    keep("history", result)
    print(table(result))
    return result


def table(result: dict[str, Any]) -> str:
    """The result as text."""
    lines = []
    for title, part in (("asked of the store", "queries"), ("whole page", "pages")):
        lines.append(f"{title:<26}{'first ms':>9}{'median ms':>11}{'p95 ms':>9}{'CPU ms':>9}")
        for name, one in result[part].items():
            figures = f"{one['median']:>11.1f}{one['p95']:>9.1f}{one['cpu']:>9.1f}"
            lines.append(f"{name:<26}{one['first']:>9.0f}{figures}")
    loads = [f"{result[name][0]:.1f}" for name in ("load_before", "load_after")]
    lines.append(
        f"{result['runs']:,} runs × {result['rules']} rules; loaded in {result['load_seconds']:.0f}"
        f" s, all scored in {result['rebuild_seconds']:.0f} s; a page may take {LIMIT_MS:.0f} ms,"
        f" a report {REPORT_LIMIT_MS:.0f}; load of the machine {' to '.join(loads)}"
    )
    return "\n".join(lines)


def _measure(folder: Path, runs: int, rules: int, repeat: int) -> dict[str, Any]:
    contracts = folder / "contracts"
    datasets = _write_house(contracts)
    settings = get_settings()
    database = Database.from_settings(settings)
    database.migrate()
    started = time.perf_counter()
    _load(settings, datasets, runs, rules)
    loaded = time.perf_counter()
    ScoreBook(database, contracts).rebuild()
    rebuilt = time.perf_counter()
    _age(settings)
    _load_orders(settings, datasets)
    figures = {
        "runs": runs,
        "rules": rules,
        "load_seconds": loaded - started,
        "rebuild_seconds": rebuilt - loaded,
    }
    return figures | measure(folder, contracts, datasets, (runs, rules), repeat)


def measure(
    folder: Path, contracts: Path, datasets: list[str], size: tuple[int, int], repeat: int
) -> dict[str, Any]:
    """Ask the store and the console of a loaded database.

    Args:
        folder: For what the console keeps.
        contracts: The generated house.
        datasets: Their ids.
        size: How many runs there are, and rules in each.
        repeat: Requests of each kind, besides the first.
    """
    settings = get_settings().model_copy(update={"contracts_dir": contracts, "home": folder})
    database = Database.from_settings(settings)
    store = _Fresh(database, contracts, clock=_clock())
    queries = _questions(store, datasets, size[0])
    pages = _Pages(settings, database, datasets, size[1]).cases()
    return {
        "load_before": os.getloadavg(),
        "queries": {name: _timed(work, repeat) for name, work in queries.items()},
        "pages": {name: _timed(work, repeat, before) for name, (work, before) in pages.items()},
        "load_after": os.getloadavg(),
    }


def _clock() -> Callable[[], datetime]:
    """A clock that begins at noon after the last delivery, and goes on."""
    started = time.monotonic()
    return lambda: NOW + timedelta(seconds=time.monotonic() - started)


class _Fresh(QualityStore):
    """A store that keeps nothing: every question is answered from the database."""

    def _kept(self, _question: tuple[object, ...], make: Callable[[], Any]) -> Any:
        return make()


class _Pages:
    """A steward's browser, and departments that go on delivering."""

    def __init__(
        self, settings: Settings, database: Database, datasets: list[str], rules: int
    ) -> None:
        self._app = create_app(settings, identify=lambda _: _STEWARD)
        self._app.state.desk.quality = QualityStore(
            database, settings.contracts_dir, clock=_clock()
        )
        get_ready()
        self._browser = TestClient(self._app)
        self._datasets, self._rules = datasets, rules
        self._departments = sorted({dataset.split(".")[0] for dataset in datasets})
        self._journal = Journal(database)
        self._undrawn = ""
        self._scores = ScoreBook(database, settings.contracts_dir)
        self._chance = random.Random(1)  # noqa: S311 - generated history, always the same

    def cases(self) -> dict[str, tuple[Callable[[int], object], Callable[[int], object] | None]]:
        """Name → what is measured, and what happens before."""
        return {
            "city": (lambda _: self._get("/"), None),
            "city, new delivery": (lambda _: self._get("/"), self._deliver),
            "dataset, another each": (self._dataset, None),
            "dataset, new delivery": (self._dataset, self._deliver),
            "department, another each": (self._department, None),
            "department, new delivery": (self._department, self._deliver),
            "drawing of a chart": (lambda _: self._get(self._undrawn), self._deliver_and_look),
            "report, PDF": (lambda turn: self._department(turn, "/report?month=2026-03"), None),
        }

    def _get(self, address: str) -> str:
        answer = self._browser.get(address)
        answer.raise_for_status()
        return answer.text

    def _dataset(self, turn: int) -> str:
        return self._get(f"/datasets/{self._datasets[turn * 7 % len(self._datasets)]}")

    def _department(self, turn: int, what: str = "") -> str:
        return self._get(f"/departments/{self._departments[turn % len(self._departments)]}{what}")

    def _deliver_and_look(self, turn: int) -> None:
        """Find a chart that has not been drawn: the first one of a page that has changed."""
        self._deliver(turn)
        found = re.search(r'src="(/charts/[^"]+)"', self._dataset(turn))
        if found is None:
            raise RuntimeError("every chart of a changed page has been drawn before")
        self._undrawn = found[1]

    def _deliver(self, turn: int) -> None:
        """The dataset whose page is asked for next hands in its newest day again."""
        dataset = self._datasets[turn * 7 % len(self._datasets)]
        place, name = (dataset, LAST.isoformat()), secrets.token_hex(8)
        results = [_result(dataset, rule, self._chance) for rule in range(self._rules)]
        receipt = _receipt(*place, name, NOW) | {
            "sequence": len(self._journal.receipts(*place)) + 1
        }
        validation = Validation.model_validate(_validation(*place, name, results))
        self._journal.save_receipt(Receipt.model_validate(receipt))
        self._journal.save_validation(validation)
        self._scores.save_validation(validation)


def _questions(
    store: QualityStore, datasets: list[str], runs: int
) -> dict[str, Callable[[int], object]]:
    """What pages ask; the number varies dataset, department and run."""
    departments = sorted({dataset.split(".")[0] for dataset in datasets})

    def dataset(turn: int) -> str:
        return datasets[turn * 7 % len(datasets)]

    return {
        "city": lambda _: store.city(),
        "city, 90 days' trend": lambda _: store.city(trend_days=90),
        "city, half a year ago": lambda turn: store.city(LAST - timedelta(days=180 + turn)),
        "department": lambda turn: store.department(departments[turn % len(departments)]),
        "dataset": lambda turn: store.dataset(dataset(turn)),
        "run": lambda turn: store.run(runs - turn * 37 % runs),
        "runs": lambda turn: store.runs(dataset(turn), 60),
        "rule history": lambda turn: store.rule_history(
            dataset(turn), f"{dataset(turn)}.column_{turn}.rule_{turn}", 90
        ),
        "changes": lambda _: store.changes(NOW - timedelta(days=1)),
        "deliveries of a year": lambda turn: store.deliveries(
            dataset(turn), LAST - timedelta(days=365), LAST
        ),
        "card of a department": lambda turn: store.card(
            department=departments[turn % len(departments)]
        ),
    }


def _timed(
    work: Callable[[int], object], repeat: int, before: Callable[[int], object] | None = None
) -> dict[str, float]:
    """Milliseconds: the first call, then the median and the 95th percentile of the others.

    ``cpu`` is the median of this process's own time, without the database's: it tells more than the
    clock on a machine that others use, too.
    """
    times, own = [], []
    for turn in range(repeat + 1):
        if before is not None:
            before(turn)
        started, cpu = time.perf_counter(), time.process_time()
        work(turn)
        times.append((time.perf_counter() - started) * 1000)
        own.append((time.process_time() - cpu) * 1000)
    cuts = statistics.quantiles(times[1:], n=20, method="inclusive")
    return {
        "first": times[0],
        "median": statistics.median(times[1:]),
        "p95": cuts[-1],
        "cpu": statistics.median(own[1:]),
    }


# --- the history ---


def _write_house(folder: Path) -> list[str]:
    """Contracts of a generated city, all like the demo's hotline tickets."""
    source = PROJECT_DIR / "contracts"
    shutil.copytree(source / "codes", folder / "codes")
    shutil.copy(source / "scoring.yaml", folder)
    template = (source / "hotline" / "tickets.odcs.yaml").read_text(encoding="utf-8")
    departments = [f"department_{number}" for number in range(DEPARTMENTS)]
    lines = ["name: 测试市", 'code: "990100"', "areas: []", "departments:"]
    lines += [f"  - {{id: {one}, name: {one} (generated)}}" for one in departments]
    (folder / "city.yaml").write_text("\n".join(lines), encoding="utf-8")
    datasets = []
    for number in range(DATASETS):
        department, name = departments[number % DEPARTMENTS], f"dataset_{number}"
        text = template.replace("hotline.tickets", f"{department}.{name}")
        text = text.replace("domain: hotline", f"domain: {department}")
        text = text.replace("- name: tickets", f"- name: {name}")
        path = folder / department / f"{name}.odcs.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
        datasets.append(f"{department}.{name}")
    return datasets


def _load(settings: Settings, datasets: list[str], runs: int, rules: int) -> None:
    """Deliveries, validations, rule results and releases, as the stages would leave them."""
    chance = random.Random(36344)  # noqa: S311 - generated history, always the same
    with _superuser(settings) as session:
        loaders = _Loaders(session)
        for number in range(runs):
            dataset = datasets[number % len(datasets)]
            back = (runs - 1 - number) // len(datasets)
            loaders.run(number + 1, dataset, LAST - timedelta(days=back), rules, chance)
        loaders.flush()
        for name in ("delivery", "validation", "rule_result", "release"):
            session.execute(
                f"SELECT setval(pg_get_serial_sequence('cityledger.{name}', 'id'), max(id))"
                f" FROM cityledger.{name}"
            )
    with psycopg.connect(settings.database_url.get_secret_value(), autocommit=True) as session:
        session.execute("VACUUM ANALYZE")


def _load_orders(settings: Settings, datasets: list[str]) -> None:
    """Orders of two years, of which every fourth is still open, every fourth acknowledged."""
    with psycopg.connect(settings.database_url.get_secret_value(), autocommit=True) as session:
        with session.cursor().copy(
            "COPY cityledger.rectification_event (number, sequence, kind, state, dataset,"
            " department, partition, day, record, result) FROM STDIN"
        ) as copy:
            for number in range(ORDERS):
                order = _order(number, datasets[number % len(datasets)])
                for sequence, state in enumerate(_STEPS[: number % 4 + 1], 1):
                    copy.write_row(_event(order, sequence, state))
        session.execute("VACUUM ANALYZE cityledger.rectification_event")


def _order(number: int, dataset: str) -> Order:
    opened = LAST - timedelta(days=730 - number * 730 // ORDERS)
    return Order(
        number=f"ZG-{opened:%Y%m%d}-{number:05d}",
        dataset=dataset,
        department=dataset.split(".")[0],
        partition=opened.isoformat(),
        title=dataset,
        delivery=f"{number:016x}",
        state=OrderState.OPEN,
        opened_on=opened,
        due_on=opened + timedelta(days=14),
        escalate_on=opened + timedelta(days=21),
        reasons=("生成的数据 (generated)",),
        contact="contact@example.invalid",
        steward="steward",
        escalate_to="steward",
        version=1,
        changed_by="steward",
        changed_at=NOW,
    )


def _event(order: Order, sequence: int, state: OrderState) -> tuple[Any, ...]:
    """The row of an event; what the event says beside the order's state is read by no page here."""
    day = order.opened_on + timedelta(days=3 * (sequence - 1))
    closed = {"finished_on": day} if state is OrderState.CLOSED else {}
    after = order.model_copy(update={"state": state, "version": sequence} | closed)
    place = (order.dataset, order.department, order.partition)
    return (order.number, sequence, "generated", state, *place, day, "{}", after.model_dump_json())


class _Loaders:
    """Rows on their way into four tables, sent in portions."""

    def __init__(self, session: psycopg.Connection[Any]) -> None:
        self._session = session
        self._rows: dict[str, list[tuple[Any, ...]]] = {name: [] for name in _COLUMNS}

    def run(self, number: int, dataset: str, day: date, rules: int, chance: random.Random) -> None:
        """One delivery, judged and released; some come late, some are held."""
        late, held = chance.random() < 0.05, chance.random() < 0.03
        hour = 10 if late else 6
        landed = datetime(day.year, day.month, day.day, hour, tzinfo=ZONE) + timedelta(days=1)
        delivery, key = f"{number:016x}", (dataset, day.isoformat())
        results = [_result(dataset, rule, chance) for rule in range(rules)]
        receipt = _receipt(*key, delivery, landed)
        self._add("delivery", (number, *key, delivery, 1, landed, json.dumps(receipt), landed))
        record = json.dumps(_validation(*key, delivery, results))
        judged = landed + timedelta(minutes=2)
        self._add("validation", (number, *key, delivery, "c" * 64, record, judged))
        verdict = {**_place(*key, delivery), "contract_sha256": "c" * 64, "validated": _object()}
        verdict |= {"rows": 9_900, "released": not held}
        self._add(
            "release",
            (number, *key, delivery, not held, "a" * 64, json.dumps(verdict), judged),
        )
        for result in results:
            self._add("rule_result", _result_row(number, result))
        if len(self._rows["rule_result"]) >= 100_000:
            self.flush()

    def flush(self) -> None:
        """Send what has gathered."""
        for name, rows in self._rows.items():
            columns = ", ".join(_COLUMNS[name])
            with self._session.cursor().copy(
                f"COPY cityledger.{name} ({columns}) FROM STDIN"
            ) as copy:
                for row in rows:
                    copy.write_row(row)
            rows.clear()

    def _add(self, name: str, row: tuple[Any, ...]) -> None:
        self._rows[name].append(row)


_PLACE = ("id", "dataset", "partition", "delivery")
_COLUMNS = {
    "delivery": (*_PLACE, "sequence", "landed_at", "record", "saved_at"),
    "validation": (*_PLACE, "contract_sha256", "record", "saved_at"),
    "release": (*_PLACE, "released", "validated_sha256", "record", "saved_at"),
    "rule_result": (
        *("validation_id", "key", "rule", "columns", "scope", "severity", "gb_code"),
        *("dimension", "evaluated", "failed", "status", "message"),
    ),
}


def _result(dataset: str, rule: int, chance: random.Random) -> dict[str, Any]:
    failed = chance.randrange(40) if chance.random() < 0.2 else 0
    status = ("failed" if failed > 36 else "warning") if failed else "passed"
    return {
        "key": f"{dataset}.column_{rule}.rule_{rule}",
        "rule": "between",
        "columns": [f"column_{rule}"],
        "scope": "row",
        "severity": "block",
        "gb_code": _CODES[rule % len(_CODES)],
        "dimension": "accuracy",
        "evaluated": 10_000,
        "failed": failed,
        "status": status,
        "message": "",
    }


def _result_row(run: int, result: dict[str, Any]) -> tuple[Any, ...]:
    return (run, *result.values())


def _place(dataset: str, partition: str, delivery: str) -> dict[str, str]:
    return {"dataset": dataset, "partition": partition, "delivery": delivery}


def _object() -> dict[str, Any]:
    return {"bucket": "b", "key": "k", "version_id": None, "sha256": "a" * 64, "size": 1}


def _landed() -> dict[str, Any]:
    return {**_object(), "name": "tickets.xlsx", "source_uri": "file:///tickets.xlsx"}


def _receipt(dataset: str, partition: str, delivery: str, landed: datetime) -> dict[str, Any]:
    return {
        **_place(dataset, partition, delivery),
        "sequence": 1,
        "objects": [_landed()],
        "landed_at": landed.isoformat(),
        "retain_until": landed.isoformat(),
        "contract_version": "1.0.0",
        "contract_sha256": "c" * 64,
    }


def _validation(
    dataset: str, partition: str, delivery: str, results: list[dict[str, Any]]
) -> dict[str, Any]:
    counts = {"declared": 10_050, "extracted": 10_050, "rejected": 50, "expected_rejects": 48}
    return {
        **_place(dataset, partition, delivery),
        "contract_version": "1.0.0",
        "contract_sha256": "c" * 64,
        "inputs": [_landed()],
        "accounting": {**counts, "parsed": 10_000, "quarantined": 100, "validated": 9_900},
        "results": results,
        "validated": _object(),
        "quarantined": None,
        "rejected": None,
        "rejects": {},
        "quarantined_by_rule": {},
    }


def _age(settings: Settings) -> None:
    """Let each score have been stored with its run: the rebuild stored all of them just now."""
    with _superuser(settings) as session:
        session.execute(
            "UPDATE cityledger.score s SET saved_at = v.saved_at FROM cityledger.validation v"
            " WHERE v.id = s.validation_id"
        )
    with psycopg.connect(settings.database_url.get_secret_value(), autocommit=True) as session:
        session.execute("VACUUM FULL ANALYZE cityledger.score")


@contextmanager
def _superuser(settings: Settings) -> Iterator[psycopg.Connection[Any]]:
    """A session that skips triggers: no check of every foreign key, no refusal of changes."""
    with psycopg.connect(settings.database_url.get_secret_value()) as session:
        session.execute("SET session_replication_role = replica")
        yield session


@contextmanager
def _server(folder: Path) -> Iterator[None]:
    """A database of our own, announced by environment variables."""
    from cityledger_stack.account import server_account
    from cityledger_stack.ports import pick
    from cityledger_stack.postgres import Postgres
    from cityledger_stack.servers import running

    database = Postgres(
        data_dir=folder / "postgres",
        port=pick(),
        password=secrets.token_hex(16),
        account=server_account(),
        durable=False,
    )
    folder.chmod(0o711)  # the database's user must reach its folder
    with running(database, logs=folder):
        with database.connect() as session:
            session.execute("CREATE DATABASE bench")
        os.environ["CITYLEDGER_DATABASE_URL"] = (
            f"postgresql://postgres:{database.password}@127.0.0.1:{database.port}/bench"
        )
        get_settings.cache_clear()
        yield


if __name__ == "__main__":
    main()
