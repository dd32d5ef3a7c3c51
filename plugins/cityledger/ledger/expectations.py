"""What a run of a stage will touch, said before it begins.

The stages write under keys that follow from dataset and partition (`storage.keys`), so a run can
say beforehand where its objects will lie, though not yet how they will be called. The collector
compares this with what the run tells when it ends (`completeness`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from cityledger.contracts.identity import DatasetId
from cityledger.records import Stage
from cityledger.storage.objects import LANDING, PUBLISHED, VALIDATED

#: Namespace and name; a name that ends in ``*`` stands for at least one with that beginning, the
#: namespace ``*`` for any.
Pattern = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Declares:
    """What a run will read, write, and which jobs' runs it will start."""

    inputs: tuple[Pattern, ...] = ()
    outputs: tuple[Pattern, ...] = ()
    children: tuple[Pattern, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.inputs or self.outputs or self.children)


def stage_declares(
    stage: Stage, dataset: str, partition: str, bucket: Callable[[str], str]
) -> Declares:
    """What a run of a stage declares when it starts.

    Args:
        stage: The stage.
        dataset: ``department.dataset``, or the name of what serves all datasets.
        partition: Partition key.
        bucket: Physical name of a logical bucket.
    """
    if stage is Stage.PUBLISH:
        return Declares(outputs=((f"s3://{bucket(PUBLISHED)}", "*"),))
    if stage is Stage.STANDARDISE:
        return Declares()  # which models it will run is known when dbt has read the project
    below = f"{DatasetId.parse(dataset).prefix}/{partition}/*"
    landed = ((f"s3://{bucket(LANDING)}", below),)
    judged = ((f"s3://{bucket(VALIDATED)}", below),)
    declared: Mapping[Stage, Declares] = {
        Stage.EXTRACT: Declares(inputs=(("*", "*"),)),
        Stage.LAND: Declares(inputs=(("*", "*"),), outputs=landed),
        Stage.PARSE: Declares(inputs=landed),
        Stage.VALIDATE: Declares(inputs=landed, outputs=judged),
        Stage.RELEASE: Declares(inputs=judged),
    }
    return declared[stage]
