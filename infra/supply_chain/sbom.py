"""The bill of materials (CycloneDX 1.6, JSON) of what `make setup` installs, from the lock alone.

``python -m infra.supply_chain.sbom > sbom.cdx.json``; the same lock gives the same bytes.
"""

from __future__ import annotations

import hashlib
import sys
import uuid
from pathlib import Path

from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from infra.supply_chain.lock import LOCK, pins


def bom(lock: Path = LOCK) -> Bom:
    """The bill of a lock file."""
    components = [
        Component(
            name=pin.name,
            version=pin.version,
            type=ComponentType.LIBRARY,
            bom_ref=f"{pin.name}=={pin.version}",
            purl=PackageURL("pypi", name=pin.name, version=pin.version),
            hashes=[HashType(alg=HashAlgorithm.SHA_256, content=one) for one in pin.hashes],
        )
        for pin in pins(lock)
    ]
    made = Bom(
        components=components,
        # Neither clock nor chance: two people who make it can compare what they got.
        serial_number=uuid.UUID(hashlib.sha256(lock.read_bytes()).hexdigest()[:32]),
        metadata=BomMetaData(
            component=Component(
                name="cityledger", type=ComponentType.APPLICATION, bom_ref="cityledger"
            )
        ),
    )
    made.metadata.timestamp = None  # type: ignore[assignment]  # the library's clock
    if made.metadata.component is not None:
        made.register_dependency(made.metadata.component, components)
    return made


if __name__ == "__main__":
    sys.stdout.write(JsonV1Dot6(bom()).output_as_string(indent=1) + "\n")
