"""Installations whose workers and auditors have accounts of their own."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cityledger.settings import Settings
from cityledger.storage.buckets import Identity
from cityledger_stack.postgres import READER, WRITER, Postgres
from cityledger_stack.prepare import prepare
from cityledger_stack.seaweed import SeaweedFS, pick_ports
from cityledger_stack.servers import running
from psycopg import sql
from pydantic import SecretStr


@pytest.fixture(scope="session")
def guarded_s3(server_dir: Path) -> Iterator[SeaweedFS]:
    """An object store with identities; each test takes a bucket prefix of its own below ``sec-``.

    A policy names buckets with their prefix, and the server reads it once, hence the one prefix.
    """
    server = SeaweedFS(
        data_dir=server_dir / "guarded",
        ports=pick_ports({}),
        access_key="administrator",
        secret_key=secrets.token_hex(16),
        internal_secret=secrets.token_hex(16),
        identities={one: (f"key-of-{one}", secrets.token_hex(16)) for one in Identity},
        bucket_prefix="sec-",
        volume_mb=16,
    )
    with running(server, logs=server_dir):
        yield server


@dataclass(frozen=True)
class Installation:
    """Settings of an administrator, a worker and an auditor on the same servers."""

    owner: Settings
    worker: Settings
    reader: Settings
    s3: SeaweedFS


@pytest.fixture(scope="session")
def installation(
    postgres_server: Postgres,
    guarded_s3: SeaweedFS,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Installation]:
    """A prepared installation; what tests add to it has names of their own."""
    name = f"owner_{secrets.token_hex(4)}"
    passwords = {role: secrets.token_hex(12) for role in (name, WRITER, READER)}
    postgres_server.ensure_database(name, passwords[name])
    postgres_server.ensure_lesser_roles(name, writer=passwords[WRITER], reader=passwords[READER])
    home = tmp_path_factory.mktemp("installation")
    store = f"127.0.0.1:{guarded_s3.ports['s3']}"

    def settings(role: str, access: str, secret: str) -> Settings:
        database = f"postgresql://{role}:{passwords[role]}@127.0.0.1:{postgres_server.port}/{name}"
        made = Settings(
            home=home,
            drop_dir=home / "drop",
            spool_dir=home / "spool",
            bucket_prefix="sec-",
            database_url=SecretStr(database),
            s3_url=SecretStr(f"http://{access}:{secret}@{store}"),
        )
        made.drop_dir.mkdir(exist_ok=True)
        made.spool_dir.mkdir(exist_ok=True)
        return made

    owner = settings(name, guarded_s3.access_key, guarded_s3.secret_key)
    prepare(owner)
    yield Installation(
        owner,
        settings(WRITER, *guarded_s3.identities[Identity.WORKER]),
        settings(READER, *guarded_s3.identities[Identity.READER]),
        guarded_s3,
    )
    with postgres_server.connect() as session:
        session.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
