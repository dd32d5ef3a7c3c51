"""The accounts of workers and auditors on the real servers: what is forbidden is refused there."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from cityledger.demo.generate.generator import generate
from cityledger.ledger.indexer import Indexer
from cityledger.ledger.log import checkpoint
from cityledger.records import ObjectRef
from cityledger.runner import Runner
from cityledger.settings import Settings
from cityledger.storage import duck, tables
from cityledger.storage.address import DatabaseAddress
from cityledger.storage.buckets import BUCKETS, LOCKED, Identity, policy
from cityledger.storage.database import Database
from cityledger.storage.duck import CATALOGUE_SCHEMA
from cityledger.storage.endpoint import S3Endpoint
from cityledger.storage.objects import ObjectStore
from cityledger.storage.privileges import READER, WRITER, grant, index_tables
from cityledger_stack import bootstrap, postgres
from cityledger_stack.credentials import load_or_create
from cityledger_stack.identities import seaweed_config
from cityledger_stack.layout import Layout
from cityledger_stack.plan import Plan
from cityledger_stack.supervisor import Supervisor
from minio import Minio
from minio.commonconfig import COMPLIANCE, GOVERNANCE
from minio.deleteobjects import DeleteObject
from minio.error import S3Error
from minio.retention import Retention
from minio.versioningconfig import SUSPENDED, VersioningConfig
from psycopg import sql

from tests.security.conftest import Installation

DATASET, PARTITION = "health.outpatient_visits", "2026-03-31"
REFUSED = "42501"  # PostgreSQL: insufficient_privilege
READ_ONLY = "25006"  # read_only_sql_transaction


def session(settings: Settings) -> psycopg.Connection:
    """A plain SQL session with the account of the settings."""
    address = DatabaseAddress.from_settings(settings)
    return psycopg.connect(
        host=address.host,
        port=address.port,
        user=address.user,
        password=address.password,
        dbname=address.database,
        autocommit=True,
    )


def refused(settings: Settings, statement: str) -> str:
    """The code with which the database refuses a statement; empty when it obeys."""
    with session(settings) as connection:
        try:
            connection.execute(statement)
        except psycopg.Error as error:
            return error.sqlstate or "unknown"
    return ""


def client(settings: Settings) -> Minio:
    """A plain S3 client with the keys of the settings."""
    endpoint = S3Endpoint.from_settings(settings)
    return Minio(
        endpoint.host,
        endpoint.access_key,
        endpoint.secret_key,
        secure=False,
        region=endpoint.region,
    )


def answer(attempt: Callable[[], object]) -> str:
    """The code with which the store refuses; ``ok`` when it obeys."""
    try:
        attempt()
    except S3Error as error:
        return str(error.code)
    return "ok"


# -- database ---------------------------------------------------------------------------------


def test_a_right_that_was_given_too_much_is_taken_back(installation: Installation) -> None:
    """Installations made by an earlier version keep what it gave them, unless somebody asks."""
    address = DatabaseAddress.from_settings(installation.owner)
    with session(installation.owner) as owner:
        owner.execute(
            sql.SQL("GRANT CREATE ON DATABASE {} TO {}").format(
                sql.Identifier(address.database), sql.Identifier(WRITER)
            )
        )
    assert refused(installation.worker, "CREATE SCHEMA given") == ""
    assert refused(installation.worker, "DROP SCHEMA given") == ""
    grant(Database.from_settings(installation.owner))
    assert refused(installation.worker, "CREATE SCHEMA taken") == REFUSED


def test_a_restored_catalogue_goes_back_to_the_workers(installation: Installation) -> None:
    """A restore leaves schema and tables to its operator; workers could build nothing after it."""
    with session(installation.owner) as owner:
        owner.execute(f"ALTER SCHEMA {CATALOGUE_SCHEMA} OWNER TO CURRENT_USER")
        owner.execute(f"CREATE TABLE {CATALOGUE_SCHEMA}.restored (n integer)")
    grant(Database.from_settings(installation.owner))
    assert refused(installation.worker, f"CREATE TABLE {CATALOGUE_SCHEMA}.added (n integer)") == ""
    for table in ("restored", "added"):
        assert refused(installation.worker, f"DROP TABLE {CATALOGUE_SCHEMA}.{table}") == ""


def test_the_roles_have_one_name_everywhere() -> None:
    """The servers' roles and the rights are made by different modules."""
    assert (postgres.WRITER, postgres.READER) == (WRITER, READER)


def test_journals_are_all_guarded(installation: Installation) -> None:
    """A new journal without its trigger would count as index, and workers could rewrite it."""
    with Database.from_settings(installation.owner).begin() as connection:
        unguarded = index_tables(connection)
    assert unguarded
    assert [name for name in unguarded if not name.startswith("graph_")] == []


def test_nobody_rewrites_the_ledger(installation: Installation) -> None:
    """A worker that was taken over could rewrite what happened, and prove it."""
    with Database.from_settings(installation.owner).begin() as connection:
        index = set(index_tables(connection))
    journals = sorted({table.name for table in tables.metadata.sorted_tables} - index)
    assert len(journals) > 20
    for name in journals:
        table = f"cityledger.{name}"
        column = tables.metadata.tables[table].columns.keys()[-1]
        for statement in (
            f"UPDATE {table} SET {column} = {column}",
            f"DELETE FROM {table}",
            f"TRUNCATE {table}",
        ):
            assert refused(installation.worker, statement) == REFUSED, statement
            assert refused(installation.reader, statement) in {REFUSED, READ_ONLY}, statement
            # The owner has the right; the trigger refuses (integrity_constraint_violation), or a
            # table that refers to this one does (feature_not_supported, for TRUNCATE).
            assert refused(installation.owner, statement) in {"23000", "0A000"}, statement


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE cityledger.outcome DISABLE TRIGGER append_only",
        "ALTER TABLE cityledger.lineage_event DISABLE TRIGGER ALL",
        "DROP TRIGGER append_only ON cityledger.outcome",
        "DROP TABLE cityledger.outcome",
        "ALTER TABLE cityledger.outcome ADD COLUMN x int",
        (
            "CREATE OR REPLACE FUNCTION cityledger.refuse_change() RETURNS trigger LANGUAGE plpgsql"
            " AS $$ BEGIN RETURN NEW; END $$"
        ),
        "CREATE TABLE cityledger.mine (a int)",
        "CREATE TABLE public.mine (a int)",
        "CREATE SCHEMA mine",
        "UPDATE cityledger.alembic_version SET version_num = '0000'",
        "DELETE FROM cityledger.alembic_version",
        "INSERT INTO cityledger.alembic_version VALUES ('9999')",
        "SET session_replication_role = replica",
        "CREATE ROLE mine LOGIN",
        f"ALTER ROLE {WRITER} CREATEROLE",
        "COPY cityledger.outcome TO PROGRAM 'cat'",
        "SELECT pg_read_file('/etc/passwd')",
    ],
)
def test_there_is_no_way_round(installation: Installation, statement: str) -> None:
    """A trigger that the attacker may switch off, or replace, keeps nothing."""
    assert refused(installation.worker, statement) == REFUSED
    assert refused(installation.reader, statement) in {REFUSED, READ_ONLY}


def test_an_auditor_reads_everything_and_writes_nothing(installation: Installation) -> None:
    """The account with which somebody looks may not leave anything behind."""
    with session(installation.reader) as connection:
        for table in tables.metadata.sorted_tables:
            connection.execute(f"SELECT * FROM cityledger.{table.name} LIMIT 1")  # type: ignore[call-overload]
    for switch in ("", "SET default_transaction_read_only = off; "):
        assert refused(
            installation.reader,
            f"{switch}INSERT INTO cityledger.graph_namespace (name) VALUES ('x')",
        ) in {REFUSED, READ_ONLY}


def test_other_databases_are_closed(installation: Installation, postgres_server: object) -> None:
    """Airflow's passwords and connections lie on the same server."""
    assert isinstance(postgres_server, postgres.Postgres)
    postgres_server.ensure_database("other_program", "a-password")
    address = DatabaseAddress.from_settings(installation.worker)
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        psycopg.connect(
            host=address.host,
            port=address.port,
            user=address.user,
            password=address.password,
            dbname="other_program",
        )


def test_a_worker_does_its_work(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rights that stop the pipeline would be given up for the owner's within a day."""
    worker = installation.worker
    for name, value in {
        "CITYLEDGER_HOME": str(worker.home),
        "CITYLEDGER_BUCKET_PREFIX": worker.bucket_prefix,
    }.items():
        monkeypatch.setenv(name, value)
    generate(worker.drop_dir, scale=0.01, seed=1)
    runner = Runner(worker)
    runner.extract_land(DATASET, PARTITION)
    runner.parse_validate(DATASET, PARTITION)
    runner.release(DATASET, PARTITION)
    database = Database.from_settings(worker)
    assert Indexer(database).catch_up(30.0).current
    assert checkpoint(worker).tree_size > 0
    database.migrate()  # nothing to do, hence nothing to refuse
    with duck.connect(worker, lake=True) as lake:
        lake.execute("CREATE TABLE lake.main.t AS SELECT range AS a FROM range(10000)")
        lake.execute("INSERT INTO lake.main.t VALUES (1)")
        lake.execute("DELETE FROM lake.main.t WHERE a = 5")
    with duck.connect(installation.owner, lake=True) as lake:
        lake.execute("CREATE TABLE lake.main.of_the_administrator AS SELECT 1 AS a")
    with duck.connect(worker, lake=True) as lake:
        lake.execute("INSERT INTO lake.main.of_the_administrator VALUES (2)")
        lake.execute("DROP TABLE lake.main.of_the_administrator")
    with duck.connect(installation.reader, lake=True, read_only=True) as lake:
        assert lake.execute("SELECT count(*) FROM lake.main.t").fetchone() == (10000,)
        with pytest.raises(Exception, match="read-only"):
            lake.execute("INSERT INTO lake.main.t VALUES (1)")
    assert grant(Database.from_settings(installation.owner)) == (WRITER, READER)


# -- object store -----------------------------------------------------------------------------


@pytest.fixture
def landed(installation: Installation) -> ObjectRef:
    """A version in landing that no retention keeps: only the rights do."""
    store = ObjectStore.from_settings(installation.owner)
    return store.put_bytes("landing", f"x/{datetime.now(UTC).timestamp()}", b"original")


@pytest.mark.parametrize("who", ["worker", "reader"])
def test_nobody_deletes_from_landing(
    installation: Installation, landed: ObjectRef, who: str
) -> None:
    """An original that is gone takes the proof of every number with it."""
    s3 = client(getattr(installation, who))
    bucket, key, version = landed.bucket, landed.key, landed.version_id
    assert version
    assert answer(lambda: s3.remove_object(bucket, key)) == "AccessDenied"
    assert answer(lambda: s3.remove_object(bucket, key, version)) == "AccessDenied"
    errors = s3.remove_objects(bucket, [DeleteObject(key, version), DeleteObject(key)])
    assert [error.code for error in errors] == ["AccessDenied"] * 2
    assert s3.get_object(bucket, key, version_id=version).read() == b"original"


@pytest.mark.parametrize("who", ["worker", "reader", "owner"])
def test_nobody_goes_round_a_retention(installation: Installation, who: str) -> None:
    """Compliance mode binds the administrator too: who is bribed has nothing to sell."""
    s3 = client(getattr(installation, who))
    until = datetime.now(UTC) + timedelta(hours=1)
    store = ObjectStore.from_settings(installation.owner)
    kept = store.put_bytes("landing", f"kept/{who}", b"x", retain_until=until)
    bypass = {"x-amz-bypass-governance-retention": "true"}
    place = {"bucket_name": kept.bucket, "object_name": kept.key}
    query = {"versionId": str(kept.version_id)}
    for headers in ({}, bypass):
        delete = s3._execute  # minio's client has no argument for the header
        assert (
            answer(
                lambda delete=delete, headers=headers: delete(
                    "DELETE", **place, query_params=query, headers=headers
                )
            )
            == "AccessDenied"
        ), headers
    sooner = Retention(COMPLIANCE, datetime.now(UTC) + timedelta(seconds=2))
    softer = Retention(GOVERNANCE, until + timedelta(days=1))
    for retention in (sooner, softer):
        assert (
            answer(
                lambda retention=retention: s3.set_object_retention(
                    kept.bucket, kept.key, retention, kept.version_id
                )
            )
            != "ok"
        ), retention.mode
    found = client(installation.owner).get_object_retention(kept.bucket, kept.key, kept.version_id)
    assert found
    assert (found.mode, found.retain_until_date) == (COMPLIANCE, until.replace(microsecond=0))


def test_a_worker_changes_no_settings_of_buckets(installation: Installation) -> None:
    """Switching versions off, or a policy of one's own, opens everything else."""
    s3 = client(installation.worker)
    own = json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": "*",
                    "Action": "s3:*",
                    "Resource": ["arn:aws:s3:::sec-landing/*"],
                }
            ],
        }
    )
    for attempt in (
        lambda: s3.set_bucket_versioning("sec-landing", VersioningConfig(SUSPENDED)),
        lambda: s3.delete_object_lock_config("sec-landing"),
        lambda: s3.set_bucket_policy("sec-landing", own),
        lambda: s3.remove_bucket("sec-published"),
        lambda: s3.make_bucket("sec-mine"),
        lambda: s3.get_object("sec-elsewhere", "x"),
    ):
        assert answer(attempt) == "AccessDenied"


def test_a_worker_puts_off_the_end_of_a_retention(installation: Installation) -> None:
    """Landing the same bytes for a longer kept contract must still be possible."""
    store = ObjectStore.from_settings(installation.worker)
    soon, late = (datetime.now(UTC) + timedelta(hours=hours) for hours in (1, 2))
    kept = store.put_bytes("landing", "put-off", b"x", retain_until=soon)
    store.extend_retention(kept, late)
    found = client(installation.owner).get_object_retention(kept.bucket, kept.key, kept.version_id)
    assert found
    assert found.retain_until_date == late.replace(microsecond=0)


def test_a_reader_reads_and_writes_nothing(installation: Installation, landed: ObjectRef) -> None:
    """The keys in an auditor's notebook may not change what it shows."""
    s3 = client(installation.reader)
    assert s3.get_object(landed.bucket, landed.key).read() == b"original"
    for name in BUCKETS:
        attempt = answer(lambda name=name: s3.put_object(f"sec-{name}", "x", io.BytesIO(b"x"), 1))
        assert attempt == "AccessDenied", name


def test_the_keys_of_others_open_nothing(installation: Installation) -> None:
    """A reference to a variable that is not set must not become a key that anybody can guess."""
    host = S3Endpoint.from_settings(installation.owner).host
    for identity in Identity:
        name = f"CITYLEDGER_S3_{identity.name}"
        guess = Minio(
            host,
            f"${{{name}_ACCESS_KEY}}",
            f"${{{name}_SECRET_KEY}}",
            secure=False,
            region="us-east-1",
        )
        assert answer(guess.list_buckets) == "InvalidAccessKeyId"


def test_policies_never_name_what_destroys() -> None:
    """The document for other S3 servers is held by reading it, for there is none to ask here."""
    for identity in Identity:
        document = policy(identity, bucket_prefix="city-")
        actions = {
            (action, resource)
            for statement in document["Statement"]
            for action in statement["Action"]
            for resource in statement["Resource"]
        }
        assert {statement["Effect"] for statement in document["Statement"]} == {"Allow"}
        names = {action for action, _ in actions}
        assert not any("*" in action for action in names)
        assert not names & {
            "s3:DeleteObjectVersion",
            "s3:BypassGovernanceRetention",
            "s3:PutBucketPolicy",
            "s3:PutBucketVersioning",
            "s3:PutBucketObjectLockConfiguration",
            "s3:PutObjectLegalHold",
            "s3:DeleteBucket",
        }
        deletes = {resource for action, resource in actions if action == "s3:DeleteObject"}
        assert not any(name in resource for name in LOCKED for resource in deletes)
        if identity is Identity.READER:
            assert all(name.startswith(("s3:Get", "s3:List")) for name in names)


def test_the_stores_file_holds_no_secret() -> None:
    """The file lies beside the data, is copied with it and read by whoever mends the server."""
    for identity in seaweed_config()["identities"]:
        for keys in identity["credentials"]:
            assert all(value.startswith("${CITYLEDGER_S3_") for value in keys.values())


# -- the embedded stack -----------------------------------------------------------------------


def test_airflows_processes_get_the_lesser_accounts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Accounts that no process uses protect nothing; and the caller's own word still wins."""
    for name in ("CITYLEDGER_DATABASE_URL", "CITYLEDGER_S3_URL"):
        monkeypatch.delenv(name, raising=False)
    layout = Layout(tmp_path)
    layout.create()
    credentials = load_or_create(layout.secrets)
    ports = {"postgres": 1, "api-server": 2, "redis": 3, "worker-logs": 4, "s3:s3": 5}

    def environment() -> dict[str, str]:
        plan = Plan.from_environment(airflow=True)
        return bootstrap.airflow_env(Supervisor(layout, plan), credentials, ports)

    env = environment()
    assert f"//{WRITER}:{credentials.database_writer}@" in env["CITYLEDGER_DATABASE_URL"]
    assert f"//{credentials.s3_worker_access_key}:" in env["CITYLEDGER_S3_URL"]
    assert credentials.database not in str(env)
    assert credentials.s3_secret_key not in str(env)
    monkeypatch.setenv("CITYLEDGER_DATABASE_URL", "postgresql://city@db.example/city")
    assert environment()["CITYLEDGER_DATABASE_URL"] == "postgresql://city@db.example/city"
