"""Replay: the same suite over the same landed bytes, with what people have decided since.

Accepted corrections take the place of the text of their rows, waivers in force let rows pass. The
verdict is a new one with objects of its own; release and standardise take it up like any other.
"""

from __future__ import annotations

from cityledger.people import Person
from cityledger.quarantine.access import require_handling
from cityledger.quarantine.batches import newest_validation
from cityledger.quarantine.corrections import PATIENCE_SECONDS
from cityledger.records import Record, Validation
from cityledger.runner import Runner


class Replayed(Record):
    """A replay's verdict.

    Attributes:
        fresh: False when nothing had been decided since the verdict, which then is the old one.
        before: Rows in quarantine before.
    """

    validation: Validation
    fresh: bool
    before: int

    @property
    def note(self) -> str:
        """What happened, in a sentence."""
        counts = self.validation.accounting
        if not self.fresh:
            return (
                "nothing to do: the newest verdict has used every accepted correction and every "
                f"waiver in force ({counts.quarantined} rows in quarantine)"
            )
        return (
            f"{self.before} rows were in quarantine, {counts.quarantined} are; "
            f"{self.validation.corrected} corrected, {counts.validated} validated"
        )


def replay_batch(
    runner: Runner, dataset: str, partition: str, delivery: str | None = None, *, by: Person
) -> Replayed:
    """Judge a delivery again with the corrections and waivers of today.

    Raises:
        BadInputError: ``not_allowed``, ``unknown_dataset``, ``not_validated``, ``not_landed``, or
            the landed files can't be read under the present contract.
        UnavailableError: another steward is replaying the partition (``locked``), or a service does
            not answer.
    """
    require_handling(by, runner.contract(dataset))
    before = newest_validation(runner.database, dataset, partition, delivery)
    validation, fresh = runner.replay(
        dataset, partition, before.delivery, by=by.name, patience=PATIENCE_SECONDS
    )
    return Replayed(validation=validation, fresh=fresh, before=before.accounting.quarantined)


def replay(
    runner: Runner, dataset: str, partition: str, delivery: str | None, by: Person
) -> Validation:
    """The verdict of :func:`replay_batch` alone."""
    return replay_batch(runner, dataset, partition, delivery, by=by).validation
