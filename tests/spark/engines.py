"""Spark Connect engines for tests: Sail from its wheel, Apache Spark from a full ``pyspark``."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cityledger.errors import UnavailableError
from cityledger.storage.endpoint import S3Endpoint
from cityledger_stack.ports import LOOPBACK, pick
from cityledger_stack.processes import Command, clean_env
from cityledger_stack.seaweed import SeaweedFS, weed_binary
from cityledger_stack.servers import Server, running

_HEAP = "900m"  # the least that Spark's driver starts with is 450 MB
_EXECUTOR = "640m"


@dataclass
class Listening(Server):
    """A server that is ready when its port answers."""

    name: str
    port: int
    started: Command

    def prepare(self) -> None:
        self.started.cwd.mkdir(parents=True, exist_ok=True)

    def command(self) -> Command:
        return self.started

    def healthy(self) -> bool:
        with socket.socket() as probe:
            probe.settimeout(1)
            return probe.connect_ex((LOOPBACK, self.port)) == 0

    @property
    def address(self) -> str:
        return f"sc://{LOOPBACK}:{self.port}"


def sail(folder: Path, s3_url: str) -> Listening:
    """Sail, with the object store's address."""
    endpoint = S3Endpoint.parse(s3_url)
    port = pick()
    return Listening(
        name="sail",
        port=port,
        started=Command(
            argv=(
                str(Path(sys.executable).with_name("sail")),
                *("spark", "server", "--ip", LOOPBACK, "--port", str(port)),
            ),
            env=clean_env(
                {
                    "AWS_ACCESS_KEY_ID": endpoint.access_key,
                    "AWS_SECRET_ACCESS_KEY": endpoint.secret_key,
                    "AWS_ENDPOINT": f"http://{endpoint.host}",
                    "AWS_REGION": endpoint.region,
                    "AWS_ALLOW_HTTP": "true",
                    "AWS_VIRTUAL_HOSTED_STYLE_REQUEST": "false",
                }
            ),
            cwd=folder / "sail",
        ),
    )


@contextmanager
def mounted(folder: Path, store: SeaweedFS) -> Iterator[None]:
    """The object store's buckets as a folder: the pyspark wheel has no S3 file system."""
    mount = _mount(folder, store)
    with running(mount, logs=folder):
        try:
            yield
        finally:
            # Nobody can remove the folder of a mount whose server is gone.
            subprocess.run(["umount", "--lazy", mount.target], check=True)


def _mount(folder: Path, store: SeaweedFS) -> Mount:
    secret = store.internal_secret
    keys = ("SIGNING", "SIGNING_READ", "FILER_SIGNING", "FILER_SIGNING_READ")
    filer = f"{LOOPBACK}:{store.ports['filer']}.{store.ports['filer.grpc']}"
    target = folder / "buckets"
    target.mkdir(parents=True)
    return Mount(
        name="mount",
        port=0,
        target=target,
        started=Command(
            argv=(
                str(weed_binary()),
                *("mount", f"-filer={filer}", f"-dir={target}", "-filer.path=/buckets"),
            ),
            env=clean_env({f"WEED_JWT_{key}_KEY": secret for key in keys}),
            cwd=folder,
        ),
    )


@dataclass
class Mount(Listening):
    """A FUSE mount, ready when the folder is one."""

    target: Path

    def healthy(self) -> bool:
        return self.target.is_mount()


@contextmanager
def apache_spark(folder: Path) -> Iterator[Listening]:
    """Apache Spark standalone: a master, two workers of one core each, a Spark Connect server.

    Raises:
        UnavailableError: ``SPARK_HOME`` names no full Spark.
    """
    home = Path(os.environ.get("SPARK_HOME", "-"))
    if not (home / "bin" / "spark-class").exists():
        raise UnavailableError(
            "there is no Apache Spark", fix="make test-spark installs one", code="no_spark"
        )
    master, connect = pick(), pick()
    url = f"spark://{LOOPBACK}:{master}"
    deploy = "org.apache.spark.deploy"
    main = _spark(
        folder, "master", master, "spark-class", f"{deploy}.master.Master",
        *("--host", LOOPBACK, "--port", str(master), "--webui-port", str(pick())),
    )  # fmt: skip
    workers = []
    for number in (1, 2):
        port = pick()
        workers.append(
            _spark(
                folder,
                f"worker{number}",
                port,
                "spark-class",
                f"{deploy}.worker.Worker",
                *("--host", LOOPBACK, "--port", str(port), "--webui-port", str(pick())),
                *("--cores", "1", "--memory", _EXECUTOR),
                *("--work-dir", str(folder / f"worker{number}"), url),
            )
        )
    options = {
        "spark.executor.cores": "1",
        "spark.ui.enabled": "false",
        "spark.connect.grpc.binding.port": str(connect),
        "spark.connect.grpc.binding.address": LOOPBACK,
        "spark.sql.shuffle.partitions": "4",
        "spark.sql.warehouse.dir": str(folder / "warehouse"),
    }
    server = _spark(
        folder, "connect", connect, "spark-submit",
        *("--class", "org.apache.spark.sql.connect.service.SparkConnectServer"),
        *("--master", url, "--driver-memory", _HEAP, "--executor-memory", _EXECUTOR),
        *(word for name, value in options.items() for word in ("--conf", f"{name}={value}")),
        "spark-internal",
    )  # fmt: skip
    with (
        running(main, logs=folder, timeout=60),
        running(*workers, logs=folder, timeout=60),
        running(server, logs=folder, timeout=120),
    ):
        yield server


def workers_used(folder: Path) -> set[str]:
    """Names of the workers on which executors ran."""
    return {name for name in ("worker1", "worker2") if any((folder / name).glob("app-*/*/stderr"))}


def stays_silent(folder: Path, texts: list[str]) -> bool:
    """Whether no log below a folder holds one of the texts."""
    pattern = re.compile("|".join(map(re.escape, texts)).encode())
    return not any(pattern.search(path.read_bytes()) for path in folder.rglob("*.log"))


def _spark(folder: Path, name: str, port: int, program: str, *arguments: str) -> Listening:
    home = Path(os.environ["SPARK_HOME"])
    return Listening(
        name=name,
        port=port,
        started=Command(
            argv=(str(home / "bin" / program), *arguments),
            env=clean_env(
                {
                    "SPARK_HOME": str(home),
                    "SPARK_LOCAL_IP": LOOPBACK,
                    "SPARK_LOCAL_DIRS": str(folder / "scratch"),
                    # the Connect server's own heap, too: its driver is not started anew
                    "SPARK_DAEMON_MEMORY": _HEAP if name == "connect" else "192m",
                    # judging by suites runs on the workers, with this project's packages
                    "PYSPARK_PYTHON": sys.executable,
                }
            ),
            cwd=folder / f"{name}-home",
        ),
    )
