"""What the tasks of one delivery's parts hand to each other, and where it lies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from cityledger.contracts.model import Contract
from cityledger.errors import CityLedgerError
from cityledger.records import ObjectRef, Receipt, Record
from cityledger.storage.buckets import LAKE
from cityledger.storage.keys import part_key

if TYPE_CHECKING:
    from cityledger.storage.objects import ObjectStore


class Resume(Record):
    """What a reader that starts in the middle of a file must know of what lies before.

    Attributes:
        codec: Encoding that the file's first non-ASCII lines settled; None while there were none.
        delimiter: One character.
        names: Contract column per file column, None for those not read.
        line: Physical line on which the part starts, 1-based.
        at_hand: Bytes of the part that the whole file's reader has already read.
    """

    codec: str | None
    delimiter: str
    names: tuple[str | None, ...]
    line: int
    at_hand: int


class Part(Record):
    """A stretch of one landed object that starts and ends between two records.

    Attributes:
        number: 1-based, in file order over the whole delivery.
        object: 0-based position of the object in the receipt.
        start, end: Bytes of the object.
        resume: None where the part starts with the object.
    """

    number: int
    object: int
    start: int
    end: int
    resume: Resume | None = None


class Plan(Record):
    """The parts of a delivery.

    Attributes:
        parts: In file order; empty when the delivery is judged as a whole.
        whole: Why it is judged as a whole; empty when it has parts.
    """

    parts: tuple[Part, ...] = ()
    whole: str = ""


class Stretch(Record):
    """Rows of one batch in a part's files: one row group in each file, none for no rows."""

    rows: int
    broken: int
    held: int
    rejects: int


class RowTally(Record):
    """What was counted of one rule in one part."""

    evaluated: int
    failed: int
    undecided: int
    error: str


class PartMark(Record):
    """That a part is parsed and what became of it; written after its files.

    Attributes:
        unusable: Code of the error for which the delivery must be judged as a whole, or empty.
        rows: Typed rows; their ids follow from the lines.
        broken: Which of a batch's rows break which row rule: ``row``, ``key``.
        held: Text of the rows that may end in quarantine.
        rejects: What is no record of the contract's shape.
        tallies: Row rule → what was counted.
        reasons: Reject reason → count.
    """

    part: Part
    unusable: str = ""
    rows: ObjectRef | None = None
    broken: ObjectRef | None = None
    held: ObjectRef | None = None
    rejects: ObjectRef | None = None
    stretches: tuple[Stretch, ...] = ()
    tallies: dict[str, RowTally] = Field(default_factory=dict)
    parsed: int = 0
    reasons: dict[str, int] = Field(default_factory=dict)
    totals: tuple[dict[str, str], ...] = ()
    drift: tuple[str, ...] = ()


class PartShelf:
    """Where the parts of one delivery lie while it is judged.

    In the lake's bucket: the only one where workers may remove what they no longer need.

    Args:
        store: The object store.
        receipt: Of the delivery.
        contract: By which it is judged; another version of it has other keys.
    """

    def __init__(self, store: ObjectStore, receipt: Receipt, contract: Contract) -> None:
        self._store = store
        self._place = (contract.id, receipt.partition, receipt.delivery, contract.sha256)

    def key(self, name: str) -> str:
        """The key of one of the parts' objects."""
        return part_key(*self._place, name)

    def save_plan(self, plan: Plan) -> None:
        """Keep a plan; a former one of the same delivery is replaced."""
        self._put("plan.json", plan)

    def plan(self) -> Plan:
        """The delivery's plan; without parts when there is none."""
        found = self._get("plan.json")
        return Plan.model_validate_json(found) if found else Plan(whole="it has not been split")

    def part(self, number: int) -> Part:
        """One part of the plan.

        Raises:
            CityLedgerError: the plan has no such part (code ``no_such_part``).
        """
        for part in self.plan().parts:
            if part.number == number:
                return part
        raise CityLedgerError(
            f"the delivery has no part {number}",
            where=self.key("plan.json"),
            fix="run the task `split` of the same run again, then its parts",
            code="no_such_part",
        )

    def save_mark(self, mark: PartMark) -> None:
        """Say that a part is done."""
        self._put(_mark_name(mark.part.number), mark)

    def marks(self, plan: Plan) -> list[PartMark | None]:
        """The marks of all parts; None for a part that is not done."""
        found = [self._get(_mark_name(part.number)) for part in plan.parts]
        marks = [PartMark.model_validate_json(data) if data else None for data in found]
        # A mark of a former plan with other parts says nothing of this one.
        return [
            mark if mark is not None and mark.part == part else None
            for mark, part in zip(marks, plan.parts, strict=True)
        ]

    def clear(self) -> None:
        """Remove what the parts have left; the delivery is judged."""
        for key in list(self._store.list(LAKE, self.key(""))):
            self._store.discard(LAKE, key)

    def _put(self, name: str, record: Record) -> None:
        data = record.model_dump_json().encode()
        self._store.put_bytes(LAKE, self.key(name), data)

    def _get(self, name: str) -> bytes | None:
        try:
            return self._store.get_bytes(LAKE, self.key(name))
        except CityLedgerError as error:
            if error.code != "object_missing":
                raise
            return None


def _mark_name(number: int) -> str:
    return f"{number:05d}.json"
