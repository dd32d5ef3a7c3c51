"""Manifests and chart values: right by the schemas, closed by default, and they fit the program."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from cityledger.cli.main import app
from cityledger.settings import Settings
from typer.main import get_command

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "infra/kubernetes"
FILES = sorted(path for path in FOLDER.rglob("*.yaml") if path.name != "kustomization.yaml")
VALUES: dict[str, Any] = yaml.safe_load((ROOT / "infra/helm/values.yaml").read_text("utf-8"))
SETTINGS = {f"CITYLEDGER_{name.upper()}" for name in Settings.model_fields}
# Read by the worker's own module, not by the settings.
ELSEWHERE = {"CITYLEDGER_WORKER_PULSE"}
COMPONENTS = ("apiServer", "scheduler", "dagProcessor", "triggerer", "workers")

every_file = pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(FOLDER)))


def documents(path: Path) -> list[dict[str, Any]]:
    return [one for one in yaml.safe_load_all(path.read_text("utf-8")) if one]


def pods() -> Iterator[tuple[str, dict[str, Any]]]:
    """Name and pod specification of everything that runs."""
    for path in FILES:
        for one in documents(path):
            spec = one.get("spec", {})
            template = spec.get("jobTemplate", {}).get("spec", spec).get("template")
            if template:
                yield one["metadata"]["name"], template["spec"]


every_pod = pytest.mark.parametrize("pod", [pytest.param(spec, id=name) for name, spec in pods()])


@every_file
@pytest.mark.parametrize("version", ["1.30", "1.32", "1.35"])
def test_manifests_fit_the_schemas(path: Path, version: str) -> None:
    """A misspelt field is dropped by a cluster without a word, and with it a limit or a right."""
    for one in documents(path):
        kubernetes_validate.validate(one, version, strict=True)


def test_every_manifest_is_applied() -> None:
    """A file that no kustomization names never reaches the cluster."""
    named = set()
    for path in FOLDER.rglob("kustomization.yaml"):
        content = yaml.safe_load(path.read_text("utf-8"))
        for one in (*content.get("resources", ()), *content.get("components", ())):
            target = (path.parent / one).resolve()
            assert target.exists(), f"{path}: {one}"
            named.add(target)
    assert set(FILES) <= named


@every_pod
def test_pods_can_do_little(pod: dict[str, Any]) -> None:
    """A container that is root, writes where it likes or holds the cluster's token is a way in."""
    assert pod["automountServiceAccountToken"] is False
    context = pod["securityContext"]
    assert context["runAsNonRoot"] is True
    assert context["runAsUser"] == VALUES["uid"] == 10001
    assert context["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in pod["containers"]:
        assert container["securityContext"] == VALUES["securityContexts"]["containers"]
        assert set(container["resources"]) == {"requests", "limits"}
        assert set(container["resources"]["limits"]) == {"cpu", "memory"}
        mounted = {mount["name"] for mount in container["volumeMounts"]}
        assert mounted == {volume["name"] for volume in pod["volumes"]}


@every_pod
def test_pods_run_what_there_is(pod: dict[str, Any]) -> None:
    """A verb or module that was renamed is found out by a cluster that does not start."""
    for container in pod["containers"]:
        program, *words = container["args"]
        if program == "python":
            assert words[0] == "-m"
            assert importlib.util.find_spec(words[1])
            continue
        assert program == "cityledger"
        command: Any = get_command(app)
        for word in words:
            if word.startswith("-"):
                known = {name for one in command.params for name in one.opts}
                assert word.partition("=")[0] in known
            elif not word.startswith("/"):
                command = command.commands[word]


def test_servers_have_probes_and_may_be_drained() -> None:
    """Without a probe a hanging server is sent requests; without a budget all go at once."""
    everything = [one for path in FILES for one in documents(path)]
    budgets = [
        one["spec"]["selector"]["matchLabels"]
        for one in everything
        if one["kind"] == "PodDisruptionBudget"
    ]
    servers = [one for one in everything if one["kind"] == "Deployment"]
    assert len(servers) == 2
    for one in servers:
        (container,) = one["spec"]["template"]["spec"]["containers"]
        assert {"startupProbe", "readinessProbe", "livenessProbe"} <= set(container)
        assert one["spec"]["selector"]["matchLabels"] in budgets
        assert one["spec"]["replicas"] >= 2


def variables() -> Iterator[str]:
    for path in FILES:
        for one in documents(path):
            if one["kind"] == "ConfigMap":
                yield from one["data"]
    for _, pod in pods():
        for container in pod["containers"]:
            yield from (one["name"] for one in container.get("env", ()))
    yield from (one["name"] for one in VALUES["env"])
    for name in COMPONENTS:
        yield from (one["name"] for one in VALUES[name]["env"])


def test_every_setting_exists() -> None:
    """A setting that was renamed is one that silently falls back to its default."""
    ours = {name for name in variables() if name.startswith("CITYLEDGER_")}
    assert len(ours) > 5
    assert ours - SETTINGS - ELSEWHERE == set()


def secrets_in(node: Any) -> Iterator[str]:
    """Names of the Secrets that a document refers to, wherever it does."""
    match node:
        case dict():
            for key, value in node.items():
                if key in {"secretKeyRef", "secretRef"}:
                    yield value["name"]
                elif key.endswith(("ecretName", "ecretKeySecretName")) and isinstance(value, str):
                    yield value
                else:
                    yield from secrets_in(value)
        case list():
            for one in node:
                yield from secrets_in(one)


def test_secrets_are_listed_and_nowhere_written() -> None:
    """Who installs must know which Secrets to make; none of them may lie in a file."""
    everything = [one for path in FILES for one in documents(path)]
    assert [one["kind"] for one in everything if one["kind"] == "Secret"] == []
    used = {*secrets_in(everything), *secrets_in(VALUES)}
    assert len(used) > 8
    text = (ROOT / "docs/kubernetes.md").read_text("utf-8")
    listed = set(re.findall(r"^\| `([a-z-]+)` \| `", text, flags=re.MULTILINE))
    assert used == listed
    for name, value in VALUES["data"].items():
        assert name.endswith("SecretName"), value


def test_airflow_is_set_as_in_the_compose_file() -> None:
    """Two installations that treat a lost worker differently: one of them was not tested."""
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
    theirs = compose["x-airflow-environment"]
    # Places, addresses and what follows the size of an installation differ.
    own = {"dags_folder", "plugins_folder", "ssl_cacert", "worker_concurrency", "parallelism"}
    own |= {"max_active_tasks_per_dag", "default_pool_task_slot_count"}
    compared = 0
    for section, options in VALUES["config"].items():
        for name, value in options.items():
            other = theirs.get(f"AIRFLOW__{section.upper()}__{name.upper()}")
            if other is not None and name not in own:
                assert str(value).split() == str(other).split(), (section, name)
                compared += 1
    assert compared >= 12


def test_the_chart_brings_no_servers_and_no_default_login() -> None:
    """A database in a pod without backup, or admin/admin, is what a chart offers by default."""
    for name in ("postgresql", "pgbouncer", "redis", "flower", "statsd"):
        assert VALUES[name] == {"enabled": False}
    assert VALUES["createUserJob"]["defaultUser"] == {"enabled": False}
    assert VALUES["networkPolicies"] == {"enabled": True}
    for name in COMPONENTS:
        part = VALUES[name]
        assert part["serviceAccount"] == {"automountServiceAccountToken": False}
        assert {"requests", "limits"} <= set(part["resources"])
        # The chart's own probes call a script that only the official image has.
        assert name == "apiServer" or part["livenessProbe"]["command"]
