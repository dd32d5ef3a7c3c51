"""Trace, evidence pack and re-derivation on real servers, with a small demo city."""

from __future__ import annotations

import secrets

import pytest
from cityledger.audit.trace import trace_indicator
from cityledger.demo.generate.generator import generate
from cityledger.errors import BadInputError
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
