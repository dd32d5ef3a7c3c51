"""Compiles the dbt project in a scratch folder and looks for what is not reproducible in it.

What may differ from run to run is looked for in the SQL as DuckDB runs it; what may differ from
engine to engine in the SQL around the macros of ``macros/adapters/engine.sql``, in whose place
stand-ins are compiled: those macros have an implementation for each engine.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cityledger.audit.scratch import write_profile
from cityledger.contracts.city import read_city
from cityledger.contracts.registry import load_contracts
from cityledger.ledger.columns.determinism import Doubt, project_doubts
from cityledger.ledger.columns.portability import project_portability_doubts
from cityledger.lifecycle.dbt_inputs import write_inputs
from cityledger.lifecycle.dbt_run import invoke
from cityledger.settings import Settings

_ENGINE = Path("macros", "adapters", "engine.sql")
_STAND_INS = Path(__file__).with_name("engine_stand_ins.sql")


def lint_models(settings: Settings) -> list[Doubt]:
    """Doubts about the models of the project; needs no server.

    Raises:
        CityLedgerError: the project does not compile.
    """
    with _compiled(settings) as target:
        return project_doubts(target)


def lint_portability(settings: Settings) -> list[Doubt]:
    """What engines may do differently in the project's models and tests; needs no server.

    Raises:
        CityLedgerError: the project does not compile.
    """
    with _compiled(settings, stand_ins=True) as target:
        return project_portability_doubts(target, target.with_name("input"))


@contextmanager
def _compiled(settings: Settings, *, stand_ins: bool = False) -> Iterator[Path]:
    """The target folder of the compiled project."""
    folder = Path(tempfile.mkdtemp(prefix="cityledger-lint-"))
    try:
        project, inputs = folder / "dbt_project", folder / "input"
        left_out = shutil.ignore_patterns("target", "logs", ".*")
        shutil.copytree(settings.dbt_project_dir, project, ignore=left_out)
        if stand_ins and (project / _ENGINE).exists():
            shutil.copy(_STAND_INS, project / _ENGINE)
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
        yield folder / "target"
    finally:
        shutil.rmtree(folder, ignore_errors=True)
