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

from sqlalchemy import func, select

from cityledger.errors import BadInputError, CityLedgerError
from cityledger.ledger.log.files import CHECKPOINT, LogFiles, split_tile
from cityledger.ledger.log.keyring import Keyring, TrustedKey, open_checkpoint
from cityledger.ledger.log.merkle import fold, leaf_hash, perfect_nodes, perfect_root, range_root
from cityledger.ledger.log.notes import Head
from cityledger.ledger.log.tiles import (
    HASH,
    WIDTH,
    NodeReader,
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

_FETCHED_EVENTS = 5000
_NAMED_EVENTS = 1000
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


#: Told while the check goes on: what is being read, how much of it, of how much.
Progress = Callable[[str, int, int], None]


class _Leaf(NamedTuple):
    event_id: int
    hash: bytes


def verify(
    settings: Settings,
    *,
    database: Database | None = None,
    store: ObjectStore | None = None,
    keys: Sequence[TrustedKey] | None = None,
    progress: Progress | None = None,
) -> Report:
    """Recompute the log from the database's events and compare it with the bucket's files.

    Args:
        settings: Which installation.
        database: Its database, when it is open already.
        store: Its object store, when it is open already.
        keys: Verifier keys to believe; without them those that the database lists, which only
            shows that database and bucket agree with each other.
        progress: Is told how far the check has come.

    Raises:
        BadInputError: there is no checkpoint at all.
        UnavailableError: database or object store do not answer.
    """
    database = database or Database.from_settings(settings)
    files = LogFiles(settings, store or ObjectStore.from_settings(settings))
    keyring = Keyring(settings, database, files)
    trusted = keyring.keys() if keys is None else list(keys)
    tell = progress or (lambda *_: None)
    return _Audit(database, files, keyring.origin, trusted, tell).run()


@dataclass
class _Audit:
    database: Database
    files: LogFiles
    origin: str
    keys: Sequence[TrustedKey]
    tell: Progress
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
        ids, hashes, pending = self._events(last_id, newest.size)
        leaves = self._leaves(newest, hashes)
        self._compare(leaves, ids, hashes)
        self._bundles(leaves)
        self._roots(leaves, heads)
        return self._report(newest, len(ids), pending, len(signed))

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
        node = NodeReader(len(leaves), _tiles_over(leaves))
        for size, signed in sorted(wanted.items()):
            root = range_root(0, size, node)
            if signed != {root}:
                self._find(
                    "checkpoint_rewritten",
                    f"checkpoint {size}",
                    f"the first {size} leaves have root {root.hex()}, signed was"
                    f" {', '.join(sorted(one.hex() for one in signed))}",
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
        paths = (tile_path(level, index) for index in range(count))
        for index, (path, data) in enumerate(self.files.find_all(paths)):
            self.tell("tiles", index + 1, count)
            tile = self._padded(path, data, WIDTH)
            if index < len(parents) and perfect_root(tile) != parents[index]:
                where = self.files.where(path)
                self._find("object_changed", where, "the tile is not the one that was signed")
                tile = _computed(computed, level, index, WIDTH)
            hashes += tile
        width = tile_width(head.size, level, count)
        return hashes + (last or _computed(computed, level, count, width))

    def _tile(self, level: int, index: int, width: int) -> list[bytes]:
        path = tile_path(level, index, width)
        return self._padded(path, self.files.find(path), width)

    def _padded(self, path: str, data: bytes | None, width: int) -> list[bytes]:
        """A tile padded to its width, so that a missing or short one is a wrong one."""
        self.objects += 1
        if data is None:
            self._find("object_missing", self.files.where(path), "a tile is gone")
        hashes = split_tile(data or b"")[:width]
        return hashes + [_UNKNOWN] * (width - len(hashes))

    # events

    def _events(self, last_id: int, size: int) -> tuple[list[int], list[bytes], int]:
        """Ids and leaf hashes of the events that the log covers, and how many it does not yet."""
        query = select(lineage_event.c.id, lineage_event.c.raw, lineage_event.c.sha256)
        ids: list[int] = []
        hashes: list[bytes] = []
        strange: list[int] = []
        with self.database.begin() as connection:
            covered = query.where(lineage_event.c.id <= last_id).order_by(lineage_event.c.id)
            found: Any = connection.execute(covered.execution_options(yield_per=_FETCHED_EVENTS))
            for rows in found.partitions():
                for number, raw, sha256 in rows:
                    if hashlib.sha256(raw).hexdigest() != sha256:
                        strange.append(number)
                    ids.append(number)
                    hashes.append(leaf_hash(raw))
                self.tell("events", len(ids), size)
            later = select(func.count()).where(lineage_event.c.id > last_id)
            pending = int(connection.scalar(later) or 0)
        for name in self._names(strange).values():
            self._find("digest_changed", name, "column sha256 is not that of its bytes")
        return ids, hashes, pending

    def _compare(
        self, leaves: Sequence[bytes], ids: Sequence[int], hashes: Sequence[bytes]
    ) -> None:
        if hashes == leaves:
            return
        events = [_Leaf(*one) for one in zip(ids, hashes, strict=True)]
        found = list(differences(leaves, events))
        names = self._names([event.event_id for _, _, event in found if event])
        for kind, index, event in found:
            name = names[event.event_id] if event else f"leaf {index}"
            self._find(f"event_{kind}", name, _EXPLAINED[kind](index))

    def _names(self, ids: Sequence[int]) -> dict[int, str]:
        """How events are named to people, by id."""
        table, named = lineage_event.c, {}
        query = select(table.id, table.event_type, table.job_name, table.run_id)
        with self.database.begin() as connection:
            for start in range(0, len(ids), _NAMED_EVENTS):
                some = ids[start : start + _NAMED_EVENTS]
                for row in connection.execute(query.where(table.id.in_(some)).order_by(table.id)):
                    what = f"{row.event_type} of {row.job_name}, run {row.run_id}"
                    named[row.id] = f"event {row.id} ({what})"
        # An event that went away while the check ran has its number only.
        return {one: named.get(one, f"event {one}") for one in ids}

    def _bundles(self, leaves: Sequence[bytes]) -> None:
        starts = range(0, len(leaves), WIDTH)
        paths = (bundle_path(at // WIDTH, min(WIDTH, len(leaves) - at)) for at in starts)
        for start, (path, data) in zip(starts, self.files.find_all(paths), strict=True):
            self.objects += 1
            self.tell("bundles", start // WIDTH + 1, len(starts))
            if data is None:
                self._find("object_missing", self.files.where(path), "a bundle is gone")
            else:
                self._bundle(path, data, start, leaves[start : start + WIDTH])

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


def _tiles_over(leaves: Sequence[bytes]) -> Callable[[int, int, int], Sequence[bytes]]:
    """Tiles of the tree over leaf hashes, by level, index and width."""
    levels: list[Sequence[bytes]] = [leaves]
    while full := len(levels[-1]) // WIDTH:
        below = levels[-1]
        bounds = range(0, full * WIDTH, WIDTH)
        levels.append([perfect_root(below[start : start + WIDTH]) for start in bounds])
    return lambda level, index, width: levels[level][index * WIDTH : index * WIDTH + width]


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
