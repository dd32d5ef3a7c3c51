"""The Merkle tree of RFC 9162 (the hashes are those of RFC 6962): roots, proofs and their checks.

Everything here is arithmetic on hashes. A *node* is a perfect subtree: ``(level, index)`` covers
the leaves ``[index · 2^level, (index + 1) · 2^level)``; who asks for a proof says how nodes are
found, so a proof reads as many hashes as it needs, from wherever they lie.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from functools import reduce

Node = Callable[[int, int], bytes]

EMPTY_ROOT = hashlib.sha256(b"").digest()


class ProofError(ValueError):
    """A proof does not prove what it should."""


def leaf_hash(data: bytes) -> bytes:
    """Hash of a leaf: SHA-256 over ``0x00`` and the data (RFC 9162 section 2.1.1)."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash of an inner node: SHA-256 over ``0x01``, left and right."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def perfect_root(hashes: Sequence[bytes]) -> bytes:
    """Root over 2^n hashes of one level."""
    level, sha256 = list(hashes), hashlib.sha256
    while len(level) > 1:
        pairs = zip(level[::2], level[1::2], strict=True)
        # `node_hash`, written out: whoever checks the log comes here a million times.
        level = [sha256(b"\x01" + left + right).digest() for left, right in pairs]
    return level[0]


def fold(subtrees: Sequence[bytes]) -> bytes:
    """Root over perfect subtrees that stand side by side, largest first."""
    if not subtrees:
        return EMPTY_ROOT
    return reduce(lambda right, left: node_hash(left, right), reversed(subtrees))


def tree_root(leaves: Sequence[bytes]) -> bytes:
    """Root over leaf hashes, all of them at hand."""
    levels = [list(leaves)]
    while len(levels[-1]) > 1:
        below = levels[-1]
        pairs = zip(below[::2], below[1::2], strict=False)
        levels.append([node_hash(left, right) for left, right in pairs])
    return range_root(0, len(leaves), lambda level, index: levels[level][index])


def range_root(start: int, end: int, node: Node) -> bytes:
    """Root over the leaves ``[start, end)``, where ``start`` is where RFC 9162 splits the tree."""
    return fold([node(level, index) for level, index in perfect_nodes(start, end)])


def perfect_nodes(start: int, end: int) -> Iterator[tuple[int, int]]:
    """The perfect subtrees, largest first, that make up ``[start, end)``."""
    while start < end:
        level = (end - start).bit_length() - 1
        yield level, start >> level
        start += 1 << level


def inclusion_proof(index: int, size: int, node: Node) -> list[bytes]:
    """Hashes that lead from a leaf to the root of the tree of ``size`` leaves (2.1.3.1).

    Raises:
        ValueError: there is no such leaf.
    """
    if not 0 <= index < size:
        raise ValueError(f"a tree of {size} leaves has no leaf {index}")
    path: list[bytes] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            path.append(range_root(middle, end, node))
            end = middle
        else:
            path.append(range_root(start, middle, node))
            start = middle
    return path[::-1]


def consistency_proof(old: int, new: int, node: Node) -> list[bytes]:
    """Hashes that show that the tree of ``old`` leaves begins the one of ``new`` (2.1.4.1).

    Raises:
        ValueError: the sizes are not ``0 < old <= new``.
    """
    if not 0 < old <= new:
        raise ValueError(f"no consistency from {old} to {new} leaves")
    path: list[bytes] = []
    start, end, whole = 0, new, True
    while end != old:
        middle = start + _split(end - start)
        if old <= middle:
            path.append(range_root(middle, end, node))
            end = middle
        else:
            path.append(range_root(start, middle, node))
            start, whole = middle, False
    if not whole:
        path.append(range_root(start, end, node))
    return path[::-1]


def verify_inclusion(
    index: int, size: int, leaf: bytes, proof: Sequence[bytes], root: bytes
) -> None:
    """Check that a leaf hash is in the tree (RFC 9162 section 2.1.3.2).

    Raises:
        ProofError: it is not, or the proof is of another shape.
    """
    if not 0 <= index < size:
        raise ProofError(f"a tree of {size} leaves has no leaf {index}")
    position, last, found = index, size - 1, leaf
    for hashed in proof:
        if last == 0:
            raise ProofError("the inclusion proof is too long")
        if position & 1 or position == last:
            found = node_hash(hashed, found)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            found = node_hash(found, hashed)
        position, last = position >> 1, last >> 1
    if last or found != root:
        raise ProofError(f"leaf {index} is not in the tree of {size} leaves with this root")


def verify_consistency(
    old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]
) -> None:
    """Check that the old tree is the beginning of the new one (RFC 9162 section 2.1.4.2).

    Raises:
        ProofError: it is not, or the proof is of another shape.
    """
    if not 0 < old <= new:
        raise ProofError(f"no consistency from {old} to {new} leaves")
    if old == new:
        if proof or old_root != new_root:
            raise ProofError(f"two different trees of {old} leaves")
        return
    path = [old_root, *proof] if old & (old - 1) == 0 else list(proof)
    if not path:
        raise ProofError("the consistency proof is empty")
    _walk(old, new, path, old_root, new_root)


def _walk(old: int, new: int, path: Sequence[bytes], old_root: bytes, new_root: bytes) -> None:
    position, last = old - 1, new - 1
    while position & 1:
        position, last = position >> 1, last >> 1
    first = second = path[0]
    for hashed in path[1:]:
        if last == 0:
            raise ProofError("the consistency proof is too long")
        if position & 1 or position == last:
            first, second = node_hash(hashed, first), node_hash(hashed, second)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            second = node_hash(second, hashed)
        position, last = position >> 1, last >> 1
    if last or first != old_root or second != new_root:
        raise ProofError(f"the tree of {old} leaves is not the beginning of the one of {new}")


def _split(size: int) -> int:
    """The largest power of two below a size."""
    return 1 << ((size - 1).bit_length() - 1)
