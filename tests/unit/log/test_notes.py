"""Signed notes: a published note, forms that must be refused, paths of the tiles format."""

from __future__ import annotations

import base64

import pytest
from cityledger.errors import BadInputError
from cityledger.ledger.log.keyring import TrustedKey, open_checkpoint
from cityledger.ledger.log.merkle import leaf_hash
from cityledger.ledger.log.notes import Head, Note, Signer, Verifier
from cityledger.ledger.log.tiles import bundle_path, decode_bundle, encode_bundle, tile_path
from hypothesis import given
from hypothesis import strategies as st

# The example of Go's package golang.org/x/mod/sumdb/note, where the format comes from.
KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
NOTE = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
    "\n"
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6"
    "KE6RyyBwJnAM=\n"
)


def test_published_note() -> None:
    """Prevents a signature format that only we can check."""
    verifier = Verifier.parse(KEY)
    assert str(verifier) == KEY
    assert Note.parse(NOTE).signed_by([verifier]) == [verifier]
    changed = NOTE.replace("answer", "anwser")
    assert Note.parse(changed).signed_by([verifier]) == []


def test_key_survives_being_kept() -> None:
    """Prevents a key file that cannot be read back."""
    signer = Signer.generate("city/ledger")
    again = Signer.parse(signer.secret() + "\n")
    assert again.verifier == signer.verifier
    assert Verifier.parse(str(signer.verifier)) == signer.verifier


@pytest.mark.parametrize(
    "text",
    ["", "PRIVATE+KEY+a+b", "a+b+c", "PRIVATE+KEY+a+00000000+AQ==", KEY, "PRIVATE+KEY+" + KEY],
)
def test_broken_secret_is_refused_and_not_repeated(text: str) -> None:
    """Prevents a secret in an error text."""
    with pytest.raises(BadInputError) as caught:
        Signer.parse(text)
    assert not text or text not in str(caught.value)


@pytest.mark.parametrize(
    "text", ["", "a", "a+b", "a b+c74f20a3+ARpc", KEY.replace("c7", "c8"), KEY[:-4]]
)
def test_broken_verifier_is_refused(text: str) -> None:
    """Prevents trust in a mistyped key."""
    with pytest.raises(BadInputError):
        Verifier.parse(text)


@given(st.text(max_size=200))
def test_any_text_is_a_note_or_refused(text: str) -> None:
    """Prevents a stack trace from a damaged checkpoint."""
    try:
        note = Note.parse(text)
    except BadInputError:
        return
    assert note.signed_by([Verifier.parse(KEY)]) == []


def test_revoked_key_counts_up_to_its_last_good_tree() -> None:
    """Prevents a stolen key from signing a new past, and a revocation from voiding an old one."""
    signer = Signer.generate("city/ledger")
    notes = {
        size: signer.sign(Head("city/ledger", size, leaf_hash(b"")).text()) for size in (10, 11)
    }
    revoked = [TrustedKey(signer.verifier, 10, "stolen")]
    assert open_checkpoint(notes[10], "city/ledger", revoked)[0].size == 10
    with pytest.raises(BadInputError, match=r"revoked key .* \(stolen\)"):
        open_checkpoint(notes[11], "city/ledger", revoked)
    with pytest.raises(BadInputError, match="no known key"):
        open_checkpoint(notes[10], "city/ledger", [])
    with pytest.raises(BadInputError, match="not of 'other/ledger'"):
        open_checkpoint(notes[10], "other/ledger", [TrustedKey(signer.verifier)])


@pytest.mark.parametrize(
    "body", ["x\n-1\n{}\n", "x\n01\n{}\n", "x\n1\nAA==\n", "x\n1\n", "\n1\n{}\n"]
)
def test_malformed_heads_are_refused(body: str) -> None:
    """Prevents two spellings of one checkpoint."""
    with pytest.raises(BadInputError):
        Head.parse(body.format(base64.b64encode(bytes(32)).decode()))


def test_paths_of_tiles() -> None:
    """Prevents files where no reader of the format looks (example of the specification)."""
    assert tile_path(0, 1234067) == "tile/0/x001/x234/067"
    assert tile_path(2, 0, 8) == "tile/2/000.p/8"
    assert bundle_path(5) == "tile/entries/005"
    assert bundle_path(1000, 1) == "tile/entries/x001/000.p/1"


@given(st.lists(st.binary(max_size=70_000), max_size=4))
def test_bundles_are_read_back(entries: list[bytes]) -> None:
    """Prevents an entry that runs into the next; too long ones are empty here."""
    kept = [entry if len(entry) <= 0xFFFF else b"" for entry in entries]
    assert decode_bundle(encode_bundle(entries)) == kept


def test_cut_bundle_is_noticed() -> None:
    """Prevents a short read from passing as an entry."""
    with pytest.raises(ValueError, match="breaks off"):
        decode_bundle(encode_bundle([b"abc"])[:-1])
