"""What a DAG needs to know of each contract, read as rarely as possible.

Airflow's DAG processor starts a new process every few seconds, and every task does, too. Reading a
contract takes about 9 ms, so the processor keeps what it read in one JSON file until anything
below ``contracts/`` changes, and a task reads its own contract only.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from cityledger import __version__
from cityledger.contracts.identity import DatasetId
from cityledger.contracts.model import Contract, Severity
from cityledger.contracts.registry import load_contract
from cityledger.errors import BadInputError
from cityledger.settings import Settings

DAG_PREFIX = "dataset__"
_SUFFIX = ".odcs.yaml"


@dataclass(frozen=True, slots=True)
class DagSpec:
    """The part of a contract that shapes its DAG.

    Attributes:
        dataset: ``<department>.<dataset>``.
        schedule: Cron expression; None means triggered only.
        pool: Airflow pool of the task that talks to the department's system.
        document: Markdown for the DAG's page.
    """

    dataset: str
    title: str
    grain: str
    schedule: str | None
    pool: str
    owner: str
    document: str

    @property
    def id(self) -> DatasetId:
        """Department and name."""
        return DatasetId.parse(self.dataset)

    @property
    def dag_id(self) -> str:
        """``dataset__<department>__<dataset>``."""
        return self.id.dag_id

    @classmethod
    def of(cls, contract: Contract, root: Path) -> Self:
        """The specification that follows from a contract below the directory ``root``."""
        level = contract.service_level
        return cls(
            dataset=str(contract.id),
            title=contract.title,
            grain=level.grain,
            schedule=level.schedule,
            pool=contract.source.pool,
            owner=contract.owner or contract.id.department,
            document=_document(contract, root),
        )


@dataclass(frozen=True, slots=True)
class Specs:
    """All contracts of a directory: those that can run, and what is wrong with the others.

    Attributes:
        problems: One line per violation: file, line, column, message, fix.
    """

    good: tuple[DagSpec, ...]
    problems: tuple[str, ...]


def dataset_ids(contracts_dir: Path) -> list[str]:
    """The datasets that have a contract file, good or not, without reading any."""
    paths = sorted(contracts_dir.glob(f"*/*{_SUFFIX}"))
    names = [f"{path.parent.name}.{path.name.removesuffix(_SUFFIX)}" for path in paths]
    return [name for name in names if _is_dataset_id(name)]  # the lint reports the others


def read_spec(contracts_dir: Path, wanted: str) -> DagSpec | None:
    """The specification of one DAG, from its own contract alone; None when there is none.

    Raises:
        ContractError: the contract has violations.
    """
    for dataset in dataset_ids(contracts_dir):
        identity = DatasetId.parse(dataset)
        if identity.dag_id == wanted:
            path = contracts_dir / f"{identity.prefix}{_SUFFIX}"
            return DagSpec.of(load_contract(path), contracts_dir)
    return None


def read_specs(settings: Settings) -> Specs:
    """The specifications of all contracts, from the last reading while nothing has changed."""
    cache = settings.home / "cache" / "dag-specs.json"
    state = _state(settings.contracts_dir)
    known = _recall(cache, state)
    if known is None:
        known = _read(settings.contracts_dir)
        _remember(cache, state, known)
    return known


def _is_dataset_id(name: str) -> bool:
    try:
        DatasetId.parse(name)
    except BadInputError:
        return False
    return True


def _read(contracts_dir: Path) -> Specs:
    from cityledger.contracts.lint import examine

    report = examine(contracts_dir)
    broken = {violation.file for violation in report.violations}
    good = tuple(
        DagSpec.of(contract, contracts_dir)
        for contract in report.contracts.values()
        if contract.path not in broken
    )
    return Specs(good, tuple(str(violation) for violation in report.violations))


def _state(contracts_dir: Path) -> str:
    """A digest that changes with any file below the directory, and with our own version."""
    digest = hashlib.sha256(f"{__version__} {contracts_dir}".encode())
    for folder, folders, names in os.walk(contracts_dir):
        folders.sort()
        for name in sorted(names):
            path = Path(folder, name)
            entry = path.stat()
            digest.update(f"{path} {entry.st_mtime_ns} {entry.st_size}\n".encode())
    return digest.hexdigest()


def _recall(cache: Path, state: str) -> Specs | None:
    try:
        content: dict[str, Any] = json.loads(cache.read_text(encoding="utf-8"))
        if content["state"] != state:
            return None
        good = tuple(DagSpec(**spec) for spec in content["good"])
        return Specs(good, tuple(content["problems"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None  # no cache, or one that another version wrote: read the contracts


def _remember(cache: Path, state: str, specs: Specs) -> None:
    content = {
        "state": state,
        "good": [asdict(spec) for spec in specs.good],
        "problems": specs.problems,
    }
    temporary = cache.with_suffix(f".{os.getpid()}")
    try:
        cache.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
        temporary.replace(cache)
    except OSError:
        temporary.unlink(missing_ok=True)  # a read-only home costs time, not correctness


def _document(contract: Contract, root: Path) -> str:
    level, gate = contract.service_level, contract.gate
    blocking = sum(rule.severity is Severity.BLOCK for rule in contract.rules)
    facts = {
        "Contract 数据契约": f"`{contract.path.relative_to(root)}`, version {contract.version}",
        "Partition 分区": f"one {level.grain}; give its key when you trigger a run",
        "Due 时限": f"{level.latency} after the period's end",
        "Source 来源": f"{contract.source.connector}: `{contract.source.options.get('path', '')}`",
        "Rules 规则": f"{len(contract.rules)}, {blocking} of them blocking",
        "Gate 放行条件": (
            f"held when more than {gate.max_quarantined_percent:g} % are quarantined, "
            f"{gate.max_rejected_percent:g} % rejected, or fewer than {gate.min_rows} rows are good"
        ),
        "Owner 责任人": contract.owner,
        "Steward 数据管家": f"{contract.steward}, decides on held batches",
        "Contact 联系渠道": contract.contact,
    }
    table = "\n".join(f"| {name} | {_cell(value)} |" for name, value in facts.items() if value)
    return f"### {contract.title}\n\n{contract.description}\n\n| | |\n|---|---|\n{table}\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
