"""Trace, evidence pack and re-derivation on real servers, with a small demo city."""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from pathlib import Path

import pytest
from cityledger.audit import verify_pack as offline
from cityledger.audit.gather import gather_indicator, gather_table
from cityledger.audit.pack import make_pack, open_pack, sign_statement
from cityledger.audit.rederive import Comparison, rederive_pack
from cityledger.audit.trace import VALUES, trace_indicator
from cityledger.demo.generate.generator import generate
from cityledger.errors import BadInputError, CityLedgerError
from cityledger.ledger.catalog import Catalog
from cityledger.ledger.columns.determinism import project_doubts
from cityledger.ledger.facts import DECLARES, NodeKind
from cityledger.ledger.graph import LineageGraph
from cityledger.ledger.log import checkpoint
from cityledger.ledger.log.files import LogFiles
from cityledger.ledger.log.keyring import Keyring
from cityledger.ledger.log.landed import verify_landed
from cityledger.ledger.log.verify import verify
from cityledger.records import Publication
from cityledger.runner import Runner
from cityledger.settings import Settings
from cityledger.storage.database import Database
from cityledger.storage.objects import ObjectStore
from cityledger_stack.postgres import Postgres
from psycopg import sql

PARTITIONS = {
    "education.schools": "2025",
    "environment.air_quality": "2026-03",
    "gov_services.service_cases": "2026-03-31",
    "health.outpatient_visits": "2026-03-31",
    "hotline.satisfaction": "2026-03-31",
    "hotline.tickets": "2026-03-31",
    "market.enterprises": "2026-03",
    "transport.metro_trips": "2026-03-31",
    "transport.signalised_intersections": "2026-03",
}
KEY = "a key for tests, long enough for the rule"


@pytest.fixture(scope="module")
def city(
    postgres_server: Postgres, s3_url: str, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Runner, Publication]:
    """A published city, made once for all tests here."""
    name = f"evidence_{secrets.token_hex(4)}"
    with postgres_server.connect() as session:
        session.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    home = tmp_path_factory.mktemp("evidence")
    address = f"127.0.0.1:{postgres_server.port}/{name}"
    settings = Settings(
        _env_file=None,
        home=home,
        drop_dir=home / "drop",
        spool_dir=home / "spool",
        database_url=f"postgresql://postgres:{postgres_server.password}@{address}",
        s3_url=s3_url,
        bucket_prefix=f"t{secrets.token_hex(4)}-",
        pseudonym_key=KEY,
        threads=2,
    )
    Database.from_settings(settings).migrate()
    ObjectStore.from_settings(settings).ensure_buckets()
    generate(settings.drop_dir, scale=0.02, seed=1)
    runner = Runner(settings)
    for dataset, partition in PARTITIONS.items():
        runner.extract_land(dataset, partition)
        runner.parse_validate(dataset, partition)
        runner.release(dataset, partition)
    runner.standardise()
    publication = runner.publish()
    assert publication is not None
    return runner, publication


def test_every_indicator_is_traced_to_lines(city: tuple[Runner, Publication]) -> None:
    """Prevents a number whose rows nobody can show; all steps must agree with the value."""
    runner, publication = city
    assert verify(runner.settings).clean
    told = [value for value in publication.values if value.value is not None]
    assert len(told) >= 10
    for value in told:
        found = trace_indicator(runner, value.code, area=value.area, period=value.period, limit=2)
        assert found.value is not None, value.code
        assert found.total > 0, (value.code, found)
        assert len(found.sources) == min(2, found.total), value.code
        assert all(row.cells and row.line > 0 for row in found.sources), value.code
        assert found.steps[-1].table.startswith("staging."), value.code


def test_trace_counts_and_masks(city: tuple[Runner, Publication]) -> None:
    """Prevents a trace with other rows than the value's, or with somebody's phone number in it."""
    runner, publication = city
    value = next(v for v in publication.values if v.code == "SVC-01" and v.value)
    found = trace_indicator(runner, "SVC-01", area=value.area, period=value.period, limit=3)
    assert found.denominator is not None
    assert found.steps[0].rows == found.total == float(found.denominator)
    for row in found.sources:
        phone = row.cells["phone"]
        assert phone is None or "*" in phone or phone == ""
    with pytest.raises(BadInputError, match="no value of SVC-01"):
        trace_indicator(runner, "SVC-01", area="000000", period=value.period)


@pytest.fixture(scope="module")
def packs(
    city: tuple[Runner, Publication], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """Packs for a value, with and without its inputs, and for a table."""
    runner, publication = city
    folder = tmp_path_factory.mktemp("packs")
    value = next(v for v in publication.values if v.code == "SVC-01" and v.value)
    evidence = gather_indicator(runner, value.code, area=value.area, period=value.period)
    table = gather_table(runner, "core.fct_outpatient_visit")
    made = {
        "plain": make_pack(runner, evidence),
        "whole": make_pack(runner, evidence, with_inputs=True),
        "table": make_pack(runner, table, with_inputs=True),
    }
    assert make_pack(runner, evidence) == made["plain"]
    for name, data in made.items():
        (folder / f"{name}.zip").write_bytes(data)
    return {name: folder / f"{name}.zip" for name in made}


def test_pack_verifies_and_is_readable(
    city: tuple[Runner, Publication], packs: dict[str, Path]
) -> None:
    """Prevents a pack that only its maker believes, or that no auditor can read."""
    runner, publication = city
    files = LogFiles(runner.settings, runner.store)
    (key,) = Keyring(runner.settings, runner.database, files).keys()
    statement, contents = open_pack(packs["plain"], str(key.verifier))
    predicate = statement["predicate"]
    value = next(v for v in publication.values if v.code == "SVC-01" and v.value)
    assert predicate["subject"]["value"] == value.value
    assert [one["dataset"] for one in predicate["inputs"]] == ["gov_services.service_cases"]
    assert all(one["verdicts"] and one["objects"] for one in predicate["inputs"])
    jobs = {event["job"] for event in predicate["log"]["events"]}
    assert jobs >= {"gov_services.service_cases.land", "city.standardise", "city.publish"}
    assert contents["evidence.pdf"].startswith(b"%PDF")
    page = contents["index.html"].decode()
    assert value.value in page
    assert "<svg" in page
    assert not re.search(r"(src|href)=.?https?:", page)
    assert not any(name.startswith("inputs/") for name in contents)


def test_crate_is_complete(packs: dict[str, Path]) -> None:
    """Prevents a crate whose parts are not in it, or that lacks what its profiles ask for."""
    _, contents = open_pack(packs["plain"])
    document = json.loads(contents["ro-crate-metadata.json"])
    nodes = {node["@id"]: node for node in document["@graph"]}
    assert len(nodes) == len(document["@graph"])
    assert nodes["ro-crate-metadata.json"]["about"] == {"@id": "./"}
    root = nodes["./"]
    assert {"name", "description", "datePublished", "license", "mainEntity"} <= set(root)
    parts = {part["@id"] for part in root["hasPart"]}
    assert parts == set(contents) - {"ro-crate-metadata.json", "statement.dsse.json"}
    assert nodes[root["mainEntity"]["@id"]]["@type"][-1] == "ComputationalWorkflow"
    (action,) = [node for node in document["@graph"] if node["@type"] == "CreateAction"]
    assert action["instrument"] == root["mainEntity"]
    referred = re.findall(r'\{"@id": "([^"]+)"\}', json.dumps(document))
    outside = {one for one in referred if one not in nodes}
    assert outside == {"https://w3id.org/ro/crate/1.1"}


@pytest.mark.parametrize("name", ["whole", "table"])
def test_rederived_elsewhere_without_any_server(
    city: tuple[Runner, Publication], packs: dict[str, Path], name: str, tmp_path: Path
) -> None:
    """Prevents evidence that only the machine which made it can repeat."""
    elsewhere = Settings(
        _env_file=None, home=tmp_path, spool_dir=tmp_path / "spool", pseudonym_key=KEY, threads=1
    )
    assert elsewhere.s3_url is None
    result = rederive_pack(packs[name], elsewhere)
    assert result.first_difference == ""
    assert result.result is Comparison.BYTES, result
    assert result.notes == ()
    assert any(check.what.startswith("table core.") for check in result.checks)
    assert not list((tmp_path / "spool").iterdir())


def test_rederived_from_the_landing_bucket(
    city: tuple[Runner, Publication], packs: dict[str, Path], tmp_path: Path
) -> None:
    """Prevents small packs from being worthless; without the key pseudonyms are left out."""
    runner, _ = city
    elsewhere = runner.settings.model_copy(
        update={"home": tmp_path, "spool_dir": tmp_path / "spool", "pseudonym_key": None}
    )
    result = rederive_pack(packs["plain"], elsewhere)
    assert result.result is Comparison.BYTES, result
    assert any("pseudonym" in note for note in result.notes)
    nowhere = Settings(_env_file=None, home=tmp_path, spool_dir=tmp_path / "spool")
    with pytest.raises(CityLedgerError) as caught:
        rederive_pack(packs["plain"], nowhere)
    assert caught.value.code == "inputs_missing"


def test_another_number_does_not_verify_and_is_told(
    city: tuple[Runner, Publication], packs: dict[str, Path], tmp_path: Path
) -> None:
    """Prevents a forger with the key: the log knows the number, and so do the original bytes."""
    runner, _ = city
    files = LogFiles(runner.settings, runner.store)
    signer = Keyring(runner.settings, runner.database, files).signer()
    statement, contents = open_pack(packs["whole"])
    predicate = statement["predicate"]
    predicate["subject"]["value"] = "0.1000"
    listed = predicate.pop("files")
    del predicate["id"]
    predicate["id"] = offline.identity(predicate)
    predicate["files"] = listed
    digest = hashlib.sha256(offline.canonical(predicate["subject"])).hexdigest()
    statement["subject"][0]["digest"]["sha256"] = digest
    forged = tmp_path / "forged.zip"
    envelope = sign_statement(statement, signer)
    forged.write_bytes(offline.zip_bytes(contents | {offline.STATEMENT: envelope}))
    with pytest.raises(BadInputError, match=r"the statement says 0\.1000"):
        open_pack(forged)
    elsewhere = Settings(
        _env_file=None, home=tmp_path, spool_dir=tmp_path / "spool", pseudonym_key=KEY
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(offline, "check_value", lambda *_: None)
        result = rederive_pack(forged, elsewhere)
    assert result.result is Comparison.DIFFERENT
    assert "0.1000" in result.first_difference


def test_tampered_landing_is_told(city: tuple[Runner, Publication]) -> None:
    """Prevents a landed object that is not what its receipt says from staying unseen."""
    runner, _ = city
    assert list(verify_landed(runner.database, runner.store)) == []
    receipt = runner.journal.receipts("hotline.tickets", "2026-03-31")[0]
    lie = receipt.objects[0].model_copy(update={"sha256": "0" * 64})
    forged = receipt.model_copy(update={"objects": (lie,), "delivery": "f" * 16, "sequence": 9})
    runner.store.put_bytes(
        "landing",
        "_receipts/hotline/tickets/2026-03-31/00009-ffffffffffffffff.json",
        forged.model_dump_json().encode(),
    )
    found = list(verify_landed(runner.database, runner.store))
    assert [one.kind for one in found] == ["object_changed"]


def test_a_published_city_lacks_nothing_it_declared(city: tuple[Runner, Publication]) -> None:
    """Prevents a declaration that no run can keep, or a model whose lineage nobody missed."""
    runner, _ = city
    graph = LineageGraph(runner.database, wait=60)
    catalog = Catalog(runner.database, graph)
    assert graph.behind() == 0
    assert catalog.gapped_runs(10, 0).items == ()
    assert catalog.remarked().items == ()
    build = graph.find(NodeKind.JOB, runner.settings.lineage_namespace, "city.standardise")
    assert build is not None
    (run,) = catalog.runs(build, 1, 0).items
    declared = catalog.run_facets([run])[run.run_id][DECLARES]
    assert len(declared["children"]) > 10


@pytest.mark.parametrize("threads", [1, 8])
def test_all_indicators_are_the_same_at_any_thread_count(
    city: tuple[Runner, Publication], tmp_path: Path, threads: int
) -> None:
    """Prevents numbers that depend on the machine; the city itself was built with two threads."""
    runner, _ = city
    pack = tmp_path / "all.zip"
    pack.write_bytes(make_pack(runner, gather_table(runner, VALUES), with_inputs=True))
    elsewhere = Settings(
        _env_file=None,
        home=tmp_path,
        spool_dir=tmp_path / "spool",
        pseudonym_key=KEY,
        threads=threads,
    )
    result = rederive_pack(pack, elsewhere)
    assert result.result is Comparison.BYTES, result.first_difference
    compared = {check.what for check in result.checks if check.result is Comparison.CONTENT}
    assert f"table {VALUES}" in compared
    assert sum(one.startswith("table indicators.ind_") for one in compared) >= 13


def test_models_are_reproducible(city: tuple[Runner, Publication]) -> None:
    """Prevents a clock, a random number, a float sum or a tie in the models of the house."""
    assert project_doubts(city[0].settings.home / "dbt") == []


def test_packs_outlive_their_key(
    city: tuple[Runner, Publication], packs: dict[str, Path], tmp_path: Path
) -> None:
    """Prevents that a new key makes last year's evidence worthless, or a stolen one makes new."""
    runner, publication = city
    keyring = Keyring(runner.settings, runner.database, LogFiles(runner.settings, runner.store))
    old = str(keyring.signer().verifier)
    statement, _ = open_pack(packs["plain"], old)
    signed = statement["predicate"]["log"]["tree_size"]
    new = str(keyring.rotate("yearly", "keeper"))
    checkpoint(runner.settings, database=runner.database, store=runner.store)
    assert open_pack(packs["plain"], old)[0] == statement
    assert verify(runner.settings).clean

    value = next(v for v in publication.values if v.code == "SVC-01" and v.value)
    evidence = gather_indicator(runner, value.code, area=value.area, period=value.period)
    later = tmp_path / "later.zip"
    later.write_bytes(make_pack(runner, evidence))
    open_pack(later, new)
    with pytest.raises(BadInputError, match="not signed by key"):
        open_pack(later, old)

    keyring.revoke(old.split("+")[1], "stolen", signed, "keeper")
    assert verify(runner.settings).clean
    assert open_pack(packs["plain"], old, trusted_size=signed)[0] == statement
    with pytest.raises(BadInputError, match="revoked above"):
        open_pack(packs["plain"], old, trusted_size=signed - 1)
