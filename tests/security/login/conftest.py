"""A real api-server with Flask-AppBuilder's logins, on a database of its own."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from cityledger_stack.ports import pick
from cityledger_stack.postgres import Postgres
from cityledger_stack.processes import clean_env
from psycopg import sql

from tests.security.login.provider import SECRET, Provider, running_provider

PASSWORD = "correct horse battery"
_START = 540.0  # seconds: Airflow's import and FAB's 300 permissions, on a busy machine


@dataclass(frozen=True)
class ApiServer:
    """A running api-server and how to run Airflow's other verbs beside it."""

    address: str
    env: dict[str, str]

    def airflow(self, *words: str) -> str:
        """Run `airflow …`; its output."""
        return _airflow(self.env, *words)

    def browser(self) -> httpx.Client:
        """A browser that has no cookies yet."""
        return httpx.Client(base_url=self.address, follow_redirects=True, timeout=60)


@pytest.fixture(scope="session")
def airflow_home(
    postgres_server: Postgres, database_template: str, s3_url: str, server_dir: Path
) -> Iterator[dict[str, str]]:
    """The environment of an Airflow whose database is migrated, FAB's tables included."""
    home = server_dir / "login"
    (home / "airflow" / "plugins").mkdir(parents=True)
    (home / "dags").mkdir()
    names = [f"login_{secrets.token_hex(4)}", f"login_data_{secrets.token_hex(4)}"]
    with postgres_server.connect() as session:
        session.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(names[0])))
        session.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
                sql.Identifier(names[1]), sql.Identifier(database_template)
            )
        )
    at = f"postgres:{postgres_server.password}@127.0.0.1:{postgres_server.port}"
    env = {
        **clean_env(),
        "HOME": str(home),
        "CITYLEDGER_HOME": str(home),
        "CITYLEDGER_DATABASE_URL": f"postgresql://{at}/{names[1]}",
        "CITYLEDGER_S3_URL": s3_url,
        "AIRFLOW_HOME": str(home / "airflow"),
        "AIRFLOW__CORE__AUTH_MANAGER": "cityledger.airflow.login.CityAuthManager",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags"),
        "AIRFLOW__CORE__FERNET_KEY": "",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"postgresql+psycopg://{at}/{names[0]}",
        "AIRFLOW__API__SECRET_KEY": secrets.token_hex(64),
        "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(64),
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__FAB__AUTH_RATE_LIMITED": "False",
        "AIRFLOW__FAB__CACHE_TTL": "0",  # a changed role counts at once, not after 30 s
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "NO_PROXY": "127.0.0.1,localhost",
    }
    _airflow(env, "db", "migrate")
    yield env
    with postgres_server.connect() as session:
        for name in names:
            session.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture(scope="session")
def accounts_server(airflow_home: dict[str, str]) -> Iterator[ApiServer]:
    """An api-server whose accounts are in Airflow's database."""
    with _serving(airflow_home) as server:
        yield server


@pytest.fixture(scope="session")
def provider() -> Iterator[Provider]:
    """The city's identity provider."""
    with running_provider() as one:
        yield one


@pytest.fixture(scope="session")
def oidc_server(airflow_home: dict[str, str], provider: Provider) -> Iterator[ApiServer]:
    """An api-server whose people log in at the identity provider."""
    more = {
        "CITYLEDGER_OIDC_ISSUER": provider.address,
        "CITYLEDGER_OIDC_CLIENT_SECRET": SECRET,
        "CITYLEDGER_OIDC_GROUPS": '{"数据局": "steward"}',
    }
    with _serving({**airflow_home, **more}) as server:
        yield server


@contextmanager
def _serving(env: dict[str, str]) -> Iterator[ApiServer]:
    port = pick()
    address = f"http://127.0.0.1:{port}"
    env = {**env, "AIRFLOW__API__PORT": str(port), "AIRFLOW__API__BASE_URL": address}
    log = Path(env["CITYLEDGER_HOME"]) / f"api-server-{port}.log"
    with log.open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "airflow", "api-server"],
            env=env,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            _await(f"{address}/api/v2/version", process, log)
            yield ApiServer(address, env)
        finally:
            os.killpg(process.pid, 15)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, 9)
                process.wait(20)


def _await(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            if httpx.get(address, timeout=5).status_code == 200:
                return
        except httpx.HTTPError:
            time.sleep(0.5)
    raise AssertionError(f"the api-server did not start:\n{log.read_text()[-4000:]}")


def _airflow(env: dict[str, str], *words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "airflow", *words], env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout
