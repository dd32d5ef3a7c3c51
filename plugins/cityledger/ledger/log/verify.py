"""Checks the whole log against database and bucket, and names what does not fit.

What is believed, in this order: a verifier key; the checkpoints that it signed; the tiles that give
a checkpoint's root; the leaf hashes in them. Events, bundles and rows are judged by these.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sqlalchemy import select

from cityledger.errors import BadInputError, CityLedgerError
from cityledger.ledger.log.files import CHECKPOINT, LogFiles, split_tile
from cityledger.ledger.log.keyring import Keyring, TrustedKey, open_checkpoint
from cityledger.ledger.log.merkle import fold, leaf_hash, perfect_nodes, perfect_root
from cityledger.ledger.log.notes import Head
from cityledger.ledger.log.tiles import (
    HASH,
    WIDTH,
    Edge,
    bundle_path,
    decode_bundle,
    large_path,
    tile_path,
    tile_width,
)
from cityledger.ledger.log.writer import Checkpoint, checkpoints
from cityledger.records import Record
from cityledger.settings import Settings
from cityledger.storage.database import Database
from cityledger.storage.objects import ObjectStore
from cityledger.storage.tables import lineage_event

_FETCHED_EVENTS = 2000
_UNKNOWN = bytes(HASH)  # a leaf that neither bucket nor database can tell


class Finding(Record):
    """One thing that is not as it was signed.

    Attributes:
        kind: ``event_changed``, ``event_removed``, ``event_inserted``, ``event_reordered``,
            ``object_changed``, ``object_missing``, ``checkpoint_rewritten``,
            ``checkpoint_untrusted``, ``checkpoint_missing``, ``digest_changed``.
        subject: The event, object or checkpoint.
    """

    kind: str
    subject: str
    what: str


class Report(Record):
    """What the check came to.

    Attributes:
        events: Leaves of the tree that were compared.
        pending: Events that no checkpoint covers yet.
    """

    origin: str
    tree_size: int
    root: str
    events: int
    pending: int
    checkpoints: int
    objects: int
    findings: tuple[Finding, ...]

    @property
    def clean(self) -> bool:
        """Whether nothing was found."""
        return not self.findings


class _Leaf(NamedTuple):
    event_id: int
    hash: bytes
    name: str


def verify(
    settings: Settings,
    *,
    database: Database | None = None,
    store: ObjectStore | None = None,
    keys: Sequence[TrustedKey] | None = None,
) -> Report:
    """Recompute the log from the database's events and compare it with the bucket's files.

    Args:
        settings: Which installation.
        database: Its database, when it is open already.
        store: Its object store, when it is open already.
        keys: Verifier keys to believe; without them those that the database lists, which only
            shows that database and bucket agree with each other.

    Raises:
        BadInputError: there is no checkpoint at all.
        UnavailableError: database or object store do not answer.
    """
    database = database or Database.from_settings(settings)
    files = LogFiles(settings, store or ObjectStore.from_settings(settings))
    keyring = Keyring(settings, database, files)
    trusted = keyring.keys() if keys is None else list(keys)
    return _Audit(database, files, keyring.origin, trusted).run()


@dataclass
class _Audit:
    database: Database
    files: LogFiles
    origin: str
    keys: Sequence[TrustedKey]
    findings: list[Finding] = field(default_factory=list)
    objects: int = 0

    def run(self) -> Report:
        signed = checkpoints(self.database)
        heads = self._heads(signed)
        if not heads:
            if self.findings:
                return self._report(None, 0, 0, len(signed))
            raise BadInputError(
                "the log has no checkpoint yet",
                fix="cityledger ledger checkpoint",
                code="log_empty",
            )
        newest = max(heads, key=lambda head: head.size)
        last_id = max((c.last_event_id for c in signed if c.tree_size == newest.size), default=0)
        events, pending = self._events(last_id)
        leaves = self._leaves(newest, [event.hash for event in events])
        self._compare(leaves, events)
        self._bundles(leaves)
        self._roots(leaves, heads)
        return self._report(newest, len(events), pending, len(signed))

    def _report(self, head: Head | None, events: int, pending: int, signed: int) -> Report:
        return Report(
            origin=self.origin,
            tree_size=head.size if head else 0,
            root=head.root.hex() if head else "",
            events=events,
            pending=pending,
            checkpoints=signed,
            objects=self.objects,
            findings=tuple(self.findings),
        )

    def _find(self, kind: str, subject: str, what: str) -> None:
        self.findings.append(Finding(kind=kind, subject=subject, what=what))

    # checkpoints

    def _heads(self, signed: Sequence[Checkpoint]) -> list[Head]:
        """Every checkpoint that a trusted key signed, from the database and from the bucket."""
        heads = [head for one in signed if (head := self._kept(one)) is not None]
        known = {one.path for one in signed}
        for path in self.files.list("checkpoints/"):
            if path not in known:
                self._find("checkpoint_missing", path, "the bucket holds it, the database does not")
                if (head := self._open(path, self.files.read(path).decode())) is not None:
                    heads.append(head)
        self._pointer(signed)
        return heads

    def _kept(self, one: Checkpoint) -> Head | None:
        self.objects += 1
        stored = self.files.find(one.path)
        if stored is None:
            self._find("object_missing", self.files.where(one.path), "a checkpoint is gone")
        elif stored != one.note.encode():
            self._find(
                "checkpoint_rewritten",
                f"checkpoint {one.tree_size}",
                f"{self.files.where(one.path)} and the database tell it differently",
            )
            if (head := self._open(f"{one.path} in the bucket", _text(stored))) is not None:
                return head
        head = self._open(f"checkpoint {one.tree_size} in the database", one.note)
        if head and (head.size, head.root.hex()) != (one.tree_size, one.root):
            self._find(
                "checkpoint_rewritten",
                f"checkpoint {one.tree_size}",
                "the database's columns are not what its note says",
            )
        return head

    def _open(self, subject: str, note: str) -> Head | None:
        try:
            return open_checkpoint(note, self.origin, self.keys)[0]
        except CityLedgerError as error:
            self._find("checkpoint_untrusted", subject, error.what)
            return None

    def _pointer(self, signed: Sequence[Checkpoint]) -> None:
        if not signed:
            return
        self.objects += 1
        stored = self.files.find(CHECKPOINT)
        if stored is None or _text(stored) not in {one.note for one in signed}:
            self._find(
                "checkpoint_rewritten",
                self.files.where(CHECKPOINT),
                "the newest checkpoint is none that the database knows",
            )

    def _roots(self, leaves: Sequence[bytes], heads: Iterable[Head]) -> None:
        """Every signed root must be the root of the tree's beginning of that size."""
        wanted: dict[int, set[bytes]] = {}
        for head in heads:
            wanted.setdefault(head.size, set()).add(head.root)
        edge = Edge()
        for leaf in leaves:
            for _ in edge.append(leaf):
                pass
            if edge.size in wanted and wanted[edge.size] != {edge.root()}:
                self._find(
                    "checkpoint_rewritten",
                    f"checkpoint {edge.size}",
                    f"the first {edge.size} leaves have root {edge.root().hex()}, signed was"
                    f" {', '.join(sorted(root.hex() for root in wanted[edge.size]))}",
                )

    # tiles

    def _leaves(self, head: Head, computed: Sequence[bytes]) -> list[bytes]:
        """The leaf hashes that were signed: the tiles', or the database's where a tile is bad."""
        top = self._top(head)
        levels = 1 + max(0, (head.size.bit_length() - 1) // 8)
        known: list[bytes] = []
        for level in reversed(range(levels)):
            known = self._level(head, level, known, top.get(level, []), computed)
        return known

    def _top(self, head: Head) -> dict[int, list[bytes]]:
        """The unfinished tiles, which together give the root; empty when they do not."""
        found: dict[int, list[bytes]] = {}
        level = 0
        while hashes := head.size >> (8 * level):
            if hashes % WIDTH:
                found[level] = self._tile(level, hashes // WIDTH, hashes % WIDTH)
            level += 1
        subtrees = [
            perfect_root(tile[i << n : (i + 1) << n])
            for _, tile in sorted(found.items(), reverse=True)
            for n, i in perfect_nodes(0, len(tile))
        ]
        if fold(subtrees) == head.root:
            return found
        for level, tile in found.items():
            path = tile_path(level, (head.size >> 8 * level) // WIDTH, len(tile))
            self._find(
                "object_changed",
                self.files.where(path),
                f"one of {len(found)} unfinished tiles that do not give the signed root",
            )
        return {}

    def _level(
        self,
        head: Head,
        level: int,
        parents: Sequence[bytes],
        last: list[bytes],
        computed: Sequence[bytes],
    ) -> list[bytes]:
        hashes: list[bytes] = []
        count = (head.size >> (8 * level)) // WIDTH
        for index in range(count):
            tile = self._tile(level, index, WIDTH)
            if index < len(parents) and perfect_root(tile) != parents[index]:
                path = self.files.where(tile_path(level, index))
                self._find("object_changed", path, "the tile is not the one that was signed")
                tile = _computed(computed, level, index, WIDTH)
            hashes += tile
        width = tile_width(head.size, level, count)
        return hashes + (last or _computed(computed, level, count, width))

    def _tile(self, level: int, index: int, width: int) -> list[bytes]:
        """A tile padded to its width, so that a missing or short one is a wrong one."""
        self.objects += 1
        path = tile_path(level, index, width)
        data = self.files.find(path)
        if data is None:
            self._find("object_missing", self.files.where(path), "a tile is gone")
        hashes = split_tile(data or b"")[:width]
        return hashes + [_UNKNOWN] * (width - len(hashes))

    # events

    def _events(self, last_id: int) -> tuple[list[_Leaf], int]:
        query = select(
            lineage_event.c.id,
            lineage_event.c.raw,
            lineage_event.c.sha256,
            lineage_event.c.event_type,
            lineage_event.c.job_name,
            lineage_event.c.run_id,
        ).order_by(lineage_event.c.id)
        events: list[_Leaf] = []
        pending = 0
        with self.database.begin() as connection:
            for row in connection.execute(query.execution_options(yield_per=_FETCHED_EVENTS)):
                if row.id > last_id:
                    pending += 1
                    continue
                name = f"event {row.id} ({row.event_type} of {row.job_name}, run {row.run_id})"
                raw = bytes(row.raw)
                if hashlib.sha256(raw).hexdigest() != row.sha256:
                    self._find("digest_changed", name, "column sha256 is not that of its bytes")
                events.append(_Leaf(row.id, leaf_hash(raw), name))
        return events, pending

    def _compare(self, leaves: Sequence[bytes], events: Sequence[_Leaf]) -> None:
        if [event.hash for event in events] == list(leaves):
            return
        for kind, index, event in differences(leaves, events):
            name = event.name if event else f"leaf {index}"
            self._find(f"event_{kind}", name, _EXPLAINED[kind](index))

    def _bundles(self, leaves: Sequence[bytes]) -> None:
        for start in range(0, len(leaves), WIDTH):
            expected = leaves[start : start + WIDTH]
            path = bundle_path(start // WIDTH, len(expected))
            self.objects += 1
            data = self.files.find(path)
            if data is None:
                self._find("object_missing", self.files.where(path), "a bundle is gone")
            else:
                self._bundle(path, data, start, expected)

    def _bundle(self, path: str, data: bytes, start: int, expected: Sequence[bytes]) -> None:
        try:
            entries = decode_bundle(data)
        except ValueError:
            entries = []
        if len(entries) != len(expected):
            self._find("object_changed", self.files.where(path), "the bundle is broken")
            return
        for offset, (entry, leaf) in enumerate(zip(entries, expected, strict=True)):
            if leaf_hash(entry) == leaf:
                continue
            index = start + offset
            large = None if entry else self.files.find(large_path(index))
            if large is None or leaf_hash(large) != leaf:
                name = path if large is None else large_path(index)
                self._find("object_changed", self.files.where(name), f"entry {index} was changed")


_EXPLAINED: dict[str, Callable[[int], str]] = {
    "changed": lambda index: f"its bytes are not those of leaf {index}",
    "removed": lambda index: f"the log has leaf {index}, the database does not",
    "inserted": lambda _: "the database has it, the log does not, though later events are in it",
    "reordered": lambda index: (
        f"in the log it is leaf {index}, in the database it stands elsewhere"
    ),
}


def differences(
    leaves: Sequence[bytes], events: Sequence[Any]
) -> Iterator[tuple[str, int, Any | None]]:
    """How the database's events differ from the log's leaves (all hashes differ from each other).

    Yields:
        ``(kind, leaf index, event or None)``; kinds ``reordered``, ``changed``, ``removed``,
        ``inserted`` (its index is that of the leaf before which it stands).
    """
    place = {leaf: index for index, leaf in enumerate(leaves)}
    found = [(place[event.hash], event) for event in events if event.hash in place]
    kept = set(_longest_rising([index for index, _ in found]))
    moved = {index: event for index, event in found if index not in kept}
    for index, event in moved.items():
        yield "reordered", index, event
    strange: list[Any] = []
    at = 0
    for event in events:
        known = place.get(event.hash)
        if known is None:
            strange.append(event)
        elif known in kept:
            yield from _pair(_gap(leaves, moved, at, known), strange, known)
            strange, at = [], known + 1
    yield from _pair(_gap(leaves, moved, at, len(leaves)), strange, len(leaves))


def _gap(leaves: Sequence[bytes], moved: Container[int], start: int, end: int) -> list[int]:
    return [i for i in range(start, end) if i not in moved and leaves[i] != _UNKNOWN]


def _pair(
    missing: Sequence[int], strange: Sequence[Any], end: int
) -> Iterator[tuple[str, int, Any | None]]:
    """Leaf and event that stand in the same place are one changed event."""
    for index, event in zip(missing, strange, strict=False):
        yield "changed", index, event
    for index in missing[len(strange) :]:
        yield "removed", index, None
    for event in strange[len(missing) :]:
        yield "inserted", end, event


def _longest_rising(numbers: Sequence[int]) -> list[int]:
    """The longest rising subsequence: what kept its order."""
    tails: list[int] = []
    places: list[int] = []
    before: list[int] = []
    for position, number in enumerate(numbers):
        length = bisect_left(tails, number)
        if length == len(tails):
            tails.append(number)
            places.append(position)
        else:
            tails[length], places[length] = number, position
        before.append(places[length - 1] if length else -1)
    kept: list[int] = []
    position = places[-1] if places else -1
    while position >= 0:
        kept.append(numbers[position])
        position = before[position]
    return kept[::-1]


def _computed(leaves: Sequence[bytes], level: int, index: int, width: int) -> list[bytes]:
    """A tile made from leaf hashes, padded where there are too few of them."""
    span = 1 << (8 * level)
    starts = ((index * WIDTH + offset) * span for offset in range(width))
    return [
        perfect_root(leaves[start : start + span]) if start + span <= len(leaves) else _UNKNOWN
        for start in starts
    ]


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")
