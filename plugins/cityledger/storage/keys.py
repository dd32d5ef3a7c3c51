"""Every key that is written into a bucket, in one place."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable

from cityledger.contracts.identity import DatasetId

#: Of the lake's bucket; what lies below is gone when a delivery is judged.
PARTS = "parts/"

_UNSAFE = re.compile(r"[^\w.\-]+")
_STEM_BYTES = 160
_SUFFIX = re.compile(r"(?:\.[A-Za-z0-9]{1,8}){1,2}$")


def safe_name(name: str) -> str:
    """A file name that is safe in a key, a URL fragment and a file system.

    Letters of any script stay (a clerk finds 办件.csv again); path parts, blanks, control
    characters, ``#`` and other signs become ``_``. At most 160 bytes of UTF-8 and the suffix.
    """
    plain = unicodedata.normalize("NFC", name).replace("\\", "/").rpartition("/")[2]
    clean = _UNSAFE.sub("_", plain).lstrip(".")
    suffix = match[0] if (match := _SUFFIX.search(clean)) else ""
    stem = clean[: len(clean) - len(suffix)].encode()[:_STEM_BYTES].decode(errors="ignore")
    return f"{stem or 'file'}{suffix}"


def delivery_id(files: Iterable[tuple[str, str]]) -> str:
    """16 hex digits that name a delivery: SHA-256 over the sorted ``name:sha256`` lines.

    Args:
        files: ``(file name, sha256 of its bytes)`` pairs.
    """
    lines = sorted(f"{name}:{sha256}" for name, sha256 in files)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def landing_key(dataset: DatasetId, partition: str, name: str, sha256: str) -> str:
    """Key of a landed file; the content's hash makes the same bytes the same key."""
    return f"{dataset.prefix}/{partition}/{safe_name(name)}.{sha256[:16]}"


def receipt_prefix(dataset: DatasetId, partition: str) -> str:
    """Below it lie a partition's receipts; in key order they are in delivery order."""
    return f"_receipts/{dataset.prefix}/{partition}/"


def receipt_key(dataset: DatasetId, partition: str, sequence: int, delivery: str) -> str:
    """Key of a receipt."""
    return f"{receipt_prefix(dataset, partition)}{sequence:05d}-{delivery}.json"


def claim_key(dataset: DatasetId, partition: str, sequence: int) -> str:
    """Key of the note that reserves a sequence number for one delivery."""
    return f"_sequences/{dataset.prefix}/{partition}/{sequence:05d}"


def correction_key(
    dataset: DatasetId, partition: str, delivery: str, name: str, sha256: str
) -> str:
    """Key of a landed file of corrected rows."""
    folder = f"_corrections/{dataset.prefix}/{partition}/{delivery}"
    return f"{folder}/{sha256[:16]}/{safe_name(name)}"


def correction_receipt_key(dataset: DatasetId, partition: str, delivery: str, sha256: str) -> str:
    """Key of the commit mark of a file of corrected rows."""
    return f"_corrections/{dataset.prefix}/{partition}/{delivery}/{sha256[:16]}.json"


def validated_key(
    dataset: DatasetId,
    partition: str,
    delivery: str,
    contract_sha256: str,
    tag: str = "",
    part: int = 0,
) -> str:
    """Key of a Parquet file of good rows; ``tag`` names the corrections and waivers applied."""
    return f"{_judged(dataset, partition, delivery, contract_sha256, tag)}/part-{part:05d}.parquet"


def quarantine_key(
    dataset: DatasetId,
    partition: str,
    delivery: str,
    contract_sha256: str,
    name: str,
    tag: str = "",
) -> str:
    """Key of the rows held back; ``name`` is ``quarantined`` or ``rejected``."""
    return f"{_judged(dataset, partition, delivery, contract_sha256, tag)}/{name}.parquet"


def _judged(
    dataset: DatasetId, partition: str, delivery: str, contract_sha256: str, tag: str
) -> str:
    folder = f"{dataset.prefix}/{partition}/{delivery}-{contract_sha256[:8]}"
    return f"{folder}-{tag}" if tag else folder


def part_key(
    dataset: DatasetId, partition: str, delivery: str, contract_sha256: str, name: str
) -> str:
    """Key of what the parts of a large delivery leave for each other, until it is judged."""
    return f"{PARTS}{_judged(dataset, partition, delivery, contract_sha256, '')}/{name}"
