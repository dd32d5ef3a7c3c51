"""Signed notes (C2SP signed-note) and checkpoints (C2SP tlog-checkpoint), with Ed25519.

A note is text, a blank line and signature lines. A verifier key reads ``name+id+key``; its id is
the first four bytes of SHA-256 over name, newline, algorithm byte and public key.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from cityledger.errors import BadInputError

_ED25519 = b"\x01"
_KEY_BYTES = 32
_MARK = "— "
_PRIVATE = "PRIVATE+KEY+"


@dataclass(frozen=True, slots=True)
class Verifier:
    """A public key that signs under a name."""

    name: str
    key: bytes

    @property
    def key_id(self) -> str:
        """Eight hex digits."""
        return _key_hash(self.name, self.key).hex()

    def __str__(self) -> str:
        return f"{self.name}+{self.key_id}+{_encode(_ED25519 + self.key)}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``name+id+key``.

        Raises:
            BadInputError: it is no Ed25519 verifier key, or its id does not fit.
        """
        name, key_id, body = _parts(text.strip())
        raw = _decode(body)
        verifier = cls(name, raw[1:])
        if raw[:1] != _ED25519 or len(raw) != 1 + _KEY_BYTES or verifier.key_id != key_id:
            raise _bad_key(text)
        return verifier

    def accepts(self, text: str, signature: bytes) -> bool:
        """Whether the signature is this key's over the text."""
        try:
            Ed25519PublicKey.from_public_bytes(self.key).verify(signature, text.encode())
        except (InvalidSignature, ValueError):
            return False
        return True


@dataclass(frozen=True, slots=True)
class Signer:
    """A private key with its name; never printed."""

    name: str
    private: Ed25519PrivateKey

    @classmethod
    def generate(cls, name: str) -> Self:
        """A new key."""
        return cls(name, Ed25519PrivateKey.generate())

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``PRIVATE+KEY+name+id+key``, the form in which it is kept.

        Raises:
            BadInputError: it is none; the text is not repeated.
        """
        mark, _, rest = text.strip().partition(_PRIVATE)
        try:
            name, key_id, body = rest.split("+", 2)
            raw = base64.b64decode(body, validate=True)
            signer = cls(name, Ed25519PrivateKey.from_private_bytes(raw[1:]))
        except ValueError:
            raise _bad_secret() from None
        if mark or raw[:1] != _ED25519 or signer.verifier.key_id != key_id:
            raise _bad_secret()
        return signer

    @property
    def verifier(self) -> Verifier:
        """The public half."""
        return Verifier(self.name, self.private.public_key().public_bytes_raw())

    def secret(self) -> str:
        """The text to keep secret."""
        body = _encode(_ED25519 + self.private.private_bytes_raw())
        return f"{_PRIVATE}{self.name}+{self.verifier.key_id}+{body}"

    def sign(self, text: str) -> str:
        """The whole note: text, blank line, one signature."""
        if not text.endswith("\n"):
            raise ValueError("the text of a note ends with a newline")
        signature = bytes.fromhex(self.verifier.key_id) + self.private.sign(text.encode())
        return f"{text}\n{_MARK}{self.name} {_encode(signature)}\n"


@dataclass(frozen=True, slots=True)
class Note:
    """A note as read; nothing about it is checked yet.

    Attributes:
        text: What is signed, with its last newline.
        signatures: Key name, key id, signature.
    """

    text: str
    signatures: tuple[tuple[str, str, bytes], ...]

    @classmethod
    def parse(cls, note: str) -> Self:
        """Split a note into text and signatures.

        Raises:
            BadInputError: it is not of that form.
        """
        text, blank, tail = note.rpartition("\n\n")
        if not blank or not tail.endswith("\n"):
            raise BadInputError("this is no signed note", code="note_malformed")
        return cls(text + "\n", tuple(_signature(line) for line in tail[:-1].split("\n")))

    def signed_by(self, verifiers: Iterable[Verifier]) -> list[Verifier]:
        """Those of the verifiers whose signature on the note is right."""
        return [
            verifier
            for verifier in verifiers
            for name, key_id, signature in self.signatures
            if (name, key_id) == (verifier.name, verifier.key_id)
            and verifier.accepts(self.text, signature)
        ]


@dataclass(frozen=True, slots=True)
class Head:
    """What a checkpoint says: origin, size and root hash of the tree."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        """The body of a checkpoint."""
        return f"{self.origin}\n{self.size}\n{_encode(self.root)}\n"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a checkpoint's body; extension lines are allowed.

        Raises:
            BadInputError: it is not of that form.
        """
        try:
            origin, size, root, *_ = text.split("\n")
            head = cls(origin, int(size), base64.b64decode(root, validate=True))
        except ValueError:
            raise _bad_checkpoint() from None
        if len(head.root) != _KEY_BYTES or str(head.size) != size or head.size < 0 or not origin:
            raise _bad_checkpoint()
        return head


def _signature(line: str) -> tuple[str, str, bytes]:
    name, _, body = line.removeprefix(_MARK).partition(" ")
    try:
        raw = base64.b64decode(body, validate=True)
    except binascii.Error:
        raw = b""
    if not line.startswith(_MARK) or not name or len(raw) <= 4:
        raise BadInputError("a signature line of the note is malformed", code="note_malformed")
    return name, raw[:4].hex(), raw[4:]


def _parts(text: str) -> tuple[str, str, str]:
    name, _, rest = text.partition("+")
    key_id, _, body = rest.partition("+")
    if not name or not body or any(sign.isspace() for sign in name):
        raise _bad_key(text)
    return name, key_id, body


def _key_hash(name: str, key: bytes) -> bytes:
    return hashlib.sha256(name.encode() + b"\n" + _ED25519 + key).digest()[:4]


def _encode(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _decode(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""


def _bad_key(text: str) -> BadInputError:
    return BadInputError(
        f"'{text[:80]}' is no verifier key",
        fix="it reads name+8 hex digits+base64; see `cityledger ledger keys`",
        code="verifier_key_malformed",
    )


def _bad_secret() -> BadInputError:
    return BadInputError(
        "the ledger's signing key is unreadable",
        fix="restore it from its backup, or make a new one: `cityledger ledger rotate-key`",
        code="signing_key_malformed",
    )


def _bad_checkpoint() -> BadInputError:
    return BadInputError("this is no checkpoint of a log", code="checkpoint_malformed")
