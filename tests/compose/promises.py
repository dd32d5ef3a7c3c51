"""What docker-compose.yml promises, asked of containers that run."""

from __future__ import annotations

import ssl
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Final

from tests.compose.deployment import Deployment
from tests.compose.engine import docker, inspect

_INSIDE: Final = Path(__file__).with_name("inside.py")
#: What `inside.py` must find, and nothing else.
_REFUSED: Final = {
    # Docker 20 gives closed networks a route and drops what takes it; later ones give none.
    "a way out": {"ENETUNREACH", "EHOSTUNREACH", "TimeoutError"},
    "write to the image": {"EROFS"},
    "database without TLS": {"no entry without encryption"},
    "change the ledger": {"42501"},
    "make a table": {"42501"},
    "delete a landed file": {"AccessDenied"},
    "object store": {"https"},
}


def broken(running: Deployment) -> list[str]:
    """Promises that are not kept; to be asked after a day, when something has landed."""
    return [*_containers(running), *_networks(running), *_door(running), *_within(running)]


def _containers(running: Deployment) -> list[str]:
    found = []
    for one in inspect(running.compose.containers()):
        name, host = one["Name"].lstrip("/"), one["HostConfig"]
        kept = {
            "runs as somebody else than root": _user(one) not in {"", "0", "root"},
            "has a read-only root": host["ReadonlyRootfs"],
            "gave up all capabilities": host["CapDrop"] == ["ALL"],
            "cannot win privileges": "no-new-privileges:true" in host["SecurityOpt"],
            "has bounds": host["Memory"] > 0 and host["NanoCpus"] > 0 and host["PidsLimit"] > 0,
            "publishes no port but the proxy's": "proxy" in name or not host["PortBindings"],
            "has no password in its environment": not _passwords(one),
        }
        found += [f"{name}: {promise}" for promise, is_kept in kept.items() if not is_kept]
    return found


def _networks(running: Deployment) -> list[str]:
    """Closed networks, asked of the engine; who is on an open one."""
    found = []
    for one in inspect(running.compose.containers()):
        name, joined = one["Name"].lstrip("/"), one["NetworkSettings"]["Networks"]
        format_ = "{{.Internal}}"
        closed = {
            network: docker("network", "inspect", "--format", format_, network).stdout.strip()
            for network in joined
        }
        if "proxy" not in name and set(closed.values()) != {"true"}:
            found.append(f"{name}: is on a network with a way out: {closed}")
    return found


def _user(one: dict[str, Any]) -> str:
    return str(one["Config"]["User"]).split(":")[0]


def _passwords(one: dict[str, Any]) -> list[str]:
    names = [line.partition("=")[0] for line in one["Config"]["Env"] or ()]
    words = ("PASSWORD", "SECRET", "_KEY", "CONN", "_URL")
    harmless = {
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL",
        "AIRFLOW__CORE__TEST_CONNECTION",
        "AIRFLOW__API__BASE_URL",
        "CITYLEDGER_OTLP_URL",  # of the collector inside
    }
    return [
        name
        for name in names
        if any(word in name for word in words)
        and name not in harmless
        and not name.endswith(("_FILE", "_SSL_KEY", "__SSL_KEY"))
    ]


def _door(running: Deployment) -> list[str]:
    tls = ssl.create_default_context(cafile=str(running.ca))
    wanted = {"/": 200, "/api/v2/dags": 401, "/execution/health": 404, "/metrics": 404}
    answers = {path: _status(running.address + path, tls) for path in wanted}
    return [
        f"proxy: {path} answers {answers[path]}, not {status}"
        for path, status in wanted.items()
        if answers[path] != status
    ]


def _status(url: str, tls: ssl.SSLContext) -> int:
    try:
        with urllib.request.urlopen(url, timeout=30, context=tls) as answer:  # noqa: S310 - ours
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def _within(running: Deployment) -> list[str]:
    found: dict[str, str] = running.compose.tool(_INSIDE)
    return [
        f"inside: {name}: {found.get(name)}"
        for name, expected in _REFUSED.items()
        if found.get(name) not in expected
    ]
