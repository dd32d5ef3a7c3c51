"""The compose file is valid and keeps its promises (no daemon needed; it is not started here)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cityledger_stack.plan import PARTS

PROJECT = Path(__file__).resolve().parents[2]
_COMPOSE = Path(sys.executable).with_name("docker-compose")
_EXAMPLE = "infra/docker/example.env"


def _config(*words: str, env_file: str = _EXAMPLE) -> subprocess.CompletedProcess[str]:
    environ = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return subprocess.run(
        [str(_COMPOSE), "--env-file", env_file, "config", *words],
        cwd=PROJECT,
        env=environ,
        capture_output=True,
        text=True,
    )


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    """The compose file with everything resolved."""
    done = _config("--format", "json")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_valid_with_the_example_settings() -> None:
    """Prevents a compose file that nobody can start."""
    done = _config("--quiet")
    assert done.returncode == 0, done.stderr


def test_refused_without_settings() -> None:
    """Prevents a start with empty passwords when the settings were forgotten."""
    done = _config("--quiet", env_file=os.devnull)
    assert done.returncode != 0
    assert "CITYLEDGER_SECRETS_DIR" in done.stderr
    assert "CITYLEDGER_DROP_DIR" in done.stderr


def test_same_parts_as_the_embedded_stack(document: dict[str, Any]) -> None:
    """Prevents the two ways to run CityLedger from drifting apart."""
    assert set(document["services"]) == {*PARTS, "init"}


def test_only_the_page_is_published_and_on_loopback(document: dict[str, Any]) -> None:
    """Prevents a database or object store that the network can reach."""
    published = {
        name: [port["host_ip"] for port in service["ports"]]
        for name, service in document["services"].items()
        if service.get("ports")
    }
    assert published == {"api-server": ["127.0.0.1"]}
    assert document["networks"]["backend"]["internal"] is True


def test_every_lasting_part_is_watched(document: dict[str, Any]) -> None:
    """Prevents a part that hangs unnoticed, or that stays down after a crash."""
    lasting = {name: one for name, one in document["services"].items() if name != "init"}
    assert all(one["restart"] == "unless-stopped" for one in lasting.values())
    assert all(one["healthcheck"]["test"] for one in lasting.values())
    waits = {
        name: one["depends_on"]["init"]["condition"]
        for name, one in lasting.items()
        if name not in {"postgres", "s3"}
    }
    assert set(waits.values()) == {"service_completed_successfully"}


def test_no_secret_travels_in_the_environment_of_the_file(document: dict[str, Any]) -> None:
    """Prevents passwords in `docker inspect` and in the project."""
    words = ("password", "secret", "key", "conn", "database_url", "s3_url")
    exposed = [
        name
        for service in document["services"].values()
        for name in service.get("environment", {})
        if any(word in name.lower() for word in words) and not name.endswith("_FILE")
    ]
    assert exposed == []


def test_the_image_does_not_run_as_root() -> None:
    """Prevents a container whose break-out is root on the host."""
    lines = (PROJECT / "infra/docker/Dockerfile").read_text().splitlines()
    users = [line.split()[1] for line in lines if line.startswith("USER ")]
    assert users[-1:] == ["10001:10001"]


def test_telemetry_is_off(document: dict[str, Any]) -> None:
    """Prevents a closed network's servers from trying to phone home."""
    environ = document["services"]["scheduler"]["environment"]
    assert environ["DO_NOT_TRACK"] == "1"
    assert environ["DBT_SEND_ANONYMOUS_USAGE_STATS"] == "false"
    assert environ["AIRFLOW__USAGE_DATA_COLLECTION__ENABLED"] == "False"
    assert "-master.telemetry=false" in document["services"]["s3"]["command"]


def test_secrets_are_made_once_and_complete(tmp_path: Path, document: dict[str, Any]) -> None:
    """Prevents a second run from replacing the passwords of existing databases."""
    folder = tmp_path / "secrets"
    script = [str(PROJECT / "infra/docker/make-secrets.sh"), str(folder)]
    subprocess.run(script, check=True)
    first = {file.name: file.read_bytes() for file in folder.iterdir()}
    subprocess.run(script, check=True)

    assert {file.name: file.read_bytes() for file in folder.iterdir()} == first
    assert all(file.stat().st_mode & 0o077 == 0 for file in folder.iterdir())
    wanted = {Path(secret["file"]).name for secret in document["secrets"].values()}
    assert wanted <= set(first)
    assert len(first["airflow_jwt_secret"]) >= 64


def test_entry_point_hands_secrets_on(tmp_path: Path) -> None:
    """Prevents parts that start without their passwords."""
    script = (PROJECT / "infra/docker/entrypoint.sh").read_text()
    (tmp_path / "CITYLEDGER_S3_URL").write_text("http://a:b@s3:8333")
    (tmp_path / "other").write_text("not a variable")
    local = tmp_path / "entrypoint"
    local.write_text(script.replace("/run/secrets", str(tmp_path)))
    done = subprocess.run(
        ["sh", str(local), "env"], env={"PATH": os.environ["PATH"]}, capture_output=True, text=True
    )
    assert "CITYLEDGER_S3_URL=http://a:b@s3:8333" in done.stdout
    assert "not a variable" not in done.stdout
