"""The order of a start: database and object store together, Airflow once its tables are there."""

from __future__ import annotations

import os
from importlib.metadata import version
from typing import TYPE_CHECKING

from cityledger.settings import Settings
from cityledger.storage.buckets import Identity
from cityledger.storage.private_files import write_private
from psycopg import sql
from pydantic import SecretStr

from cityledger_stack import airflow, celery
from cityledger_stack.credentials import Credentials, load_or_create
from cityledger_stack.layout import Layout, postgres_place
from cityledger_stack.plan import (
    AIRFLOW,
    AIRFLOW_PARTS,
    BUCKET_PREFIX,
    DATABASE,
    LOGS_PART,
    OBJECTS,
    PSEUDONYM_KEY,
    Plan,
)
from cityledger_stack.ports import LOOPBACK, pick
from cityledger_stack.postgres import WRITER, Postgres
from cityledger_stack.processes import Child, spawn
from cityledger_stack.redis import Redis
from cityledger_stack.seaweed import SeaweedFS, pick_ports
from cityledger_stack.state import StackState

if TYPE_CHECKING:
    from cityledger_stack.supervisor import Supervisor

DEFAULT_PORTS = {
    "postgres": 55432,
    "s3": 8333,
    "api-server": 8080,
    "redis": 6379,
    LOGS_PART: 8793,
}
_AIRFLOW_START = 300.0  # seconds; a cold disk and two cores that others keep busy


def start(supervisor: Supervisor) -> None:
    """Start every embedded part.

    Raises:
        CityLedgerError: A part cannot be started.
    """
    layout, plan = supervisor.layout, supervisor.plan
    credentials = load_or_create(layout.secrets, needed_by=layout.postgres_dirs)
    ports = choose_ports(supervisor)
    database = None
    supervisor.say("starting database and object store")
    if plan.runs_s3:
        supervisor.launch(_object_store(layout, credentials, ports))
    if plan.runs_broker:
        supervisor.launch(_broker(layout, credentials, ports))
    if plan.runs_postgres:
        database = _database(layout, credentials, ports["postgres"])
        supervisor.launch(database)
        supervisor.await_healthy("postgres")
        database.ensure_database("cityledger", credentials.database)
        database.ensure_database("airflow", credentials.airflow_database)
        database.ensure_lesser_roles(
            "cityledger", writer=credentials.database_writer, reader=credentials.database_reader
        )
    urls = _urls(supervisor, credentials, ports)
    _write_stack_env(layout, urls)
    migration = _start_airflow_migration(supervisor, credentials, database, ports)
    if plan.runs_s3:
        supervisor.await_healthy("s3")
    if plan.runs_broker:
        supervisor.await_healthy("redis")
    supervisor.say("preparing tables and buckets")
    _prepare_platform(layout, urls)
    if plan.runs_airflow:
        _start_airflow(supervisor, credentials, database, ports, migration)


def choose_ports(supervisor: Supervisor) -> dict[str, int]:
    """Ports for the embedded parts: last time's, else the defaults, else any free ones."""
    known = StackState.load(supervisor.layout.state.with_name("ports.json")).ports
    ports: dict[str, int] = {}
    queue = ("redis", LOGS_PART) if supervisor.plan.runs_workers else ()
    for part in ("postgres", "api-server", *queue):
        wanted = [known[part]] if part in known else []
        ports[part] = pick([*wanted, DEFAULT_PORTS[part]], taken=ports.values())
    s3_known = {name.removeprefix("s3:"): port for name, port in known.items()}
    chosen = pick_ports(s3_known, s3=DEFAULT_PORTS["s3"], taken=ports.values())
    ports |= {f"s3:{name}": port for name, port in chosen.items()}
    state = supervisor.state
    state.ports = ports
    shown = {**ports, "s3": chosen["s3"]}
    state.moved_ports = {
        part: f"port {usual} is taken, {part} uses {shown[part]}"
        for part, usual in DEFAULT_PORTS.items()
        if part in supervisor.plan.embedded() and shown[part] != usual
    }
    StackState(ports={**known, **ports}).save(supervisor.layout.state.with_name("ports.json"))
    return ports


def _object_store(layout: Layout, credentials: Credentials, ports: dict[str, int]) -> SeaweedFS:
    return SeaweedFS(
        data_dir=layout.s3,
        ports={
            name.removeprefix("s3:"): port for name, port in ports.items() if name.startswith("s3:")
        },
        access_key=credentials.s3_access_key,
        secret_key=credentials.s3_secret_key,
        internal_secret=credentials.s3_internal,
        identities={
            Identity.WORKER: (credentials.s3_worker_access_key, credentials.s3_worker_secret_key),
            Identity.READER: (credentials.s3_reader_access_key, credentials.s3_reader_secret_key),
        },
        bucket_prefix=os.environ.get(BUCKET_PREFIX, ""),
        marker=str(layout.home),
    )


def _broker(layout: Layout, credentials: Credentials, ports: dict[str, int]) -> Redis:
    return Redis(
        data_dir=layout.redis,
        port=ports["redis"],
        password=credentials.redis,
        marker=str(layout.home),
    )


def _database(layout: Layout, credentials: Credentials, port: int) -> Postgres:
    place = postgres_place(layout)
    return Postgres(
        data_dir=place.data_dir,
        port=port,
        password=credentials.postgres,
        account=place.account,
        binaries=place.binaries,
        note=place.note,
    )


def _urls(
    supervisor: Supervisor, credentials: Credentials, ports: dict[str, int]
) -> dict[str, str]:
    plan, one = supervisor.plan, credentials
    urls: dict[str, str] = {}
    if plan.database_url is None:
        at = f"{LOOPBACK}:{ports['postgres']}"
        urls[DATABASE] = f"postgresql://cityledger:{one.database}@{at}/cityledger"
    if plan.s3_url is None:
        keys = f"{one.s3_access_key}:{one.s3_secret_key}"
        urls[OBJECTS] = f"http://{keys}@{LOOPBACK}:{ports['s3:s3']}"
    if plan.runs_airflow:
        urls[AIRFLOW] = f"http://admin:{one.airflow_admin}@{LOOPBACK}:{ports['api-server']}"
    # Made once and kept: with another key every person would get another pseudonym.
    if not os.environ.get(PSEUDONYM_KEY):
        urls[PSEUDONYM_KEY] = one.pseudonym_key
    return urls


def _write_stack_env(layout: Layout, urls: dict[str, str]) -> None:
    with write_private(layout.stack_env) as target:
        lines = (f"{name}={value}\n" for name, value in urls.items())
        target.write_text("".join(lines), "utf-8")


def _prepare_platform(layout: Layout, urls: dict[str, str]) -> None:
    # Imported here: the servers are starting meanwhile.
    from cityledger_stack.prepare import prepare

    given = {
        "database_url": urls.get(DATABASE) or os.environ.get(DATABASE),
        "s3_url": urls.get(OBJECTS) or os.environ.get(OBJECTS),
    }
    secrets = {name: SecretStr(url) for name, url in given.items() if url}
    prepare(Settings(home=layout.home, **secrets))  # type: ignore[arg-type]


# -- Airflow ---------------------------------------------------------------------------------


def airflow_env(
    supervisor: Supervisor, credentials: Credentials, ports: dict[str, int]
) -> dict[str, str]:
    """The environment of Airflow's processes by the supervisor's plan."""
    at = f"{LOOPBACK}:{ports['postgres']}"
    own = f"postgresql+psycopg://airflow:{credentials.airflow_database}@{at}/airflow"
    env = airflow.environment(
        supervisor.layout,
        credentials,
        port=ports["api-server"],
        database_url=supervisor.plan.airflow_database_url or own,
        marker=str(supervisor.layout.home),
        queue=_queue(supervisor, credentials, ports),
        addresses=_worker_addresses(supervisor.plan),
    )
    return {**_workers_accounts(supervisor.plan, credentials, ports), **env}


def _workers_accounts(
    plan: Plan, credentials: Credentials, ports: dict[str, int]
) -> dict[str, str]:
    """The addresses of the embedded servers with the accounts of those who may do less."""
    one, accounts = credentials, {}
    if plan.database_url is None:
        at = f"{LOOPBACK}:{ports['postgres']}"
        accounts[DATABASE] = f"postgresql://{WRITER}:{one.database_writer}@{at}/cityledger"
    if plan.s3_url is None:
        keys = f"{one.s3_worker_access_key}:{one.s3_worker_secret_key}"
        accounts[OBJECTS] = f"http://{keys}@{LOOPBACK}:{ports['s3:s3']}"
    return accounts


def _queue(
    supervisor: Supervisor, credentials: Credentials, ports: dict[str, int]
) -> dict[str, str]:
    plan = supervisor.plan
    if not plan.runs_workers:
        return {}
    url = plan.broker_url or _broker(supervisor.layout, credentials, ports).url
    return celery.options(
        broker_url=url,
        workers=plan.workers,
        slots=airflow.task_slots(),
        log_port=ports[LOGS_PART],
    )


def _worker_addresses(plan: Plan) -> tuple[str, ...]:
    numbers = range(1, plan.workers + 1) if plan.runs_workers else ()
    return tuple(celery.loopback_of(number) for number in numbers)


def _start_airflow_migration(
    supervisor: Supervisor,
    credentials: Credentials,
    database: Postgres | None,
    ports: dict[str, int],
) -> Child | None:
    """Begin Airflow's slow migration early; None when it is not needed."""
    plan, layout = supervisor.plan, supervisor.layout
    if not plan.runs_airflow:
        return None
    airflow.prepare(layout, credentials)
    if plan.airflow_database_url is None and database is not None and _is_migrated(database):
        return None
    env = airflow_env(supervisor, credentials, ports)
    return spawn(airflow.command(("db", "migrate"), layout, env), layout.log("airflow-migrate"))


def _start_airflow(
    supervisor: Supervisor,
    credentials: Credentials,
    database: Postgres | None,
    ports: dict[str, int],
    migration: Child | None,
) -> None:
    layout = supervisor.layout
    if migration is not None:
        supervisor.say("migrating Airflow's database")
        supervisor.await_child(
            migration, "Airflow's database migration", layout.log("airflow-migrate")
        )
        if database is not None and supervisor.plan.airflow_database_url is None:
            _remember_migration(database)
    supervisor.say("starting Airflow")
    env = airflow_env(supervisor, credentials, ports)
    for name in AIRFLOW_PARTS:
        supervisor.launch(airflow.AirflowPart(name, layout, env, ports["api-server"]))
    plan = supervisor.plan
    if plan.runs_workers:
        addresses = _worker_addresses(plan)
        supervisor.launch(celery.WorkerLogs(addresses, ports[LOGS_PART], layout, env))
        for number in range(1, plan.workers + 1):
            supervisor.launch(celery.Worker(number, layout, env))
    for name in (*AIRFLOW_PARTS, *plan.worker_parts()):
        supervisor.await_healthy(name, timeout=_AIRFLOW_START)


def _stamp() -> str:
    # Another auth manager brings tables of its own.
    accounts = os.environ.get("AIRFLOW__CORE__AUTH_MANAGER", "simple")
    return f"apache-airflow {version('apache-airflow-core')} {accounts}"


def _is_migrated(database: Postgres) -> bool:
    # The mark is a comment on the database, so it cannot outlive it as a file could.
    with database.connect() as session:
        row = session.execute(
            "SELECT shobj_description(oid, 'pg_database') FROM pg_database "
            "WHERE datname = 'airflow'"
        ).fetchone()
    return row is not None and row[0] == _stamp()


def _remember_migration(database: Postgres) -> None:
    with database.connect() as session:
        session.execute(sql.SQL("COMMENT ON DATABASE airflow IS {}").format(sql.Literal(_stamp())))
