"""Where a node of the lineage graph belongs: layer, department, dataset, and a name for readers.

Only the names tell: events of other producers follow no rule of ours and land in layer ``other``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import quote

from cityledger.console.i18n import mark
from cityledger.ledger.facts import Name, NodeKind
from cityledger.ledger.graph import Node


class Layer(StrEnum):
    """The stations of data on its way, in their order."""

    SOURCE = "source"
    LANDING = "landing"
    VALIDATED = "validated"
    QUARANTINE = "quarantine"
    STAGING = "staging"
    CORE = "core"
    INDICATORS = "indicators"
    PUBLISHED = "published"
    CHECKS = "checks"
    OTHER = "other"


LAYER = {
    Layer.SOURCE: mark("Departments' files"),
    Layer.LANDING: mark("Landing (originals, locked)"),
    Layer.VALIDATED: mark("Validated data"),
    Layer.QUARANTINE: mark("Quarantine"),
    Layer.STAGING: mark("Staging"),
    Layer.CORE: mark("Core (shared schema)"),
    Layer.INDICATORS: mark("Indicators"),
    Layer.PUBLISHED: mark("Published files"),
    Layer.CHECKS: mark("Cross-checks"),
    Layer.OTHER: mark("Other systems"),
}
#: Layers that stand in one column of the picture, from left to right.
BANDS: tuple[tuple[Layer, ...], ...] = (
    (Layer.SOURCE,),
    (Layer.LANDING,),
    (Layer.VALIDATED, Layer.QUARANTINE),
    (Layer.STAGING,),
    (Layer.CORE,),
    (Layer.INDICATORS,),
    (Layer.PUBLISHED, Layer.CHECKS),
    (Layer.OTHER,),
)

_BUCKETS = {
    "landing": Layer.LANDING,
    "validated": Layer.VALIDATED,
    "quarantine": Layer.QUARANTINE,
    "published": Layer.PUBLISHED,
}
_SCHEMAS = {
    "staging": Layer.STAGING,
    "reference": Layer.STAGING,
    "core": Layer.CORE,
    "audit": Layer.CHECKS,
    "indicators": Layer.INDICATORS,
}
_STAGES = {
    "extract": Layer.LANDING,
    "land": Layer.LANDING,
    "parse": Layer.VALIDATED,
    "validate": Layer.VALIDATED,
    "release": Layer.VALIDATED,
    "standardise": Layer.STAGING,
    "publish": Layer.PUBLISHED,
}
# Landing keys end in the first 16 hex digits of the file's SHA-256.
_DIGEST = re.compile(r"\.[0-9a-f]{16}$")
_STAGED = re.compile(r"stg_(.+?)__(.+)$")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a node belongs.

    Attributes:
        department: Empty for what all share.
        unit: Within the department: a dataset, a table, a job; what objects are grouped by.
        partition: Of an object of ours.
        name: Short name for readers.
    """

    layer: Layer
    department: str
    unit: str
    partition: str = ""
    name: str = ""

    @property
    def dataset(self) -> str:
        """``department.dataset``, where there is one."""
        return f"{self.department}.{self.unit}" if self.department and self.unit else ""

    def group(self, level: int) -> str:
        """Id of the group at a level: 0 layer and department, 1 dataset or table."""
        parts = (self.layer.value, self.department, self.unit)[: level + 2]
        return "/".join(quote(part, safe="") for part in parts)


class Places:
    """Places of the nodes of one installation.

    Args:
        bucket_prefix: What the names of its buckets begin with.
        lineage_namespace: Namespace of its own jobs.
    """

    def __init__(self, bucket_prefix: str, lineage_namespace: str) -> None:
        self._prefix, self._jobs = bucket_prefix, lineage_namespace

    def of(self, node: Node) -> Place:
        """The place of a node."""
        if node.kind is NodeKind.JOB:
            return self._job(node)
        if node.namespace == self._jobs:
            return Place(Layer.STAGING, "", node.namespace, name=node.name)
        scheme, _, rest = node.namespace.partition("://")
        if scheme == "s3" and rest.startswith(self._prefix):
            return _object(rest.removeprefix(self._prefix), node)
        if scheme == "ducklake":
            return _table(node)
        if scheme == "drop":
            return Place(Layer.SOURCE, rest, "", name=node.name)
        if scheme == "file":
            return Place(Layer.SOURCE, "", "", name=node.name.rpartition("/")[2])
        return Place(Layer.OTHER, "", node.namespace, name=node.name)

    def _job(self, node: Node) -> Place:
        parts = node.name.split(".")
        layer = _STAGES.get(parts[-1])
        if node.namespace != self._jobs or layer is None or len(parts) < 2:
            return Place(Layer.OTHER, "", node.namespace, name=node.name)
        if parts[0] == "city":
            return Place(layer, "", node.name, name=node.name)
        if parts[-1] == "standardise":
            table = _schema_place(parts[0], ".".join(parts[1:-1]))
            return Place(table.layer, table.department, f"{table.unit} job", name=node.name)
        return Place(layer, parts[0], f"{'.'.join(parts[1:-1])} job", name=node.name)


def key_of(node: Node) -> str:
    """What addresses of pages call a node: stays the same when the graph is made anew."""
    return Name(node.kind, node.namespace, node.name).digest.hex()


def _object(bucket: str, node: Node) -> Place:
    layer = _BUCKETS.get(bucket, Layer.OTHER)
    parts = node.name.split("/")
    if layer is Layer.OTHER or (layer is not Layer.PUBLISHED and len(parts) < 2):
        return Place(layer, "", node.namespace, name=node.name)
    if layer is Layer.PUBLISHED:
        return Place(layer, "", parts[0], name=parts[-1])
    partition = parts[2] if len(parts) > 3 else ""
    name = _DIGEST.sub("", parts[-1]) if len(parts) > 2 else node.name
    return Place(layer, parts[0], parts[1], partition, name)


def _table(node: Node) -> Place:
    schema, dot, table = node.name.partition(".")
    return _schema_place(schema, table) if dot else Place(Layer.OTHER, "", "", name=node.name)


def _schema_place(schema: str, table: str) -> Place:
    layer = _SCHEMAS.get(schema, Layer.OTHER)
    staged = _STAGED.match(table) if layer is Layer.STAGING else None
    if staged:
        return Place(layer, staged[1], staged[2], name=table)
    return Place(layer, "", f"{schema}.{table}", name=table)
