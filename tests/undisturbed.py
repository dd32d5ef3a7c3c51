"""The same deliveries, stage after stage and with nothing killed: what others must equal."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cityledger.records import Publication, Standardisation, Validation
from cityledger.runner import Runner
from cityledger.settings import Settings
from cityledger.storage.database import Database
from cityledger.storage.objects import ObjectStore
from pydantic import SecretStr


@dataclass(frozen=True, slots=True)
class Undisturbed:
    """What has become of the deliveries."""

    validations: list[Validation]
    built: Standardisation
    published: Publication


def undisturbed(
    settings: Settings,
    deliveries: Iterable[tuple[str, str]],
    *,
    s3_url: str,
    postgres_url: str,
    home: Path,
) -> Undisturbed:
    """Run the deliveries of an installation into other, empty stores, without Airflow."""
    elsewhere = settings.model_copy(
        update={
            "home": home,
            "spool_dir": home / "spool",
            "database_url": SecretStr(postgres_url),
            "s3_url": SecretStr(s3_url),
        }
    )
    elsewhere.spool_dir.mkdir()
    Database.from_settings(elsewhere).migrate()
    ObjectStore.from_settings(elsewhere).ensure_buckets()
    runner, validations = Runner(elsewhere), []
    for dataset, partition in deliveries:
        runner.extract_land(dataset, partition)
        validations.append(runner.parse_validate(dataset, partition))
        assert runner.release(dataset, partition).released
    built, published = runner.standardise(), runner.publish()
    assert built is not None
    assert published is not None
    return Undisturbed(validations, built, published)
