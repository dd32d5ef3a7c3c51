"""What is installed is listed, compared with advisories, and holds no secret."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from infra.supply_chain import advisories, sbom
from infra.supply_chain.lock import LOCK, pins

ROOT = Path(__file__).resolve().parents[2]


def test_the_bill_lists_what_the_lock_pins() -> None:
    """A package that is installed and not listed is one that nobody looks up."""
    listed = {(one.name, one.version) for one in sbom.bom().components}
    lines = [line for line in LOCK.read_text().splitlines() if "==" in line and line[0] not in " #"]
    assert len(listed) == len(lines) > 300
    assert {(pin.name, pin.version) for pin in pins()} == listed
    assert all(one.hashes for one in sbom.bom().components)


def test_the_bill_is_valid_and_always_the_same() -> None:
    """A bill that differs each time can't be compared; one that is no CycloneDX is read by none."""
    made = [
        subprocess.run(
            [sys.executable, "-m", "infra.supply_chain.sbom"],
            cwd=ROOT,
            capture_output=True,
            check=True,
        ).stdout
        for _ in range(2)
    ]
    assert made[0] == made[1]
    document = json.loads(made[0])
    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.6")
    assert "timestamp" not in document["metadata"]
    assert document["components"][0]["purl"].startswith("pkg:pypi/")


def advisory(*events: dict[str, str], **more: Any) -> dict[str, Any]:
    return {
        "id": "TEST-1",
        "summary": "made for a test",
        "affected": [
            {
                "package": {"ecosystem": "PyPI", "name": "Jinja2"},
                "ranges": [{"type": "ECOSYSTEM", "events": list(events)}],
            }
        ],
        **more,
    }


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    path = tmp_path / "requirements.lock"
    path.write_text(f"jinja2==3.1.4 \\\n    --hash=sha256:{'a' * 64}\n")
    return path


@pytest.mark.parametrize(
    ("events", "hit"),
    [
        ([{"introduced": "0"}], True),
        ([{"introduced": "0"}, {"fixed": "3.1.5"}], True),
        ([{"introduced": "0"}, {"fixed": "3.1.4"}], False),
        ([{"introduced": "3.1.5"}], False),
        ([{"introduced": "0"}, {"last_affected": "3.1.4"}], True),
        ([{"introduced": "0"}, {"last_affected": "3.1.3"}], False),
        ([{"introduced": "2.0"}, {"fixed": "2.5"}, {"introduced": "3.1"}], True),
        ([{"fixed": "3.1.10"}, {"introduced": "3.1.2"}], True),
    ],
)
def test_versions_are_compared_as_versions(
    lock: Path, events: list[dict[str, str]], hit: bool
) -> None:
    """3.1.10 is newer than 3.1.4, and a range may be open, closed or come in two parts."""
    found = advisories.findings(iter([advisory(*events)]), lock)
    assert bool(found) is hit


def test_withdrawn_advisories_and_other_worlds_do_not_count(lock: Path) -> None:
    """An alarm that is none teaches people to pass over alarms."""
    withdrawn = advisory({"introduced": "0"}, withdrawn="2026-01-01T00:00:00Z")
    foreign = advisory({"introduced": "0"})
    foreign["affected"][0]["package"]["ecosystem"] = "npm"
    assert advisories.findings(iter([withdrawn, foreign]), lock) == []
    listed = advisory()
    listed["affected"][0]["versions"] = ["3.1.4"]
    assert str(advisories.findings(iter([listed]), lock)[0]).startswith("jinja2 3.1.4: TEST-1")


def test_an_export_is_read_and_an_empty_one_is_no_clean_bill(tmp_path: Path) -> None:
    """A wrong path would otherwise say that everything is well."""
    export = tmp_path / "all.zip"
    with zipfile.ZipFile(export, "w") as archive:
        archive.writestr("TEST-1.json", json.dumps(advisory({"introduced": "0"})))
    assert advisories.main([str(export)]) == 1
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="no advisories"):
        advisories.main([str(tmp_path / "empty")])
    assert advisories.main([str(tmp_path / "nothing")]) == 2


# Put together here, so that this file holds no secret itself.
PLANTED = {
    "a cloud's key": "key = '" + "AKIA" + "QX3ZT7PLM2WR8NB4" + "'",
    "a private key": "-----BEGIN " + "RSA PRIVATE KEY-----",
    "a password in an address": "url = 'postgresql://city:" + "s3rIous9Pass" + "@db.city:5432/x'",
    "a password in a variable": "password = '" + "uT7xk2Lq9Vw4" + "'",
    "a code host's token": "t = '" + "ghp_" + "a1B2" * 9 + "'",
}


@pytest.mark.parametrize("what", PLANTED)
def test_the_secret_scan_bites(tmp_path: Path, what: str) -> None:
    """A scan that finds nothing whatever is in a file."""
    file = tmp_path / "settings.py"
    file.write_text(PLANTED[what] + "\n")
    done = subprocess.run(
        [sys.executable, "-m", "infra.supply_chain.secret_scan", str(file)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1, done.stdout
    assert "Secret Type" in done.stdout


def test_lint_scans_for_secrets() -> None:
    """A scan that nobody runs."""
    lint = (ROOT / "Makefile").read_text().partition("\nlint:")[2].partition("\n\n")[0]
    assert "python -m infra.supply_chain.secret_scan" in lint
