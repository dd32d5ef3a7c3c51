"""The verbs of operations, as an operator sees them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cityledger.cli.main import app
from cityledger.settings import Settings
from cityledger.storage.objects import LANDING, ObjectStore
from typer.testing import CliRunner


@pytest.mark.parametrize("group", ["backup", "retention"])
def test_help_names_every_verb_and_its_record(group: str) -> None:
    """A verb that nobody finds on the day of the fire."""
    shown = CliRunner().invoke(app, [group, "--help"]).output
    wanted = {
        "backup": ("create", "list", "verify", "restore", "prune", "docs/operations.md"),
        "retention": ("status", "apply", "hold", "release", "recorded"),
    }[group]
    assert all(word in shown for word in wanted)


def test_backup_verbs_from_create_to_prune(
    ready_settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Verbs that work in the library only."""
    monkeypatch.delenv("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", raising=False)
    ObjectStore.from_settings(ready_settings).put_bytes(LANDING, "a.csv", b"1")
    folder = str(tmp_path / "backups")

    def run(*words: str, code: int = 0) -> str:
        done = CliRunner().invoke(app, list(words))
        assert (done.exit_code, done.exception if code else None) == (code, done.exception)
        return done.stdout

    made = json.loads(run("backup", "create", folder, "--json"))
    assert (made["checkpoint"], made["warnings"]) == (None, [])
    assert list(made["databases"]) == ["cityledger"]
    assert made["id"] in run("backup", "list", folder)
    (listed,) = json.loads(run("backup", "list", folder, "--json"))
    assert (listed["id"], listed["versions"]) == (made["id"], 1)
    assert json.loads(run("backup", "verify", folder, "--json"))["damages"] == []
    shown = run("backup", "create", folder)
    assert "keep besides" in shown
    assert "pseudonym key" in shown
    removed = json.loads(run("backup", "prune", folder, "--keep", "1", "--json"))["removed"]
    assert removed in ([made["id"]], [])  # of the same second, they are one
    assert json.loads(run("retention", "status", "--json")) == {"deliveries": [], "holds": []}
    gone = run("retention", "apply", "--reason", "yearly", "--by", "officer", "--json")
    assert json.loads(gone) == {"deliveries": [], "objects": 0, "locked": []}
