"""One dbt invocation, and what its artefacts say afterwards."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from cityledger.errors import CityLedgerError
from cityledger.records import ModelResult
from cityledger.settings import PROJECT_DIR
from cityledger.storage.outages import outage_in

_BAD = {"error", "fail", "runtime error"}
_HEADING = re.compile(r"\w+ Error( in .*)?$")
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"|\([^()]*\)")


class ModelLineage(NamedTuple):
    """One built table and what it was built from.

    Attributes:
        model: dbt's name of the model.
        inputs: ``schema.table`` of the lake's tables that it reads, in name order.
        datasets: ``department.dataset`` of validated objects that it reads (staging models).
        output: ``schema.table``.
    """

    model: str
    inputs: tuple[str, ...]
    datasets: tuple[str, ...]
    output: str


def invoke(
    command: Sequence[str],
    *,
    project_dir: Path,
    target_dir: Path,
    environment: Mapping[str, str],
    target: str = "lake",
) -> tuple[ModelResult, ...]:
    """Run dbt in this process and return what became of each node.

    Args:
        command: The dbt command and its own options.
        project_dir: dbt project. Without a ``profiles.yml`` of its own it uses the house's.
        target_dir: For compiled SQL, artefacts and the partial parse that makes repeats quick.
        environment: Variables that the profile and the macros read; restored afterwards.
        target: Output of the profile: ``lake`` (DuckDB) or ``spark``.

    Raises:
        CityLedgerError: dbt failed; names the first node that did.
    """
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager
    from dbt.cli.main import dbtRunner

    results = target_dir / "run_results.json"
    results.unlink(missing_ok=True)
    options = [
        *("--project-dir", str(project_dir), "--profiles-dir", str(_profiles_dir(project_dir))),
        *("--target", target, "--target-path", str(target_dir), "--log-path", str(target_dir)),
        *("--log-level", "none", "--log-level-file", "none", "--no-version-check"),
        *("--no-send-anonymous-usage-stats", "--no-use-colors"),
    ]
    with _environment(environment):
        # The adapter keeps its DuckDB instance for the process's life, with its secrets.
        close: Callable[[], None] = DuckDBConnectionManager.close_all_connections
        close()
        try:
            outcome = dbtRunner().invoke([*command, *options])
        finally:
            close()
    models = tuple(_results(results)) if results.exists() else ()
    _check_services(results, outcome.exception)
    _check(models, outcome.exception, target_dir)
    return models


def model_lineage(target_dir: Path) -> list[ModelLineage]:
    """What every table of the last build was built from, in name order.

    Read from dbt's manifest; names are those of the lake (``schema.table``).
    """
    nodes = _built(target_dir)
    return sorted(_lineage(node, nodes) for node in nodes.values())


def tables(target_dir: Path, *, project: str | None = None) -> list[str]:
    """``schema.table`` of everything that was built, in name order; of one dbt project if given."""
    return sorted(
        _table(node)
        for node in _built(target_dir).values()
        if project in {None, node["package_name"]}
    )


def _built(target_dir: Path) -> dict[str, Mapping[str, Any]]:
    manifest = json.loads((target_dir / "manifest.json").read_text("utf-8"))
    return {
        key: node
        for key, node in manifest["nodes"].items()
        if node["resource_type"] in {"model", "seed"} and node["config"]["enabled"]
    }


def _lineage(node: Mapping[str, Any], nodes: Mapping[str, Any]) -> ModelLineage:
    parents = node.get("depends_on", {}).get("nodes", [])
    dataset = node["config"].get("meta", {}).get("dataset")
    return ModelLineage(
        model=node["name"],
        inputs=tuple(sorted(_table(nodes[parent]) for parent in parents if parent in nodes)),
        datasets=(dataset,) if dataset else (),
        output=_table(node),
    )


def _table(node: Mapping[str, Any]) -> str:
    return f"{node['schema']}.{node['alias']}"


def _profiles_dir(project_dir: Path) -> Path:
    own = project_dir / "profiles.yml"
    return project_dir if own.exists() else PROJECT_DIR / "dbt_project"


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _results(path: Path) -> Iterator[ModelResult]:
    for result in json.loads(path.read_text("utf-8"))["results"]:
        kind, _, *names = result["unique_id"].split(".")
        yield ModelResult(
            name=names[0],
            layer=_layer(result) if kind in {"model", "seed"} else kind,
            status=result["status"],
            rows=None,
            seconds=round(result["execution_time"], 3),
            message=_without_values(result.get("message") or ""),
        )


def _layer(result: Mapping[str, Any]) -> str:
    """The schema, from the relation's name: ``"lake"."core"."dim_area"``, ``core.dim_area``."""
    *_, schema, _ = ["", *re.sub(r'["`]', "", result.get("relation_name") or "").split(".")]
    return schema


def _without_values(message: str) -> str:
    """The first telling line, without quoted or bracketed text: engines quote the data's values."""
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    told = [line for line in lines if not _HEADING.match(line)]
    return _QUOTED.sub("…", (told or lines or [""])[0])


def _check_services(results: Path, exception: BaseException | None) -> None:
    """Tell a service that went away during the build from a model that is wrong."""
    found = json.loads(results.read_text("utf-8"))["results"] if results.exists() else []
    failed = [str(result.get("message")) for result in found if result["status"] in _BAD]
    for text in (*failed, str(exception or "")):
        outage = outage_in(text)
        if outage is not None:
            raise outage from exception


def _check(
    models: Sequence[ModelResult], exception: BaseException | None, target_dir: Path
) -> None:
    failed = [model for model in models if model.status in _BAD]
    if failed:
        first = failed[0]
        others = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
        raise CityLedgerError(
            f"{first.message or first.status}{others}",
            where=f"dbt {first.layer}.{first.name}",
            fix=f"read the compiled SQL below {target_dir}/run and correct the model or its input",
            code="dbt_failed",
        )
    if exception is not None or not models:
        raise CityLedgerError(
            f"dbt could not start: {_without_values(str(exception or 'no node was run'))}",
            where="dbt",
            fix="run `dbt parse` in the dbt project",
            code="dbt_not_started",
        ) from exception
