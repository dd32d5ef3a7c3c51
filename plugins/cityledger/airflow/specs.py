"""What a DAG needs to know of each contract, read as rarely as possible.

Airflow's DAG processor starts a new process for every parsing, and every task does, too. Reading a
contract takes several milliseconds, so the processor keeps what it read (``spec_cache``), and a
task reads its own contract only.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from cityledger.airflow.spec_cache import SUFFIX, Kept, Reading, State, recall, remember
from cityledger.contracts.identity import DatasetId
from cityledger.contracts.model import Contract, Severity
from cityledger.contracts.registry import load_contract
from cityledger.errors import BadInputError
from cityledger.settings import Settings

DAG_PREFIX = "dataset__"


@dataclass(frozen=True, slots=True)
class DagSpec:
    """The part of a contract that shapes its DAG.

    Attributes:
        dataset: ``<department>.<dataset>``.
        schedule: Cron expression; None means triggered only.
        pool: Airflow pool of the task that talks to the department's system.
        document: Markdown for the DAG's page.
        in_parts: Whether its files may be large enough to be parsed in parts.
    """

    dataset: str
    title: str
    grain: str
    schedule: str | None
    pool: str
    owner: str
    document: str
    in_parts: bool = False

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
            in_parts=contract.layout.part_bytes is not None,
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
    paths = sorted(contracts_dir.glob(f"*/*{SUFFIX}"))
    names = [f"{path.parent.name}.{path.name.removesuffix(SUFFIX)}" for path in paths]
    return [name for name in names if _is_dataset_id(name)]  # the lint reports the others


def read_spec(contracts_dir: Path, wanted: str) -> DagSpec | None:
    """The specification of one DAG, from its own contract alone; None when there is none.

    Raises:
        ContractError: the contract has violations.
    """
    dataset = wanted.removeprefix(DAG_PREFIX).replace("__", ".")
    if not _is_dataset_id(dataset):
        return None
    path = contracts_dir / f"{DatasetId.parse(dataset).prefix}{SUFFIX}"
    return DagSpec.of(load_contract(path), contracts_dir) if path.exists() else None


def read_specs(settings: Settings) -> Specs:
    """The specifications of all contracts; only files that have changed are read."""
    cache = settings.home / "cache" / "dag-specs.json"
    state, kept = State.of(settings.contracts_dir), recall(cache)
    current = kept.current(state)
    if (kept.shared, current.keys()) != (state.shared, state.contracts.keys()):
        kept = _read(settings.contracts_dir, state, current)
        remember(cache, kept)
    elif kept.readings.keys() != current.keys():
        kept = Kept(kept.shared, kept.problems, current)
        remember(cache, kept)
    return _specs(kept)


def _is_dataset_id(name: str) -> bool:
    try:
        DatasetId.parse(name)
    except BadInputError:
        return False
    return True


def _read(contracts_dir: Path, state: State, current: dict[str, Reading]) -> Kept:
    """Read what changed, beside the readings that still hold."""
    from cityledger.contracts.lint import examine

    report = examine(contracts_dir, wanted=lambda path: str(path) not in current)
    contracts = {str(contract.path): contract for contract in report.contracts.values()}
    problems: dict[str, list[str]] = {}
    for violation in report.violations:
        problems.setdefault(str(violation.file), []).append(str(violation))
    readings = dict(current)
    for path, stamp in state.contracts.items():
        if path not in current:
            found, contract = tuple(problems.pop(path, ())), contracts.get(path)
            spec = asdict(DagSpec.of(contract, contracts_dir)) if contract and not found else None
            readings[path] = Reading(stamp, spec, found)
    shared = tuple(line for lines in problems.values() for line in lines)
    return Kept(state.shared, shared, dict(sorted(readings.items())))


def _specs(kept: Kept) -> Specs:
    readings = kept.readings.values()
    good = tuple(DagSpec(**reading.spec) for reading in readings if reading.spec is not None)
    own = (problem for reading in readings for problem in reading.problems)
    return Specs(good, (*kept.problems, *own))


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
