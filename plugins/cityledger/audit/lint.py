"""Compiles the dbt project in a scratch folder and looks for what is not reproducible in it."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from cityledger.audit.scratch import write_profile
from cityledger.contracts.city import read_city
from cityledger.contracts.registry import load_contracts
from cityledger.ledger.columns.determinism import Doubt, project_doubts
from cityledger.lifecycle.dbt_inputs import write_inputs
from cityledger.lifecycle.dbt_run import invoke
from cityledger.settings import Settings


def lint_models(settings: Settings) -> list[Doubt]:
    """Doubts about the models of the project; needs no server.

    Raises:
        CityLedgerError: the project does not compile.
    """
    folder = Path(tempfile.mkdtemp(prefix="cityledger-lint-"))
    try:
        project, inputs = folder / "dbt_project", folder / "input"
        left_out = shutil.ignore_patterns("target", "logs", ".*")
        shutil.copytree(settings.dbt_project_dir, project, ignore=left_out)
        write_profile(project, folder / "lake.ducklake")
        write_inputs(
            inputs,
            releases=(),
            validations=(),
            contracts=load_contracts(settings.contracts_dir),
            city=read_city(settings.contracts_dir / "city.yaml"),
        )
        invoke(
            ["compile"],
            project_dir=project,
            target_dir=folder / "target",
            environment={
                "CITYLEDGER_HOME": str(folder / "home"),
                "CITYLEDGER_DBT_INPUT_DIR": str(inputs),
                # Only so that macro `pseudonym` compiles; nothing is computed with it.
                "CITYLEDGER_PSEUDONYM_KEY": "compiled only, nothing is computed",
                "DO_NOT_TRACK": "1",
            },
        )
        return project_doubts(folder / "target")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
