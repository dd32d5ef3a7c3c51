"""The buckets of an installation, and who may do what in them.

The administrator makes buckets; ``worker`` writes and cannot delete what is locked; ``reader``
reads. An installation with one pair of keys works as well, with less protection.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Final

LANDING: Final = "landing"
QUARANTINE: Final = "quarantine"
VALIDATED: Final = "validated"
LAKE: Final = "lake"
PUBLISHED: Final = "published"
EVIDENCE: Final = "evidence"
BUCKETS: Final = (LANDING, QUARANTINE, VALIDATED, LAKE, PUBLISHED, EVIDENCE)
LOCKED: Final = frozenset({LANDING, EVIDENCE})


class Identity(StrEnum):
    """Who asks the object store, beside its administrator."""

    WORKER = "worker"
    READER = "reader"


_LOOK = ("GetBucketLocation", "GetBucketVersioning", "GetBucketObjectLockConfiguration")
_LIST = ("ListBucket", "ListBucketVersions", "ListBucketMultipartUploads", *_LOOK)
_GET = ("GetObject", "GetObjectVersion", "GetObjectRetention", "GetObjectLegalHold")
_PUT = ("PutObject", "AbortMultipartUpload", "ListMultipartUploadParts")


def policy(identity: Identity, *, bucket_prefix: str = "") -> dict[str, Any]:
    """What an identity may do, as a policy document that every S3 server understands.

    Nothing is said of deleting a version, of going round a retention, of a bucket's settings, so
    nobody but the administrator may; compliance retention binds the administrator, too.
    """
    every = [f"{bucket_prefix}{name}" for name in BUCKETS]
    statements = [_allow(_LIST, every, objects=False), _allow(_GET, every)]
    if identity is Identity.WORKER:
        locked = [f"{bucket_prefix}{name}" for name in BUCKETS if name in LOCKED]
        statements += [
            _allow(_PUT, every),
            # Of a version that is kept in compliance mode the end can be put off, not brought near.
            _allow(("PutObjectRetention",), locked),
            # DuckLake removes the files of a transaction that was rolled back.
            _allow(("DeleteObject",), [f"{bucket_prefix}{LAKE}"]),
        ]
    return {"Version": "2012-10-17", "Statement": statements}


def _allow(actions: tuple[str, ...], buckets: list[str], *, objects: bool = True) -> dict[str, Any]:
    end = "/*" if objects else ""
    return {
        "Effect": "Allow",
        "Action": [f"s3:{action}" for action in actions],
        "Resource": [f"arn:aws:s3:::{bucket}{end}" for bucket in buckets],
    }
