"""Re-derivation: the pack's number computed again from the original bytes, in a scratch folder.

Parse and validate run as they did, on the landed files, under the pack's contracts; then the pack's
own dbt project builds the number's tables in a DuckLake of its own. No server is needed, unless the
landed files have to be fetched from the landing bucket.
"""

from __future__ import annotations

import secrets
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import Any

import duckdb
import polars as pl

from cityledger.audit.pack import open_pack
from cityledger.audit.pinned import rows
from cityledger.audit.scratch import ScratchStore, write_profile
from cityledger.contracts.city import City, read_city
from cityledger.contracts.identity import Partition
from cityledger.contracts.registry import load_contract, load_contracts
from cityledger.errors import BadInputError, CityLedgerError
from cityledger.ledger.builds import Build, code_identity
from cityledger.lifecycle.amendments import Amendments
from cityledger.lifecycle.content_digest import table_digest
from cityledger.lifecycle.dbt_inputs import write_inputs
from cityledger.lifecycle.dbt_run import invoke
from cityledger.lifecycle.parse import parse
from cityledger.lifecycle.validate import validate
from cityledger.records import Correction, Receipt, Record, Release, Validation, Waiver
from cityledger.settings import Settings
from cityledger.storage import duck
from cityledger.storage.objects import ObjectStore
from quality_checks.suite import compile_suite

_NUMBERS = ("value", "numerator", "denominator")


class Comparison(StrEnum):
    """How close the re-derived thing is to the recorded one."""

    BYTES = "identical bytes"
    CONTENT = "identical content"
    DIFFERENT = "different"
    SKIPPED = "not compared"


class Check(Record):
    """One thing that was compared."""

    what: str
    result: Comparison
    expected: str
    found: str


class Rederivation(Record):
    """What a re-derivation came to.

    Attributes:
        first_difference: In the order of the pipeline; empty when there is none.
        notes: What the reader should know: other code, no pseudonym key.
    """

    result: Comparison
    first_difference: str
    checks: tuple[Check, ...]
    notes: tuple[str, ...]


def rederive_pack(
    path: Path,
    settings: Settings,
    *,
    verifier: str | None = None,
    trusted_size: int | None = None,
) -> Rederivation:
    """Verify a pack, compute its number again and compare.

    The pack brings the SQL that is run here: only re-derive one whose signer you trust.

    Args:
        path: Of the pack.
        settings: Where scratch space is; the object store, if the pack brings no inputs; the
            pseudonym key, without which pseudonymised tables are not compared.
        verifier: The city's verifier key; without it the pack's own, which anybody can make.
        trusted_size: Of a revoked key: the largest tree that it surely signed for the city.

    Raises:
        BadInputError: the pack does not verify.
        CityLedgerError: the landed files are not to be had, or a model fails.
    """
    statement, files = open_pack(path, verifier, trusted_size)
    settings.spool_dir.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="rederive-", dir=settings.spool_dir))
    try:
        return _Work(settings, folder, statement["predicate"], files).run()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@dataclass
class _Work:
    settings: Settings
    folder: Path
    predicate: dict[str, Any]
    files: dict[str, bytes]
    checks: list[Check] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def run(self) -> Rederivation:
        self._unpack()
        build = Build.model_validate_json(self.files[self.predicate["build"]["file"]])
        if build.code.lock_sha256 != code_identity().lock_sha256:
            self.notes.append("other versions of the engines run here: the lock file differs")
        judged = [self._judge(one) for one in self.predicate["inputs"]]
        self._build(build, judged)
        with self._lake() as connection:
            self._tables(connection, build)
            self._value(connection)
        return self._result()

    def _unpack(self) -> None:
        for name, data in self.files.items():
            if not name.startswith("code/"):
                continue
            parts = PurePosixPath(name).parts[1:]
            if ".." in parts or not parts:
                raise BadInputError(f"the pack has a strange path: {name!r}", code="pack_malformed")
            target = self.folder.joinpath(*parts)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
        write_profile(self.folder / "dbt_project", self._catalogue)

    @property
    def _catalogue(self) -> Path:
        return self.folder / "lake.ducklake"

    def _contracts(self, one: Mapping[str, Any]) -> Path:
        """The folder of contracts with the one by which a delivery was judged."""
        own = self.files[one["contract"]]
        usual = self.folder / "contracts"
        place = Path(*one["dataset"].split(".")).with_suffix(".odcs.yaml")
        if (usual / place).read_bytes() == own:
            return usual
        folder = self.folder / "older" / PurePosixPath(one["contract"]).name
        if not folder.exists():
            shutil.copytree(usual, folder)
            (folder / place).write_bytes(own)
        return folder

    def _judge(self, one: Mapping[str, Any]) -> tuple[Release, Validation]:
        folder = self._contracts(one)
        receipt = Receipt.model_validate(one["receipt"])
        contract = load_contract(
            folder / Path(*one["dataset"].split(".")).with_suffix(".odcs.yaml")
        )
        suite = compile_suite(
            contract, codes_dir=folder / "codes", as_of=Partition.parse(one["partition"]).end
        )
        amendments = Amendments(
            tuple(Correction.model_validate(part) for part in one["corrections"]),
            tuple(Waiver.model_validate(part) for part in one["waivers"]),
        )
        store = self._store()
        batches = parse(receipt, contract, suite, store=store, corrections=amendments.corrections)
        made = validate(
            receipt,
            contract,
            suite,
            batches,
            store=store,
            scratch_dir=self.folder / "held",
            amendments=amendments,
        )
        self._compare_delivery(one, made)
        released = Release.model_validate(one["release"])
        return released.model_copy(update={"validated": made.validated}), made

    def _compare_delivery(self, one: Mapping[str, Any], made: Validation) -> None:
        expected, found = one["validated"]["sha256"], made.validated.sha256
        counts = made.accounting.model_dump(mode="json")
        what = f"validated rows of {one['dataset']} {one['partition']} {one['delivery']}"
        if counts != one["accounting"]:
            self._check(what, Comparison.DIFFERENT, str(one["accounting"]), str(counts))
        elif expected == found:
            self._check(what, Comparison.BYTES, expected, found)
        else:
            # The staging table's digest, further on, says whether the rows are the same.
            self._check(what, Comparison.SKIPPED, expected, found)

    def _store(self) -> ScratchStore:
        inputs = {
            name.removeprefix("inputs/"): data
            for name, data in self.files.items()
            if name.startswith("inputs/")
        }
        landing = ObjectStore.from_settings(self.settings) if self.settings.s3_url else None
        return ScratchStore(self.folder / "objects", inputs, landing)

    def _build(self, build: Build, judged: list[tuple[Release, Validation]]) -> None:
        inputs = self.folder / "input"
        write_inputs(
            inputs,
            releases=[release for release, _ in judged],
            validations=[validation for _, validation in judged],
            contracts=load_contracts(self.folder / "contracts"),
            city=self._city(),
        )
        listed = pl.read_parquet(inputs / "releases.parquet")
        local = pl.col("uri").str.replace("s3://", f"{self.folder / 'objects'}/", literal=True)
        listed.with_columns(local).write_parquet(inputs / "releases.parquet")
        names = sorted(model.name for model in build.models if model.table in self._wanted(build))
        invoke(
            ["build", "--select", *names, "--resource-type", "model", "--resource-type", "seed"],
            project_dir=self.folder / "dbt_project",
            target_dir=self.folder / "target",
            environment=self._environment(inputs),
        )

    def _city(self) -> City:
        """The pack's city; contracts without one have neither areas nor departments."""
        path = self.folder / "contracts" / "city.yaml"
        if path.exists():
            return read_city(path)
        return City(name="", code="", areas=(), departments=())

    def _wanted(self, build: Build) -> set[str]:
        """The tables to build: those of the pack whose parents are all in it."""
        listed = set(self.predicate["rederive"]["tables"])
        return {
            model.table
            for model in build.models
            if model.table in listed and set(model.parents) <= listed
        }

    def _environment(self, inputs: Path) -> dict[str, str]:
        key = self.settings.pseudonym_key
        if key is None:
            self.notes.append("no pseudonym key: tables with pseudonyms are not compared")
        return {
            "CITYLEDGER_HOME": str(self.folder / "home"),
            "CITYLEDGER_THREADS": str(self.settings.threads),
            "CITYLEDGER_MEMORY_LIMIT_MB": str(self.settings.memory_limit_mb),
            "CITYLEDGER_PSEUDONYM_KEY": key.get_secret_value() if key else secrets.token_hex(32),
            "CITYLEDGER_DBT_INPUT_DIR": str(inputs),
            "DO_NOT_TRACK": "1",
        }

    def _lake(self) -> duckdb.DuckDBPyConnection:
        connection = duckdb.connect(config=duck.session_config(self.settings))
        connection.execute(f"LOAD '{duck.extension_file('ducklake')}'")
        connection.execute(f"ATTACH 'ducklake:{self._catalogue}' AS lake (READ_ONLY)")
        return connection

    def _tables(self, connection: duckdb.DuckDBPyConnection, build: Build) -> None:
        snapshot = duck.snapshot_id(connection)
        hidden = set(_pseudonymised(build)) if self.settings.pseudonym_key is None else set()
        for table in sorted(self._wanted(build), key=_layer):
            expected = self.predicate["rederive"]["tables"][table]
            found = table_digest(connection, table, snapshot).sha256
            same = Comparison.CONTENT if found == expected else Comparison.DIFFERENT
            result = Comparison.SKIPPED if table in hidden else same
            self._check(f"table {table}", result, str(expected), found)

    def _value(self, connection: duckdb.DuckDBPyConnection) -> None:
        subject = self.predicate["subject"]
        if subject["kind"] != "indicator":
            return
        model = next(
            one
            for one in Build.model_validate_json(self.files["build.json"]).models
            if one.meta.get("indicator", {}).get("code") == subject["indicator_code"]
        )
        found = rows(
            connection,
            f"SELECT {', '.join(f'cast({name} AS varchar) AS {name}' for name in _NUMBERS)}"
            f" FROM lake.{model.table} WHERE area_code = ? AND period = ?",
            (subject["area_code"], subject["period"]),
        )
        now = found[0] if found else dict.fromkeys(_NUMBERS)
        before = {name: subject[name] for name in _NUMBERS}
        same = Comparison.BYTES if now == before else Comparison.DIFFERENT
        what = f"value of {subject['indicator_code']} {subject['area_code']} {subject['period']}"
        self._check(what, same, str(before), str(now))

    def _check(self, what: str, result: Comparison, expected: str, found: str) -> None:
        self.checks.append(Check(what=what, result=result, expected=expected, found=found))

    def _result(self) -> Rederivation:
        results = {check.result for check in self.checks}
        first = next((one for one in self.checks if one.result is Comparison.DIFFERENT), None)
        deliveries = [one for one in self.checks if one.what.startswith("validated")]
        if first is not None:
            result = Comparison.DIFFERENT
        elif deliveries and all(one.result is Comparison.BYTES for one in deliveries):
            result = Comparison.BYTES
        elif results - {Comparison.SKIPPED}:
            result = Comparison.CONTENT
        else:
            raise CityLedgerError("nothing could be compared", code="nothing_compared")
        return Rederivation(
            result=result,
            first_difference=""
            if first is None
            else f"{first.what}: recorded {first.expected}, now {first.found}",
            checks=tuple(self.checks),
            notes=tuple(dict.fromkeys(self.notes)),
        )


def _pseudonymised(build: Build) -> Iterator[str]:
    """Tables with pseudonyms in them."""
    yield from (model.table for model in build.models if "pseudonym_" in model.sql)


_LAYERS = ("reference", "staging", "core", "indicators", "audit")


def _layer(table: str) -> tuple[int, str]:
    schema = table.partition(".")[0]
    return (_LAYERS.index(schema) if schema in _LAYERS else len(_LAYERS), table)
