"""Serves the logs of the workers' tasks: ``python -m cityledger_stack.logserver PORT ADDRESS…``.

The application is Airflow's own, which asks for a signature made with the api-server's key. Only
the sockets are ours: the command of Airflow always listens on all interfaces.
"""

from __future__ import annotations

import socket
import sys

import uvicorn

_APPLICATION = "airflow.utils.serve_logs.log_server:get_app"


def main() -> None:
    """Serve until SIGTERM."""
    port, *addresses = sys.argv[1:]
    sockets = [socket.create_server((address, int(port))) for address in addresses]
    configuration = uvicorn.Config(_APPLICATION, access_log=False, lifespan="off")
    uvicorn.Server(configuration).run(sockets=sockets)


if __name__ == "__main__":
    main()
