"""Settings hold the secrets of an installation; nothing that prints them may tell one."""

from __future__ import annotations

from typing import Any

import pytest
from cityledger.settings import Settings
from pydantic import ValidationError

SECRET = "rather-secret"


def test_printed_settings_tell_no_secret() -> None:
    """Prevents passwords in logs, task instances and bug reports."""
    settings = Settings(
        database_url=f"postgresql://u:{SECRET}@h/d",
        s3_url=f"http://u:{SECRET}@h:1",
        airflow_url=f"http://u:{SECRET}@h:1",
        collector_url=f"http://{SECRET}@h:1",
        ledger_key=SECRET,
        pseudonym_key=SECRET * 4,
        lineage_targets=[{"name": "m", "url": f"http://u:{SECRET}@h:1", "token": SECRET}],
    )
    assert SECRET not in f"{settings!r} {settings} {settings.lineage_targets!r}"


@pytest.mark.parametrize(
    "wrong",
    [
        {"pseudonym_key": SECRET},
        {"lineage_targets": [{"name": "m", "url": {"with": SECRET}}]},
        {"lineage_targets": [{"name": "m", "url": "http://h", "token": [SECRET]}]},
    ],
)
def test_a_wrong_setting_is_not_repeated(wrong: dict[str, Any]) -> None:
    """Prevents a key that is too short from being printed by whatever reads the settings."""
    with pytest.raises(ValidationError) as caught:
        Settings(**wrong)
    assert SECRET not in str(caught.value)
