"""Where a verb that serves may listen: secrets cross a network under TLS only."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Annotated, Any

import typer

from cityledger.errors import BadInputError
from cityledger.observability import logs
from cityledger.settings import get_settings

HostOption = Annotated[str, typer.Option(help="Address to listen on.")]
PortOption = Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")]
CertificateOption = Annotated[
    Path | None, typer.Option(exists=True, help="TLS certificate (PEM).", show_default=False)
]
KeyOption = Annotated[
    Path | None, typer.Option(exists=True, help="Its private key (PEM).", show_default=False)
]


def stays_here(host: str) -> bool:
    """Whether only this machine can reach the address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def server_options(
    host: str, port: int, certificate: Path | None, key: Path | None, *, secrets: str
) -> dict[str, Any]:
    """How uvicorn is to listen.

    Args:
        host: Address to listen on.
        port: Port to listen on.
        certificate: PEM file; None without TLS.
        key: PEM file of its private key.
        secrets: What would cross the network in the clear, for the error.

    Raises:
        BadInputError: The address is other machines' and there is no certificate.
    """
    if not stays_here(host) and certificate is None:
        raise BadInputError(
            f"{secrets} would cross the network unencrypted",
            where=f"--host {host}",
            fix="add --certificate and --key, or listen on 127.0.0.1 behind a reverse proxy",
            code="unencrypted_login",
        )
    return {
        "host": host,
        "port": port,
        "ssl_certfile": certificate,
        "ssl_keyfile": key,
        "log_level": "warning",
        "server_header": False,
        **logs.for_server(get_settings()),
    }
