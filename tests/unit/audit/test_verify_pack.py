"""The pack's form: published vectors, and packs with something changed anywhere."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from cityledger.audit import verify_pack as offline
from cityledger.audit.pack import sign_statement
from cityledger.ledger.log.merkle import inclusion_proof, leaf_hash, perfect_root, tree_root
from cityledger.ledger.log.notes import Head, Signer
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

SIGNER = Signer.generate("city/ledger")
KEY = str(SIGNER.verifier)


def event(number: int, **facets: Any) -> bytes:
    body = {"run": {"runId": str(number), "facets": facets}, "outputs": [], "inputs": []}
    return json.dumps(body).encode()


VALUE = {"indicator_code": "I", "area_code": "A", "period": "P", "value": "1.5",
         "numerator": "3", "denominator": "2", "status": "met"}  # fmt: skip
CSV = f"\ufeff{','.join(VALUE)}\r\n{','.join(VALUE.values())}\r\n".encode()


def small_pack(**changes: Any) -> bytes:
    """A pack with one delivery and two events, as `make_pack` lays it out."""
    published = {"bucket": "published", "key": "x.csv", "version_id": None,
                 "sha256": hashlib.sha256(CSV).hexdigest()}  # fmt: skip
    build = b'{"snapshot_id": 7, "digests": {"t": "1"}}'
    sha256 = hashlib.sha256(b"landed").hexdigest()
    landed = {"bucket": "landing", "key": "a/b", "version_id": "v1", "sha256": sha256}
    version = {"version": {"datasetVersion": "v1"}}
    csv_version = {"version": {"datasetVersion": f"sha256:{published['sha256']}"}}
    data = [
        {"namespace": "s3://landing", "name": "a/b", "facets": version},
        {"namespace": "s3://published", "name": "x.csv", "facets": csv_version},
    ]
    first = json.dumps({"run": {"runId": "1"}, "outputs": data}).encode()
    second = event(2, cityledger_build={"sha256": hashlib.sha256(build).hexdigest()})
    leaves = [leaf_hash(raw) for raw in (b"other", first, second)]
    root = tree_root(leaves)
    contents = {
        "key": f"{KEY}\n".encode(),
        "checkpoint": SIGNER.sign(Head("city/ledger", 3, root).text()).encode(),
        "build.json": build,
        "events/1.json": first,
        "events/2.json": second,
        "contracts/a.yaml": b"contract",
        offline.PUBLISHED: CSV,
        "数据.txt": "无".encode(),
    }
    predicate: dict[str, Any] = {
        "subject": {"kind": "indicator", **VALUE},
        "published": [published],
        "build": {"file": "build.json"},
        "inputs": [{"objects": [landed], "validated": landed}],
        "contracts": {"contracts/a.yaml": hashlib.sha256(b"contract").hexdigest()},
        "log": {
            "origin": "city/ledger",
            "tree_size": 3,
            "root": root.hex(),
            "events": [
                {
                    "file": f"events/{index}.json",
                    "leaf_index": index,
                    "hashes": [
                        one.hex()
                        for one in inclusion_proof(
                            index, 3, lambda n, i: perfect_root(leaves[i << n : (i + 1) << n])
                        )
                    ],
                }
                for index in (1, 2)
            ],
        },
    }
    predicate |= changes
    predicate["id"] = offline.identity(predicate)
    predicate["files"] = {n: hashlib.sha256(d).hexdigest() for n, d in contents.items()}
    subject = hashlib.sha256(offline.canonical(predicate["subject"])).hexdigest()
    statement = {
        "_type": offline.STATEMENT_TYPE,
        "subject": [{"name": "a value", "digest": {"sha256": subject}}],
        "predicateType": offline.PREDICATE_TYPE,
        "predicate": predicate,
    }
    return offline.zip_bytes(contents | {offline.STATEMENT: sign_statement(statement, SIGNER)})


PACK = small_pack()


def test_published_dsse_vector() -> None:
    """The example of DSSE's protocol text: its bytes to sign, and its signature over them."""
    message = offline.pre_authentication("http://example.com/HelloWorld", b"hello world")
    assert message == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    raw = base64.b64decode(
        "A3JqsQGtVsJ2O2xqrI5IcnXip5GToJ3F+FnZ+O88SjtR6rDAajabZKciJTfUiHqJPcIAriEGAHTVeCUjW2JIZA=="
    )
    point = (
        46950820868899156662930047687818585632848591499744589407958293238635476079160,
        5640078356564379163099075877009565129882514886557779369047442380624545832820,
    )
    key = ec.EllipticCurvePublicNumbers(*point, ec.SECP256R1()).public_key()
    numbers = (int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    key.verify(utils.encode_dss_signature(*numbers), message, ec.ECDSA(hashes.SHA256()))


def test_whole_pack_verifies() -> None:
    """Prevents a verifier that refuses honest packs, whoever's key is used."""
    assert offline.verify(PACK)["predicate"]["subject"]["value"] == "1.5"
    assert offline.verify(PACK, KEY) == offline.verify(PACK)
    assert small_pack() == PACK


def test_archive_opens_with_ordinary_tools() -> None:
    """Prevents an archive that only we can read."""
    with zipfile.ZipFile(io.BytesIO(PACK)) as archive:
        assert archive.testzip() is None
        assert "数据.txt" in archive.namelist()


@settings(deadline=None, max_examples=400, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, len(PACK) - 1), st.integers(1, 255))
def test_any_changed_byte_is_found(at: int, change: int) -> None:
    """Prevents a pack that verifies although a byte of it, anywhere, is another one."""
    changed = PACK[:at] + bytes([PACK[at] ^ change]) + PACK[at + 1 :]
    with pytest.raises(offline.PackError):
        offline.verify(changed)


def test_every_byte_is_covered() -> None:
    """The same without chance: one bit of each byte in turn."""
    for at in range(0, len(PACK), 3):
        changed = PACK[:at] + bytes([PACK[at] ^ 1]) + PACK[at + 1 :]
        with pytest.raises(offline.PackError):
            offline.verify(changed, KEY)


@pytest.mark.parametrize("pack", [b"", PACK[:-1], PACK + b"x", b"x" + PACK, PACK[: len(PACK) // 2]])
def test_cut_and_longer_packs_are_refused(pack: bytes) -> None:
    """Prevents data hidden before, behind or instead of a part of the pack."""
    with pytest.raises(offline.PackError):
        offline.verify(pack)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"build": {"file": "contracts/a.yaml"}}, "no logged event names this build"),
        ({"contracts": {"contracts/a.yaml": "0" * 64}}, "not the contract"),
        ({"inputs": [{"objects": [], "validated": {"bucket": "b", "key": "k", "version_id": None,
                                                   "sha256": "0"}}]}, "no logged event names"),
        ({"log": {"origin": "city/ledger", "tree_size": 2, "root": "", "events": []}},
         "not the one of the statement"),
        ({"inputs": None}, "malformed"),
        ({"subject": {"kind": "indicator", **VALUE, "value": "9.9"}}, "published was 1.5"),
        ({"subject": {"kind": "indicator", **VALUE, "period": "Q"}}, "has no such value"),
        ({"subject": {"kind": "table", "table": "t", "content_sha256": "0"}}, "not that of the"),
        ({"published": []}, "no logged event names the published file"),
        ({"subject": []}, "malformed"),
    ],
)  # fmt: skip
def test_signed_lies_are_found(changes: dict[str, Any], message: str) -> None:
    """Prevents a signed statement that says other things than the log."""
    pack = small_pack(**changes)
    with pytest.raises(offline.PackError, match=message):
        offline.verify(pack)


def test_foreign_key_is_refused() -> None:
    """Prevents a forger's pack, whole in itself, from passing for the city's."""
    other = str(Signer.generate("city/ledger").verifier)
    with pytest.raises(offline.PackError, match="not signed by key"):
        offline.verify(PACK, other)
    with pytest.raises(offline.PackError, match="no verifier key"):
        offline.verify(PACK, "nonsense")


def test_script_runs_alone(tmp_path: Path) -> None:
    """Prevents a verifier that needs CityLedger on the auditor's machine."""
    script = tmp_path / "verify_pack.py"
    script.write_bytes(Path(offline.__file__).read_bytes())
    (tmp_path / "good.zip").write_bytes(PACK)
    (tmp_path / "bad.zip").write_bytes(PACK[:-1])
    run = [sys.executable, "-I", str(script)]
    good = subprocess.run([*run, "good.zip", "--key", KEY], cwd=tmp_path, capture_output=True)
    bad = subprocess.run([*run, "bad.zip"], cwd=tmp_path, capture_output=True)
    missing = subprocess.run([*run, "none.zip"], cwd=tmp_path, capture_output=True)
    assert (good.returncode, bad.returncode, missing.returncode) == (0, 1, 1)
    assert good.stdout.startswith(b"VERIFIED by the key given")
    assert bad.stdout.startswith(b"NOT VERIFIED")
    source = script.read_text("utf-8")
    assert "import cityledger" not in source
    assert "from cityledger" not in source


def test_an_archive_that_unpacks_to_more_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prevents a forged pack of some kB from filling the memory of whoever verifies it."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("key", b"0" * (64 << 20))

    def unpack(*_: Any) -> bytes:
        pytest.fail("it was unpacked")

    monkeypatch.setattr(zipfile.ZipFile, "read", unpack)
    with pytest.raises(offline.PackError, match="not as CityLedger writes it"):
        offline.read_pack(out.getvalue())
