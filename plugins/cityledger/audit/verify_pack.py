"""Verifies an evidence pack of CityLedger, offline.

Needs Python 3.9 or newer and the package `cryptography`, nothing else. It lies in every pack, but
take it from elsewhere: a forged pack could bring a forged verifier.

    python verify_pack.py PACK.zip --key 'city/ledger+1234abcd+A…'

Was the key revoked later, --trusted-size N says up to which tree size its signatures count: as
`cityledger ledger keys` and the file keys/<id>.revoked of the log say.

Without --key the pack is checked against the key that it brings itself, which shows that it is
whole, not that it is the city's. Exit code 0: everything fits; 1: something does not, and what.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import csv
import hashlib
import io
import json
import struct
import sys
import zipfile
import zlib
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "urn:cityledger:predicate:evidence:1"
STATEMENT, CHECKPOINT = "statement.dsse.json", "checkpoint"
PUBLISHED = "published/indicator_values.csv"
NUMBERS = ("value", "numerator", "denominator", "status")

# What a forger's JSON, base64, paths and numbers can make Python say.
_MALFORMED = (
    *(ValueError, KeyError, IndexError, TypeError, AttributeError, OverflowError, MemoryError),
    *(RuntimeError, EOFError, OSError),
)


class PackError(Exception):
    """What does not fit."""


def canonical(value: Any) -> bytes:
    """The one spelling of a JSON value that packs use."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def pre_authentication(payload_type: str, payload: bytes) -> bytes:
    """What a DSSE signature is over (DSSE v1, PAE)."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def zip_bytes(files: dict[str, bytes]) -> bytes:
    """A zip archive with exactly these files: stored, in name order, without times or modes."""
    body, directory = bytearray(), bytearray()
    for name in sorted(files):
        data, encoded = files[name], name.encode()
        common = struct.pack(
            "<HHHHHIIIHH",
            *(20, 0x0800, 0, 0, 0x21, zlib.crc32(data), len(data), len(data), len(encoded), 0),
        )
        directory += b"PK\x01\x02" + struct.pack("<H", 20) + common
        directory += struct.pack("<HHHII", 0, 0, 0, 0, len(body)) + encoded
        body += b"PK\x03\x04" + common + encoded + data
    tail = struct.pack("<HHHHIIH", 0, 0, len(files), len(files), len(directory), len(body), 0)
    return bytes(body + directory) + b"PK\x05\x06" + tail


def read_pack(pack: bytes) -> dict[str, bytes]:
    """The files of a pack; a pack that is not spelled as `zip_bytes` spells it is refused."""
    try:
        with zipfile.ZipFile(io.BytesIO(pack)) as archive:
            # Packs are not compressed: what claims to unpack to more would only fill the memory.
            if sum(one.file_size for one in archive.infolist()) > len(pack):
                raise PackError("the archive was changed: it is not as CityLedger writes it")
            files = {name: archive.read(name) for name in archive.namelist()}
        same = zip_bytes(files) == pack
    except (zipfile.BadZipFile, zlib.error, struct.error, *_MALFORMED) as error:
        raise PackError(f"the archive is damaged ({type(error).__name__})") from error
    if not same:
        raise PackError("the archive was changed: it is not as CityLedger writes it")
    return files


def parse_key(text: str) -> tuple[str, str, bytes]:
    """Name, key id and public key of a verifier key."""
    name, _, rest = text.strip().partition("+")
    key_id, _, body = rest.partition("+")
    try:
        raw = base64.b64decode(body, validate=True)
    except binascii.Error:
        raw = b""
    wanted = hashlib.sha256(name.encode() + b"\n" + raw).digest()[:4].hex()
    if len(raw) != 33 or raw[:1] != b"\x01" or wanted != key_id:
        raise PackError("this is no verifier key")
    return name, key_id, raw[1:]


def is_signed(key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether an Ed25519 signature is right."""
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def open_envelope(raw: bytes, key: tuple[str, str, bytes]) -> dict[str, Any]:
    """The statement in a DSSE envelope that a key signed."""
    try:
        envelope = json.loads(raw)
        payload = base64.b64decode(envelope["payload"], validate=True)
        signatures = [
            (one["keyid"], base64.b64decode(one["sig"], validate=True))
            for one in envelope["signatures"]
        ]
        kind = envelope["payloadType"]
    except (ValueError, KeyError, TypeError) as error:
        raise PackError("the statement's envelope is damaged") from error
    if canonical(envelope) != raw or set(envelope) != {"payload", "payloadType", "signatures"}:
        raise PackError("the statement's envelope was changed")
    message = pre_authentication(kind, payload)
    if kind != PAYLOAD_TYPE or len(signatures) != 1:
        raise PackError("the envelope holds no in-toto statement with one signature")
    if signatures[0][0] != key[1] or not is_signed(key[2], message, signatures[0][1]):
        raise PackError(f"the statement is not signed by key {key[1]}")
    statement: dict[str, Any] = json.loads(payload)
    if statement.get("_type") != STATEMENT_TYPE or statement["predicateType"] != PREDICATE_TYPE:
        raise PackError("the statement is not about evidence of CityLedger")
    return statement


def open_note(note: str, key: tuple[str, str, bytes]) -> tuple[str, int, bytes]:
    """Origin, size and root hash of a checkpoint that a key signed."""
    text, _, tail = note.rpartition("\n\n")
    text += "\n"
    for line in tail.splitlines():
        name, _, body = line[2:].partition(" ")
        raw = base64.b64decode(body)
        if (name, raw[:4].hex()) == key[:2] and is_signed(key[2], text.encode(), raw[4:]):
            origin, size, root = text.split("\n")[:3]
            return origin, int(size), base64.b64decode(root)
    raise PackError(f"the checkpoint is not signed by key {key[1]}")


def check_inclusion(index: int, size: int, leaf: bytes, proof: list[bytes], root: bytes) -> bool:
    """Whether a leaf is in the tree (RFC 9162 section 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    position, last, found = index, size - 1, leaf
    for other in proof:
        if last == 0:
            return False
        if position & 1 or position == last:
            found = hashlib.sha256(b"\x01" + other + found).digest()
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            found = hashlib.sha256(b"\x01" + found + other).digest()
        position, last = position >> 1, last >> 1
    return last == 0 and found == root


def verify(
    pack: bytes, verifier: str | None = None, trusted_size: int | None = None
) -> dict[str, Any]:
    """Check everything in a pack.

    Args:
        pack: Its bytes.
        verifier: The city's verifier key; without it the one in the pack.
        trusted_size: Of a revoked key: the largest tree that it surely signed for the city.

    Returns:
        The statement.

    Raises:
        PackError: something does not fit.
    """
    files = read_pack(pack)
    if STATEMENT not in files or "key" not in files:
        raise PackError("the pack holds no statement or no key")
    try:
        statement = check(files, verifier)
        check_trust(statement["predicate"]["log"], trusted_size)
    except _MALFORMED as error:
        raise PackError(f"the pack is malformed ({type(error).__name__})") from error
    return statement


def check_trust(log: dict[str, Any], trusted_size: int | None) -> None:
    """The tree was signed while the key was surely the city's own."""
    if trusted_size is not None and log["tree_size"] > trusted_size:
        raise PackError(
            f"its log has {log['tree_size']} events, and the key is revoked above {trusted_size}"
        )


def check(files: dict[str, bytes], verifier: str | None) -> dict[str, Any]:
    """Check the files of a pack against each other and a key."""
    key = parse_key(verifier or files["key"].decode("utf-8", "replace"))
    statement = open_envelope(files[STATEMENT], key)
    predicate = statement["predicate"]
    check_files(files, predicate["files"])
    check_log(files, predicate["log"], key)
    check_build(files, predicate)
    check_subject(statement, files)
    return statement


def check_files(files: dict[str, bytes], listed: dict[str, str]) -> None:
    """The pack holds what the statement lists, nothing else, byte for byte."""
    for name in sorted((set(files) - {STATEMENT}) ^ set(listed)):
        raise PackError(f"{name}: {'missing' if name in listed else 'not in the statement'}")
    for name, sha256 in listed.items():
        if hashlib.sha256(files[name]).hexdigest() != sha256:
            raise PackError(f"{name}: changed")


def check_log(files: dict[str, bytes], log: dict[str, Any], key: tuple[str, str, bytes]) -> None:
    """The checkpoint is signed, and every event of the pack is in its tree."""
    origin, size, root = open_note(files[CHECKPOINT].decode(), key)
    if (origin, size, root.hex()) != (log["origin"], log["tree_size"], log["root"]):
        raise PackError("the checkpoint is not the one of the statement")
    for event in log["events"]:
        leaf = hashlib.sha256(b"\x00" + files[event["file"]]).digest()
        proof = [bytes.fromhex(one) for one in event["hashes"]]
        if not check_inclusion(event["leaf_index"], size, leaf, proof, root):
            raise PackError(f"{event['file']}: not in the transparency log")


def check_build(files: dict[str, bytes], predicate: dict[str, Any]) -> None:
    """The build's record and the deliveries are the ones that the logged events name."""
    events = [json.loads(files[one["file"]]) for one in predicate["log"]["events"]]
    record = hashlib.sha256(files[predicate["build"]["file"]]).hexdigest()
    facets = [event["run"].get("facets", {}).get("cityledger_build") for event in events]
    if record not in {facet["sha256"] for facet in facets if facet}:
        raise PackError("no logged event names this build record")
    versions = logged_versions(files, predicate)
    for delivery in predicate["inputs"]:
        for one in (*delivery["objects"], delivery["validated"]):
            version = one["version_id"] or f"sha256:{one['sha256']}"
            if (f"s3://{one['bucket']}", one["key"], version) not in versions:
                raise PackError(f"{one['key']}: no logged event names this version")
    for path, sha256 in predicate["contracts"].items():
        if hashlib.sha256(files[path]).hexdigest() != sha256:
            raise PackError(f"{path}: not the contract of the statement")


def logged_versions(files: dict[str, bytes], predicate: dict[str, Any]) -> set[tuple[Any, ...]]:
    """Namespace, name and version of all that the pack's events read and wrote."""
    events = [json.loads(files[one["file"]]) for one in predicate["log"]["events"]]
    return {
        (data["namespace"], data["name"], version_of(data))
        for event in events
        for data in (*event.get("inputs", ()), *event.get("outputs", ()))
    }


def version_of(data: dict[str, Any]) -> Any:
    """The version of a dataset in an event."""
    return data.get("facets", {}).get("version", {}).get("datasetVersion")


def check_subject(statement: dict[str, Any], files: dict[str, bytes]) -> None:
    """The subject and the id are those of the content, and the log vouches for the number."""
    predicate = statement["predicate"]
    rest = {name: part for name, part in predicate.items() if name not in ("files", "id")}
    if identity(rest) != predicate["id"]:
        raise PackError("the pack's id is not that of its content")
    subject = predicate["subject"]
    if (
        hashlib.sha256(canonical(subject)).hexdigest()
        != statement["subject"][0]["digest"]["sha256"]
    ):
        raise PackError("the statement's subject is not the value in it")
    if subject["kind"] == "table":
        check_table(json.loads(files[predicate["build"]["file"]]), subject)
    else:
        check_value(files, predicate)


def check_table(build: dict[str, Any], subject: dict[str, Any]) -> None:
    """The table's digest is the one in the build's record, which a logged event names."""
    if build["digests"].get(subject["table"]) != subject["content_sha256"]:
        raise PackError("the table's digest is not that of the logged build")


def check_value(files: dict[str, bytes], predicate: dict[str, Any]) -> None:
    """The value stands in the published file, which a logged event names."""
    subject, data = predicate["subject"], files[PUBLISHED]
    sha256 = hashlib.sha256(data).hexdigest()
    logged = logged_versions(files, predicate)
    if not any(
        one["sha256"] == sha256
        and (f"s3://{one['bucket']}", one["key"], one["version_id"] or f"sha256:{sha256}") in logged
        for one in predicate["published"]
    ):
        raise PackError("no logged event names the published file")
    for row in csv.DictReader(io.StringIO(data.decode("utf-8-sig"))):
        if all(row[name] == subject[name] for name in ("indicator_code", "area_code", "period")):
            if all(row[name] == (subject[name] or "") for name in NUMBERS):
                return
            raise PackError(f"published was {row['value']}, the statement says {subject['value']}")
    raise PackError("the published file has no such value")


def identity(predicate: dict[str, Any]) -> str:
    """The short id of a pack: 16 letters and digits that its content gives."""
    digest = hashlib.sha256(canonical(predicate)).digest()
    return base64.b32encode(digest[:10]).decode()


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description="Verify an evidence pack of CityLedger, offline.")
    parser.add_argument("pack")
    parser.add_argument("--key", help="the city's verifier key: name+id+key")
    parser.add_argument("--trusted-size", type=int, help="of a revoked key: up to which tree size")
    options = parser.parse_args(arguments)
    try:
        statement = verify(Path(options.pack).read_bytes(), options.key, options.trusted_size)
    except (PackError, OSError) as error:
        sys.stdout.write(f"NOT VERIFIED: {error}\n")
        return 1
    predicate = statement["predicate"]
    known = "by the key given" if options.key else "by the key in the pack: give the city's --key"
    sys.stdout.write(
        f"VERIFIED {known}\n"
        f"  pack    {predicate['id']}\n"
        f"  about   {statement['subject'][0]['name']}\n"
        f"  value   {predicate['subject'].get('value')}\n"
        f"  log     {predicate['log']['origin']}, {predicate['log']['tree_size']} events\n"
        f"  inputs  {len(predicate['inputs'])} deliveries\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
