"""`cityledger metrics`: what Prometheus is told, once or for as long as it asks."""

from __future__ import annotations

from typing import Annotated

import typer

from cityledger.cli.listening import (
    CertificateOption,
    HostOption,
    KeyOption,
    PortOption,
    server_options,
)
from cityledger.errors import BadInputError
from cityledger.settings import get_settings


def mount(app: typer.Typer) -> None:
    """Add the verb to the front door."""
    app.command("metrics", rich_help_panel="Stack")(metrics)


def metrics(
    serve: Annotated[
        bool, typer.Option("--serve", help="Answer at http://HOST:PORT/metrics until Ctrl-C.")
    ] = False,
    port: PortOption = 9464,
    host: HostOption = "127.0.0.1",
    certificate: CertificateOption = None,
    key: KeyOption = None,
) -> None:
    """Print the metrics in Prometheus's text format, or serve them.

    The console answers them as well, below /cityledger/metrics. Who is not on this machine needs
    the token of [bold]CITYLEDGER_METRICS_TOKEN[/].
    """
    from cityledger.observability.metrics.access import is_loopback
    from cityledger.observability.metrics.app import PATH, create_app
    from cityledger.observability.metrics.exposition import Exposition

    settings = get_settings()
    if not serve:
        typer.echo(Exposition(settings).text().decode(), nl=False)
        return
    if settings.metrics_token is None and not is_loopback(host):
        raise BadInputError(
            "nobody could read the metrics there: without a token only this machine may",
            where=f"--host {host}",
            fix="set CITYLEDGER_METRICS_TOKEN (16+ secret characters), or listen on 127.0.0.1",
            code="metrics_without_token",
        )
    options = server_options(host, port, certificate, key, secrets="the token")
    import uvicorn

    scheme = "https" if certificate else "http"
    typer.echo(f"{scheme}://{host}:{port}{PATH}", err=True)
    # No proxy is believed: who asks is decided by the connection.
    uvicorn.run(create_app(settings), **options, proxy_headers=False)
