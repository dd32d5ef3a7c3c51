"""Another dbt project, for other contracts, built by the same stage with this project's macros."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path

from cityledger.contracts.registry import load_contracts
from cityledger.contracts.scaffold import model_name, scaffold, scaffold_properties
from cityledger.lifecycle.standardise import standardise
from cityledger.settings import PROJECT_DIR, Settings

from quality_checks.suite import compile_suite
from tests.dbt.city import deliver, surveys

_PROJECT = """
name: elsewhere
version: "1.0.0"
config-version: 2
profile: cityledger
model-paths: [models]
macro-paths: ["{macros}"]
flags: {{send_anonymous_usage_stats: false}}
models:
  elsewhere:
    staging:
      +schema: staging
      +materialized: incremental
      +incremental_strategy: replace_released
      +on_schema_change: sync_all_columns
    core: {{+schema: core, +materialized: table}}
    audit: {{+schema: audit, +materialized: table}}
"""
_AUDIT = "{{ accounting_identity(staged_counts([ref('stg_hotline__satisfaction')])) }}\n"
_GROUPS = "version: 2\ngroups:\n  - {name: hotline, owner: {name: Hotline}}\n"


def test_foreign_project_uses_the_macros(new_lake: Callable[[], Settings], tmp_path: Path) -> None:
    """A city's own project must not copy the staging machinery to get the same guarantees."""
    contracts_dir, project = tmp_path / "contracts", tmp_path / "project"
    shutil.copytree(PROJECT_DIR / "contracts" / "codes", contracts_dir / "codes")
    shutil.copytree(PROJECT_DIR / "contracts" / "hotline", contracts_dir / "hotline")
    (contracts_dir / "hotline" / "tickets.odcs.yaml").unlink()
    shutil.copy(PROJECT_DIR / "contracts" / "city.yaml", contracts_dir)
    macros = os.path.relpath(PROJECT_DIR / "dbt_project" / "macros", project)
    for folder in ("models/staging", "models/core", "models/audit"):
        (project / folder).mkdir(parents=True)
    (project / "dbt_project.yml").write_text(_PROJECT.format(macros=macros), "utf-8")
    (project / "models" / "groups.yml").write_text(_GROUPS, "utf-8")
    (project / "models" / "core" / "dim_area.sql").write_text("select 1 as ours\n", "utf-8")
    (project / "models" / "audit" / "aud_accounting_identity.sql").write_text(_AUDIT, "utf-8")
    for contract in load_contracts(contracts_dir).values():
        suite = compile_suite(contract, codes_dir=contracts_dir / "codes", as_of=date(2026, 3, 31))
        model = project / "models" / "staging" / model_name(contract)
        columns = suite.output_columns
        model.with_suffix(".sql").write_text(scaffold(contract, columns), "utf-8")
        model.with_suffix(".yml").write_text(scaffold_properties(contract, columns), "utf-8")
    settings = new_lake().model_copy(
        update={"contracts_dir": contracts_dir, "dbt_project_dir": project}
    )
    release, validation = deliver(
        settings, "hotline.satisfaction", "2026-03-31", list(surveys()), quarantined=2
    )
    result = standardise(
        [release],
        settings=settings,
        target_dir=tmp_path / "target",
        validations=[validation],
    )
    assert {model.name: model.rows for model in result.models if model.layer != "test"} == {
        "stg_hotline__satisfaction": 6,
        "dim_area": 1,
        "aud_accounting_identity": 1,
    }
    # Its core.dim_area has the name of a table of ours, and is none: no suite of ours judges it.
    assert not [result for result in result.results if result.key.startswith("core.")]
