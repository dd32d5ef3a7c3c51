"""The tree of RFC 9162: published hashes, proofs of every shape, proofs that must not pass."""

from __future__ import annotations

import pytest
from cityledger.ledger.log.merkle import (
    EMPTY_ROOT,
    ProofError,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    perfect_root,
    tree_root,
    verify_consistency,
    verify_inclusion,
)
from cityledger.ledger.log.tiles import WIDTH, Edge, NodeReader, tiles_of
from hypothesis import given, settings
from hypothesis import strategies as st

# The leaves and roots that Certificate Transparency's implementations have published for RFC 6962.
LEAVES = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
HASHES = [leaf_hash(index.to_bytes(4, "big")) for index in range(70_000)]


def node(level: int, index: int) -> bytes:
    return perfect_root(HASHES[index << level : (index + 1) << level])


@pytest.mark.parametrize("size", range(9))
def test_published_roots(size: int) -> None:
    """Prevents a tree of our own that no other tool can check."""
    assert tree_root([leaf_hash(leaf) for leaf in LEAVES[:size]]).hex() == ROOTS[size]


def test_empty_tree() -> None:
    assert EMPTY_ROOT.hex() == ROOTS[0]


def test_published_proofs() -> None:
    """Published with the leaves above: paths for leaf 5 of 8, and from 6 to 8 leaves."""
    levels = [[leaf_hash(leaf) for leaf in LEAVES]]
    while len(levels[-1]) > 1:
        pairs = range(0, len(levels[-1]), 2)
        levels.append([perfect_root(levels[-1][at : at + 2]) for at in pairs])
    found = inclusion_proof(5, 8, lambda level, index: levels[level][index])
    assert [one.hex() for one in found] == [
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ]
    grown = consistency_proof(6, 8, lambda level, index: levels[level][index])
    assert [one.hex() for one in grown] == [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ]


def test_every_proof_of_small_trees() -> None:
    """Prevents a shape of tree whose proofs fail: sizes up to 40, each leaf, each older size."""
    roots = [tree_root(HASHES[:size]) for size in range(41)]
    for size in range(1, 41):
        for index in range(size):
            proof = inclusion_proof(index, size, node)
            verify_inclusion(index, size, HASHES[index], proof, roots[size])
        for old in range(1, size + 1):
            proof = consistency_proof(old, size, node)
            verify_consistency(old, size, roots[old], roots[size], proof)


sizes = st.integers(1, 3000)


@given(sizes, st.data())
@settings(deadline=None, max_examples=60)
def test_wrong_proofs_fail(size: int, data: st.DataObject) -> None:
    """Prevents a verifier that nods: another leaf, place, root, length or hash must fail."""
    index = data.draw(st.integers(0, size - 1))
    root, proof = tree_root(HASHES[:size]), inclusion_proof(index, size, node)
    verify_inclusion(index, size, HASHES[index], proof, root)
    wrong = [
        (index, size, HASHES[index + 1], proof, root),
        (index, size, HASHES[index], [*proof, root], root),
        (index, size, HASHES[index], proof, leaf_hash(root)),
        (size, size, HASHES[index], proof, root),
    ]
    if proof:
        at = data.draw(st.integers(0, len(proof) - 1))
        changed = [*proof[:at], leaf_hash(proof[at]), *proof[at + 1 :]]
        wrong += [(index, size, HASHES[index], changed, root)]
        wrong += [(index, size, HASHES[index], proof[:-1], root)]
        wrong += [((index + 1) % size, size, HASHES[index], proof, root)]
    for case in wrong:
        with pytest.raises(ProofError):
            verify_inclusion(*case)


@given(sizes, st.data())
@settings(deadline=None, max_examples=60)
def test_wrong_consistency_fails(new: int, data: st.DataObject) -> None:
    """Prevents a rewritten past that still proves to be a beginning."""
    old = data.draw(st.integers(1, new))
    roots = tree_root(HASHES[:old]), tree_root(HASHES[:new])
    proof = consistency_proof(old, new, node)
    verify_consistency(old, new, *roots, proof)
    forged = tree_root([leaf_hash(b"forged"), *HASHES[1:old]])
    wrong = [
        (old, new, forged, roots[1], proof),
        (old, new, roots[0], forged, proof),
        (old, new, *roots, [*proof, roots[0]]),
        (new + 1, new, *roots, proof),
    ]
    if proof:
        wrong += [(old, new, *roots, [leaf_hash(proof[0]), *proof[1:]])]
        wrong += [(old, new, *roots, proof[:-1])]
    for case in wrong:
        with pytest.raises(ProofError):
            verify_consistency(*case)


@pytest.mark.parametrize("size", [1, 255, 256, 257, 511, 512, 65_535, 65_536, 65_537, 70_000])
def test_tiles_give_the_same_tree(size: int) -> None:
    """Prevents tiles that lose a hash at a border: grown leaf by leaf, read back as nodes."""
    tiles: dict[tuple[int, int], list[bytes]] = {}
    edge = Edge()
    for leaf in HASHES[:size]:
        for level, index, hashes in edge.append(leaf):
            tiles[level, index] = hashes
    tiles |= {(level, index): hashes for level, index, hashes in edge.partial()}
    assert {(*place, len(hashes)) for place, hashes in tiles.items()} == set(tiles_of(size))
    root = tree_root(HASHES[:size])
    assert edge.root() == root
    nodes = NodeReader(size, lambda level, index, width: tiles[level, index][:width])
    for index in {0, size // 3, size - 1, min(size - 1, WIDTH)}:
        verify_inclusion(index, size, HASHES[index], inclusion_proof(index, size, nodes), root)
    for old in {1, size // 2 or 1, max(1, size - 1), size}:
        proof = consistency_proof(old, size, nodes)
        verify_consistency(old, size, tree_root(HASHES[:old]), root, proof)
