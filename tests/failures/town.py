"""A town of its own: database, object store and command line as processes that tests may kill."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cityledger.contracts.identity import DatasetId
from cityledger.runner import Runner
from cityledger.settings import Settings
from cityledger.storage import tables
from cityledger.storage.database import Database
from cityledger.storage.objects import LANDING, ObjectStore
from cityledger_stack.account import server_account
from cityledger_stack.ports import LOOPBACK, pick
from cityledger_stack.postgres import Postgres
from cityledger_stack.processes import Child, spawn
from cityledger_stack.seaweed import SeaweedFS, pick_ports
from cityledger_stack.servers import Server, wait_healthy
from sqlalchemy import func, select

from tests.failures.gate import Gate

ROOT = Path(__file__).resolve().parents[2]
DATASET, PARTITION = "transport.metro_trips", "2026-03-31"
RUN = ("run", DATASET, "-p", PARTITION)
JUDGED = (*RUN, "--to-stage", "release")


@dataclass(frozen=True)
class Ran:
    """What a command came to."""

    code: int
    out: str
    err: str

    @property
    def report(self) -> Any:
        """Its JSON document."""
        return json.loads(self.out[self.out.index("{") :])

    @property
    def error(self) -> dict[str, str]:
        """The one error it told, as ``--json`` tells it; two, or a traceback, are too many."""
        lines = [line for line in self.err.splitlines() if line.startswith("{")]
        assert len(lines) == 1, self.err
        assert "Traceback" not in self.err, self.err
        return dict(json.loads(lines[0])["error"])


class Part:
    """A server that can be killed and started again, and the gate before it."""

    def __init__(self, server: Server, port: int, logs: Path) -> None:
        self.server, self.port, self.logs = server, port, logs
        self.child: Child | None = None
        self.gate = Gate(port)

    def start(self) -> None:
        """Start it, wait until it answers."""
        log = self.logs / f"{self.server.name}.log"
        self.server.prepare()
        self.child = spawn(self.server.command(), log)
        wait_healthy(self.server, self.child, log, timeout=60)

    def kill(self) -> None:
        """As a power cut does it."""
        if self.child is not None:
            self.child.popen.kill()
            self.child.await_end(10)
            self.child = None

    def stop(self) -> None:
        """In order."""
        if self.child is not None:
            self.child.ask_to_stop()
            self.child.await_end(10)
            self.child = None

    def fall_at(self, words: bytes) -> threading.Event:
        """Be killed when these words come by; the event is set then."""
        fallen = threading.Event()

        def fall() -> None:
            # Started again by the test's own thread: the kernel ends a server with the thread that
            # started it.
            if self.child is not None:
                self.child.popen.kill()
                self.child.popen.wait(10)
            fallen.set()

        self.gate.on(words, fall)
        return fallen

    def come_back(self) -> None:
        """Start again after :meth:`fall_at`."""
        self.kill()
        self.start()


class Town:
    """One installation on servers of its own.

    Args:
        place: A folder that the database's account can reach.
        patience: How long a run waits for a service, in seconds.
        disks: Where ``postgres`` or ``s3`` keep their data, if not below ``place``.
    """

    def __init__(
        self, place: Path, patience: float = 30.0, disks: Mapping[str, Path] | None = None
    ) -> None:
        disks = {"postgres": place, "s3": place, **(disks or {})}
        self.place = place
        place.mkdir(mode=0o711, exist_ok=True)
        self.password, self.key = f"pw{secrets.token_hex(12)}", secrets.token_hex(16)
        postgres = Postgres(
            data_dir=disks["postgres"] / "postgres",
            port=pick(),
            password=self.password,
            account=server_account(),
            durable=True,
        )
        ports = pick_ports({})
        weed = SeaweedFS(
            data_dir=disks["s3"] / "s3",
            ports=ports,
            access_key="town",
            secret_key=self.key,
            internal_secret=secrets.token_hex(16),
            volume_mb=16,
        )
        self.postgres = Part(postgres, postgres.port, place)
        self.s3 = Part(weed, ports["s3"], place)
        self.environment = {
            "CITYLEDGER_HOME": str(place / "home"),
            "CITYLEDGER_DROP_DIR": str(place / "home" / "drop"),
            "CITYLEDGER_SPOOL_DIR": str(place / "home" / "spool"),
            "CITYLEDGER_DATABASE_URL": self.database_url("postgres"),
            "CITYLEDGER_S3_URL": f"http://town:{self.key}@{LOOPBACK}:{self.s3.gate.port}",
            "CITYLEDGER_PSEUDONYM_KEY": secrets.token_hex(32),
            "CITYLEDGER_PATIENCE_SECONDS": str(patience),
        }

    def database_url(self, database: str, password: str | None = None) -> str:
        """A superuser's address of a database, through the gate."""
        at = f"{LOOPBACK}:{self.postgres.gate.port}"
        return f"postgresql://postgres:{password or self.password}@{at}/{database}"

    def start(self) -> None:
        """Start the servers."""
        self.postgres.start()
        self.s3.start()

    def stop(self) -> None:
        """Stop them; what is left belongs to the temporary folder."""
        for part in (self.postgres, self.s3):
            part.stop()
            part.gate.close()

    def settings(self, **changes: str) -> Settings:
        """Settings as the command line reads them, but past the gates.

        Those are threads of this process, and DuckDB may keep Python from running while it waits.
        """
        given = {**self.environment, **changes}
        for part in (self.postgres, self.s3):
            through, straight = f":{part.gate.port}", f":{part.port}"
            given = {name: value.replace(through, straight) for name, value in given.items()}
        return Settings(
            **{name.removeprefix("CITYLEDGER_").lower(): value for name, value in given.items()}  # type: ignore[arg-type]
        )

    def prepare(self) -> None:
        """Tables and buckets."""
        settings = self.settings()
        for folder in (settings.home, self.drop_dir):
            folder.mkdir(parents=True, exist_ok=True)
        database = Database.from_settings(settings)
        database.migrate()
        database.close()
        ObjectStore.from_settings(settings).ensure_buckets()

    @property
    def drop_dir(self) -> Path:
        """Where departments put their files."""
        return self.place / "home" / "drop"

    def run(self, *words: str, wrapper: Sequence[str] = (), **changes: str) -> Ran:
        """A command in a process of its own, to its end."""
        return ended(self.begin(*words, wrapper=wrapper, **changes))

    def begin(
        self, *words: str, wrapper: Sequence[str] = (), **changes: str
    ) -> subprocess.Popen[str]:
        """Start a command."""
        command = ("-c", "from cityledger.cli.main import main; main()", *words, "--json")
        return self.begin_python(*command, wrapper=wrapper, **changes)

    def run_at(self, seconds: float, *words: str, **changes: str) -> Ran:
        """A command in a process whose clock is so many seconds ahead."""
        shifted = ("-m", "tests.failures.shifted", str(seconds), *words, "--json")
        return ended(self.begin_python(*shifted, **changes))

    def begin_python(
        self, *words: str, wrapper: Sequence[str] = (), **changes: str
    ) -> subprocess.Popen[str]:
        """Start Python in the town's environment."""
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
        return subprocess.Popen(
            [*wrapper, sys.executable, *words],
            cwd=ROOT,
            env={**kept, **self.environment, **changes},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


def ended(process: subprocess.Popen[str], *, killed: bool = False, seconds: float = 120) -> Ran:
    """A command at its end, which may be made to come."""
    if killed:
        process.send_signal(signal.SIGKILL)
    try:
        out, err = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    return Ran(process.returncode, out, err)


@dataclass(frozen=True)
class Left:
    """What a dataset's partition has left everywhere; two of anything is a duplicate."""

    versions: tuple[int, ...]
    deliveries: int
    validations: int
    releases: int
    validated: str
    rows: int
    published: str


def left(town: Town, dataset: str, partition: str) -> Left:
    """Count what lies in the landing bucket and in the journals."""
    runner = Runner(town.settings())
    objects: Counter[str] = Counter()
    name = runner.store.bucket(LANDING)
    for prefix in (DatasetId.parse(dataset).prefix, f"_receipts/{DatasetId.parse(dataset).prefix}"):
        for item in runner.store._client.list_objects(
            name, prefix=f"{prefix}/{partition}/", recursive=True, include_version=True
        ):
            objects[str(item.object_name)] += 1
    receipt = runner.journal.current_receipt(dataset, partition)
    assert receipt is not None
    verdict = runner.journal.find_release(dataset, partition, receipt.delivery)
    assert verdict is not None
    newest = runner.journal.latest_standardisation()
    publication = runner.journal.find_publication(newest.snapshot_id) if newest else None
    with runner.database.begin() as connection:
        counts = [
            connection.scalar(
                select(func.count())
                .select_from(table)
                .where(table.c.dataset == dataset, table.c.partition == partition)
            )
            for table in (tables.delivery, tables.validation, tables.release)
        ]
    runner.database.close()
    return Left(
        tuple(sorted(objects.values())),
        *(count or 0 for count in counts),
        validated=verdict.validated.sha256,
        rows=verdict.rows,
        published=publication.content_sha256 if publication else "",
    )


def undisturbed(town: Town, dataset: str, partition: str) -> str:
    """The digest of the good rows when nothing interferes: judged anew in another database."""
    name = f"undisturbed_{secrets.token_hex(4)}"
    server = town.postgres.server
    assert isinstance(server, Postgres)
    with server.connect() as session:
        session.execute(f"CREATE DATABASE {name}")
    runner = Runner(town.settings(CITYLEDGER_DATABASE_URL=town.database_url(name)))
    runner.database.migrate()
    runner.extract_land(dataset, partition)
    digest = runner.parse_validate(dataset, partition).validated.sha256
    runner.database.close()
    return digest
