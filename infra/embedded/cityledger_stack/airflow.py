"""Airflow's processes, configured by environment variables only."""

from __future__ import annotations

import json
import os
import sys
import urllib.request
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from cityledger.observability import logs, traces
from cityledger.settings import PROJECT_DIR, get_settings
from cityledger.storage.private_files import write_private

from cityledger_stack.credentials import Credentials
from cityledger_stack.layout import Layout
from cityledger_stack.ports import LOOPBACK
from cityledger_stack.processes import MARKER, Command, clean_env
from cityledger_stack.servers import Server

_PASSED_ON = ("AIRFLOW__", "AIRFLOW_CONN_", "AIRFLOW_VAR_", "CITYLEDGER_", "OTEL_", "SSL_CERT_")
_PASSED_ON_EXACTLY = ("HOME", "HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")

# The arguments of each process. Its log server would be one more process that listens on all
# interfaces; the api-server reads the log files directly, they are on the same disk.
_ARGUMENTS: Mapping[str, tuple[str, ...]] = {
    "api-server": ("api-server",),
    "scheduler": ("scheduler", "--skip-serve-logs"),
    "dag-processor": ("dag-processor",),
    "triggerer": ("triggerer", "--skip-serve-logs"),
}
_HEALTH_NAMES = {"dag-processor": "dag_processor"}

_SILENT = {
    "DO_NOT_TRACK": "1",
    "SCARF_NO_ANALYTICS": "true",
    "SCARF_ANALYTICS": "false",
    "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
    "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
    "AIRFLOW__COSMOS__ENABLE_TELEMETRY": "False",
}

_STATIC = {
    "CORE__EXECUTOR": "LocalExecutor",
    "CORE__LOAD_EXAMPLES": "False",
    # The default asks DNS for the machine's full name, slowly on a closed network.
    "CORE__HOSTNAME_CALLABLE": "socket.gethostname",
    "CORE__MIN_SERIALIZED_DAG_UPDATE_INTERVAL": "5",
    "CORE__SIMPLE_AUTH_MANAGER_USERS": "admin:admin",
    "CORE__TEST_CONNECTION": "Disabled",
    "API__HOST": LOOPBACK,
    "API__WORKERS": "1",
    "API__EXPOSE_CONFIG": "False",
    "API__INSTANCE_NAME": "CityLedger",
    # A new contract shows as a DAG within seconds: the folder's own class looks for one, so nothing
    # has to be parsed for it again and again.
    "DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps(
        [
            {
                "name": "dags-folder",
                "classpath": "cityledger.airflow.bundle.ContractsBundle",
                "kwargs": {},
            }
        ]
    ),
    "DAG_PROCESSOR__REFRESH_INTERVAL": "5",
    "DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "300",
    "DAG_PROCESSOR__BUNDLE_REFRESH_CHECK_INTERVAL": "2",
    "DAG_PROCESSOR__PARSING_PROCESSES": "1",
    # A task whose process was killed is noticed after one minute, not five.
    "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "60",
    "SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "60",
    "DATABASE__SQL_ALCHEMY_POOL_SIZE": "3",
    "DATABASE__SQL_ALCHEMY_MAX_OVERFLOW": "12",
    "LOGGING__COLORED_CONSOLE_LOG": "False",
    # Into the log that the supervisor rotates; one file per day and DAG file grows for ever.
    "LOGGING__DAG_PROCESSOR_LOG_TARGET": "stdout",
    "LOGGING__FILE_TASK_HANDLER_NEW_FOLDER_PERMISSIONS": "0o700",
    "LOGGING__FILE_TASK_HANDLER_NEW_FILE_PERMISSIONS": "0o600",
    "OPENLINEAGE__TRANSPORT": json.dumps({"type": "cityledger.ledger.transport.LedgerTransport"}),
    "OPENLINEAGE__NAMESPACE": "cityledger",
}


def environment(
    layout: Layout,
    credentials: Credentials,
    *,
    port: int,
    database_url: str,
    marker: str,
    queue: Mapping[str, str] | None = None,
    addresses: Iterable[str] = (),
) -> dict[str, str]:
    """The environment of every Airflow process.

    Args:
        layout: Where Airflow's files lie.
        credentials: Passwords and keys to configure.
        port: Of the api-server.
        database_url: Of Airflow's own database.
        marker: The stack's home under `cityledger_stack.processes.MARKER`.
        queue: Settings of the queue that replace those of tasks on this machine.
        addresses: More addresses that are reached without a proxy.

    Variables that the caller's environment sets (``AIRFLOW__…``, ``CITYLEDGER_…``) win.
    """
    slots = str(task_slots())
    address = f"http://{LOOPBACK}:{port}"
    options = {
        **_STATIC,
        "CORE__DAGS_FOLDER": str(PROJECT_DIR / "dags"),
        "CORE__PLUGINS_FOLDER": str(layout.airflow / "plugins"),
        "CORE__PARALLELISM": slots,
        "CORE__MAX_ACTIVE_TASKS_PER_DAG": slots,
        "CORE__DEFAULT_POOL_TASK_SLOT_COUNT": slots,
        "CORE__FERNET_KEY": credentials.airflow_fernet,
        "CORE__EXECUTION_API_SERVER_URL": f"{address}/execution/",
        "CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords_file(layout)),
        "API__PORT": str(port),
        "API__BASE_URL": address,
        "API__SECRET_KEY": credentials.airflow_api,
        "API_AUTH__JWT_SECRET": credentials.airflow_jwt,
        "DATABASE__SQL_ALCHEMY_CONN": database_url,
        "LOGGING__BASE_LOG_FOLDER": str(layout.airflow / "logs"),
        **(queue or {}),
    }
    direct = (os.environ.get("NO_PROXY"), LOOPBACK, "localhost", *addresses)
    return {
        **clean_env(),
        "HOME": str(layout.home),
        "MALLOC_ARENA_MAX": "2",  # glibc's default arenas cost 50 MB a process
        "PYTHONUNBUFFERED": "1",
        # setproctitle would write over the environment, in which our mark is.
        "SPT_NOENV": "1",
        **_SILENT,
        "AIRFLOW_HOME": str(layout.airflow),
        **{f"AIRFLOW__{name}": value for name, value in options.items()},
        **traces.airflow_environment(get_settings()),
        **logs.airflow_environment(get_settings()),
        **_passed_on(os.environ),
        "CITYLEDGER_HOME": str(layout.home),
        "NO_PROXY": ",".join(filter(None, direct)),
        MARKER: marker,
    }


def task_slots() -> int:
    """How many tasks run at once."""
    return max(2, min(8, 2 * (os.cpu_count() or 1)))


def passwords_file(layout: Layout) -> Path:
    """The file in which Airflow's simple auth manager looks passwords up."""
    return layout.airflow / "passwords.json"


def prepare(layout: Layout, credentials: Credentials) -> None:
    """Write what Airflow reads from disk; harmless when it is there."""
    (layout.airflow / "plugins").mkdir(exist_ok=True)
    with write_private(passwords_file(layout)) as target:
        target.write_text(json.dumps({"admin": credentials.airflow_admin}), "utf-8")


def command(arguments: Iterable[str], layout: Layout, env: Mapping[str, str]) -> Command:
    """An Airflow command line."""
    return Command((sys.executable, "-m", "airflow", *arguments), env, layout.airflow)


@dataclass
class AirflowPart(Server):
    """One of Airflow's long-running processes."""

    name: str
    layout: Layout
    env: Mapping[str, str]
    port: int

    def __post_init__(self) -> None:
        # A dag-processor waits for its children far longer than anything that it could lose.
        self.patience = 1.0 if self.name == "dag-processor" else 8.0

    @property
    def address(self) -> str:
        return f"http://{LOOPBACK}:{self.port}" if self.name == "api-server" else ""

    def prepare(self) -> None:
        """Nothing: the supervisor has migrated the database."""

    def command(self) -> Command:
        return command(_ARGUMENTS[self.name], self.layout, self.env)

    def healthy(self) -> bool:
        return health(f"http://{LOOPBACK}:{self.port}").get(self.name, False)


def health(address: str) -> dict[str, bool]:
    """Which Airflow parts are healthy, as the api-server at ``address`` sees them."""
    try:
        with urllib.request.urlopen(  # noqa: S310 - the stack's own http address
            f"{address}/api/v2/monitor/health", timeout=5
        ) as answer:
            found = json.load(answer)
    except (OSError, ValueError):
        return {}
    parts = {name: _HEALTH_NAMES.get(name, name) for name in _ARGUMENTS if name != "api-server"}
    seen = {name: found.get(key, {}).get("status") == "healthy" for name, key in parts.items()}
    return {"api-server": found.get("metadatabase", {}).get("status") == "healthy", **seen}


def _passed_on(env: Mapping[str, str]) -> dict[str, str]:
    return {
        name: value
        for name, value in env.items()
        if name.startswith(_PASSED_ON) or name in _PASSED_ON_EXACTLY
    }
