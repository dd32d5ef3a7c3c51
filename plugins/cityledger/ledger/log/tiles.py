"""The log's files by C2SP tlog-tiles: tiles of 256 hashes, entry bundles, partial tiles.

Level 0 holds leaf hashes; a hash of level n+1 is the root of a full tile of level n. One deviation:
the format gives an entry 16 bits of length, and a lineage event may be longer. Such an entry
is empty in its bundle and lies, whole, in an object of its own (``large/<index>``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from cityledger.ledger.log.merkle import fold, perfect_nodes, perfect_root

WIDTH = 256
HASH = 32
_HEIGHT = 8  # levels of the tree in a tile
_LONGEST = 0xFFFF


def tile_path(level: int, index: int, width: int = WIDTH) -> str:
    """``tile/<level>/<index>[.p/<width>]``."""
    return f"tile/{level}/{_number(index)}{_partial(width)}"


def bundle_path(index: int, width: int = WIDTH) -> str:
    """``tile/entries/<index>[.p/<width>]``."""
    return f"tile/entries/{_number(index)}{_partial(width)}"


def large_path(leaf: int) -> str:
    """Where an entry lies that is too long for its bundle."""
    return f"large/{leaf:020d}"


def tile_width(size: int, level: int, index: int) -> int:
    """Hashes that a tile has in a tree of ``size`` leaves; 0 when it does not exist yet."""
    return max(0, min(WIDTH, (size >> (_HEIGHT * level)) - WIDTH * index))


def tiles_of(size: int) -> Iterator[tuple[int, int, int]]:
    """Level, index and width of every tile of a tree."""
    level = 0
    while hashes := size >> (_HEIGHT * level):
        for index in range((hashes + WIDTH - 1) // WIDTH):
            yield level, index, tile_width(size, level, index)
        level += 1


def tiles_beside(leaf: int, size: int) -> Iterator[tuple[int, int, int]]:
    """The tiles that an inclusion proof of a leaf reads: above it, and along the right edge."""
    level = 0
    while hashes := size >> (_HEIGHT * level):
        for index in sorted({leaf >> (_HEIGHT * (level + 1)), (hashes - 1) // WIDTH}):
            yield level, index, tile_width(size, level, index)
        level += 1


def encode_bundle(entries: Sequence[bytes]) -> bytes:
    """Entries one after the other, each behind its length in 16 bits, the larger byte first."""
    return b"".join(_framed(entry) for entry in entries)


def decode_bundle(data: bytes) -> list[bytes]:
    """The entries of a bundle; a long one is empty (see :func:`large_path`).

    Raises:
        ValueError: the bundle breaks off.
    """
    entries, at = [], 0
    while at < len(data):
        size = int.from_bytes(data[at : at + 2], "big")
        entry = data[at + 2 : at + 2 + size]
        if at + 2 + size > len(data):
            raise ValueError("the bundle breaks off")
        entries.append(entry)
        at += 2 + size
    return entries


def is_large(entry: bytes) -> bool:
    """Whether an entry needs an object of its own."""
    return len(entry) > _LONGEST


@dataclass
class Edge:
    """The right edge of a growing tree: the hashes of its unfinished tiles, level by level.

    Attributes:
        size: Leaves so far.
        levels: Hashes of the last, unfinished tile of each level.
    """

    size: int = 0
    levels: list[list[bytes]] = field(default_factory=list)

    def append(self, leaf: bytes) -> Iterator[tuple[int, int, list[bytes]]]:
        """Add a leaf hash; yields the tiles that it completes as (level, index, hashes)."""
        self.size += 1
        level, value = 0, leaf
        while True:
            if level == len(self.levels):
                self.levels.append([])
            tile = self.levels[level]
            tile.append(value)
            if len(tile) < WIDTH:
                return
            index = (self.size >> (_HEIGHT * (level + 1))) - 1
            yield level, index, list(tile)
            value = perfect_root(tile)
            tile.clear()
            level += 1

    def partial(self) -> Iterator[tuple[int, int, list[bytes]]]:
        """The unfinished tiles as (level, index, hashes)."""
        for level, tile in enumerate(self.levels):
            if tile:
                yield level, self.size >> (_HEIGHT * (level + 1)), list(tile)

    def root(self) -> bytes:
        """Root hash of the tree."""
        subtrees: list[bytes] = []
        for tile in reversed(self.levels):
            bounds = [
                (index << level, (index + 1) << level)
                for level, index in perfect_nodes(0, len(tile))
            ]
            subtrees += [perfect_root(tile[start:end]) for start, end in bounds]
        return fold(subtrees)


@dataclass(frozen=True, slots=True)
class NodeReader:
    """Finds the hash of a perfect subtree in tiles.

    Attributes:
        size: Leaves of the tree.
        read: Gives a tile's hashes by level, index and width.
    """

    size: int
    read: Callable[[int, int, int], Sequence[bytes]]

    def __call__(self, level: int, index: int) -> bytes:
        tile_level, height = divmod(level, _HEIGHT)
        first = index << height
        tile, offset = divmod(first, WIDTH)
        width = tile_width(self.size, tile_level, tile)
        hashes = self.read(tile_level, tile, width)
        return perfect_root(hashes[offset : offset + (1 << height)])


def _framed(entry: bytes) -> bytes:
    kept = b"" if is_large(entry) else entry
    return len(kept).to_bytes(2, "big") + kept


def _number(index: int) -> str:
    """Groups of three digits as path parts, all but the last behind an x: ``x001/x234/067``."""
    digits = f"{index:03d}"
    digits = digits.zfill(-(-len(digits) // 3) * 3)
    *front, last = (digits[at : at + 3] for at in range(0, len(digits), 3))
    return "/".join([*(f"x{part}" for part in front), last])


def _partial(width: int) -> str:
    return "" if width == WIDTH else f".p/{width}"
