"""The evidence pack: an in-toto statement in a DSSE envelope, and all that it speaks of.

The same evidence gives the same bytes: the archive is stored, in name order, without times; only a
newer checkpoint of the log makes a newer pack.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cityledger.audit import verify_pack as offline
from cityledger.audit.crate import crate
from cityledger.audit.gather import Delivery, Evidence
from cityledger.audit.page import html_page, pdf_page
from cityledger.errors import BadInputError
from cityledger.ledger.log.files import LogFiles
from cityledger.ledger.log.keyring import Keyring, origin
from cityledger.ledger.log.notes import Signer
from cityledger.records import ObjectRef
from cityledger.runner import Runner

SCRIPT = "verify_pack.py"
BUILD = "build.json"


def make_pack(runner: Runner, evidence: Evidence, *, with_inputs: bool = False) -> bytes:
    """The bytes of a pack.

    Args:
        runner: Of the installation; its ledger's key signs.
        evidence: What goes in.
        with_inputs: Add the landed files themselves, which hold personal data.
    """
    files = LogFiles(runner.settings, runner.store)
    signer = Keyring(runner.settings, runner.database, files).signer()
    contents = dict(_machine_files(runner, evidence, signer, with_inputs=with_inputs))
    predicate = _predicate(runner, evidence, contents)
    predicate["id"] = offline.identity(predicate)
    contents |= {
        "index.html": html_page(predicate),
        "evidence.pdf": pdf_page(predicate),
    }
    contents["ro-crate-metadata.json"] = crate(predicate, contents)
    predicate["files"] = {name: _sha256(data) for name, data in sorted(contents.items())}
    contents[offline.STATEMENT] = sign_statement(_statement(evidence, predicate), signer)
    return offline.zip_bytes(contents)


def sign_statement(statement: Mapping[str, Any], signer: Signer) -> bytes:
    """A DSSE envelope around a statement."""
    payload = offline.canonical(statement)
    message = offline.pre_authentication(offline.PAYLOAD_TYPE, payload)
    return offline.canonical(
        {
            "payloadType": offline.PAYLOAD_TYPE,
            "payload": base64.b64encode(payload).decode(),
            "signatures": [
                {
                    "keyid": signer.verifier.key_id,
                    "sig": base64.b64encode(signer.private.sign(message)).decode(),
                }
            ],
        }
    )


def open_pack(
    path: Path, verifier: str | None = None, trusted_size: int | None = None
) -> tuple[dict[str, Any], dict[str, bytes]]:
    """The statement and the files of a pack that verifies.

    Args:
        path: Of the pack.
        verifier: The city's verifier key; without it the one in the pack.
        trusted_size: Of a revoked key: the largest tree that it surely signed for the city.

    Raises:
        BadInputError: the pack does not verify (code ``pack_not_verified``), or is not there.
    """
    try:
        raw = path.read_bytes()
        return offline.verify(raw, verifier, trusted_size), offline.read_pack(raw)
    except FileNotFoundError:
        raise BadInputError("there is no such pack", where=str(path), code="no_pack") from None
    except offline.PackError as error:
        raise BadInputError(
            f"the pack does not verify: {error}",
            where=str(path),
            fix="get it again from where it was made, and the city's key from another place",
            code="pack_not_verified",
        ) from None


def _machine_files(
    runner: Runner, evidence: Evidence, signer: Signer, *, with_inputs: bool
) -> Iterator[tuple[str, bytes]]:
    yield "key", f"{signer.verifier}\n".encode()
    yield offline.CHECKPOINT, evidence.head.note.encode()
    yield BUILD, evidence.build_record
    yield SCRIPT, Path(offline.__file__).read_bytes()
    if evidence.values is not None:
        yield offline.PUBLISHED, evidence.values
    for event in evidence.events:
        yield _event_file(event.proof.leaf_index), event.raw
    for path, data in evidence.files.items():
        yield f"code/{path}", data
    for delivery in evidence.deliveries:
        yield _contract_file(delivery), delivery.contract
    for model in evidence.build.models:
        if model.table in evidence.tables and model.sql:
            yield f"sql/{model.table}.sql", model.sql.encode()
    if with_inputs:
        yield from _input_files(runner, evidence)


def _input_files(runner: Runner, evidence: Evidence) -> Iterator[tuple[str, bytes]]:
    for delivery in evidence.deliveries:
        for landed in (*delivery.receipt.objects, *delivery.validation.corrections):
            with runner.store.open(landed) as stream:
                yield f"inputs/{landed.sha256}", stream.read()


def _predicate(runner: Runner, evidence: Evidence, contents: Mapping[str, bytes]) -> dict[str, Any]:
    build, head = evidence.build, evidence.head
    deliveries = evidence.deliveries
    return {
        "subject": evidence.subject,
        "build": {
            "file": BUILD,
            "run_id": build.run_id,
            "snapshot_id": build.snapshot_id,
            "code": build.code.model_dump(mode="json"),
        },
        "published": [_object(one) for one in _published(evidence)],
        "inputs": [_input(one) for one in deliveries],
        "contracts": {_contract_file(one): _sha256(one.contract) for one in deliveries},
        "models": [
            {"table": table, "content_sha256": build.digests.get(table), "sql": f"sql/{table}.sql"}
            for table in evidence.tables
            if f"sql/{table}.sql" in contents
        ],
        "log": {
            "origin": origin(runner.settings),
            "tree_size": head.tree_size,
            "root": head.root,
            "checkpoint": offline.CHECKPOINT,
            "events": [
                {
                    "file": _event_file(one.proof.leaf_index),
                    "leaf_index": one.proof.leaf_index,
                    "hashes": list(one.proof.hashes),
                    "run_id": json.loads(one.raw)["run"]["runId"],
                    "job": json.loads(one.raw)["job"]["name"],
                    "time": json.loads(one.raw)["eventTime"],
                }
                for one in evidence.events
            ],
        },
        "rederive": {
            "command": "cityledger audit rederive PACK --key KEY",
            "tables": {table: build.digests.get(table) for table in evidence.tables},
            "inputs_included": any(name.startswith("inputs/") for name in contents),
        },
    }


def _statement(evidence: Evidence, predicate: dict[str, Any]) -> dict[str, Any]:
    digest = _sha256(offline.canonical(predicate["subject"]))
    subjects = [{"name": evidence.name, "digest": {"sha256": digest}}]
    subjects += [
        {"name": one.uri, "digest": {"sha256": one.sha256}} for one in _published(evidence)
    ]
    return {
        "_type": offline.STATEMENT_TYPE,
        "subject": subjects,
        "predicateType": offline.PREDICATE_TYPE,
        "predicate": predicate,
    }


def _published(evidence: Evidence) -> tuple[ObjectRef, ...]:
    return evidence.publication.objects if evidence.publication else ()


def _input(delivery: Delivery) -> dict[str, Any]:
    validation, release = delivery.validation, delivery.release
    return {
        "dataset": release.dataset,
        "partition": release.partition,
        "delivery": release.delivery,
        "landed_at": delivery.receipt.landed_at.isoformat(),
        "contract": _contract_file(delivery),
        "receipt": delivery.receipt.model_dump(mode="json"),
        "objects": [_object(one) | {"name": one.name} for one in delivery.receipt.objects],
        "validated": _object(validation.validated),
        "accounting": validation.accounting.model_dump(mode="json"),
        "verdicts": [
            one.model_dump(
                mode="json",
                include={"key", "rule", "severity", "gb_code", "evaluated", "failed", "status"},
            )
            for one in validation.results
        ],
        "decision": release.decision.model_dump(mode="json") if release.decision else None,
        "held_for": list(release.reasons),
        "release": release.model_dump(mode="json"),
        "corrections": [one.model_dump(mode="json") for one in delivery.corrections],
        "waivers": [one.model_dump(mode="json") for one in validation.waivers],
    }


def _object(ref: ObjectRef) -> dict[str, Any]:
    return ref.model_dump(mode="json", include=set(ObjectRef.model_fields))


def _contract_file(delivery: Delivery) -> str:
    release = delivery.release
    return f"contracts/{release.dataset}-{release.contract_sha256[:8]}.odcs.yaml"


def _event_file(leaf: int) -> str:
    return f"events/{leaf:012d}.json"


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
