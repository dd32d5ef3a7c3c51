"""Identities of the object store, as SeaweedFS reads them and as policies for other servers.

``python -m cityledger_stack.identities`` prints SeaweedFS's file (``weed mini -s3.config=FILE``);
it holds no keys but names of environment variables, which the server reads. With ``worker`` or
``reader`` behind it, it prints that identity's policy, for MinIO, Ceph or a cloud's S3.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

from cityledger.settings import get_settings
from cityledger.storage.buckets import Identity, policy


def variables(identity: Identity) -> tuple[str, str]:
    """The environment variables in which the server finds an identity's two keys."""
    name = f"CITYLEDGER_S3_{identity.name}"
    return f"{name}_ACCESS_KEY", f"{name}_SECRET_KEY"


def seaweed_config(*, bucket_prefix: str = "") -> dict[str, Any]:
    """SeaweedFS's file of identities; its administrator comes from the environment beside it."""
    identities, policies = [], []
    for identity in Identity:
        access, secret = (f"${{{variable}}}" for variable in variables(identity))
        identities.append(
            {
                "name": identity.value,
                "credentials": [{"accessKey": access, "secretKey": secret}],
                "policyNames": [identity.value],
            }
        )
        document = json.dumps(policy(identity, bucket_prefix=bucket_prefix))
        policies.append({"name": identity.value, "content": document})
    return {"identities": identities, "policies": policies}


def main(arguments: Sequence[str]) -> None:
    """Print what the arguments ask for."""
    prefix = get_settings().bucket_prefix
    wanted = [policy(Identity(name), bucket_prefix=prefix) for name in arguments]
    for document in wanted or [seaweed_config(bucket_prefix=prefix)]:
        sys.stdout.write(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
