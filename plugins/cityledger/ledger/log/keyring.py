"""Who may sign the log: the secret key, the verifier keys that were ever in use, and revocations.

A key that was lost is replaced; what it signed stays good. A key that was stolen is revoked with
the last tree size that is surely the ledger's own: signatures over larger trees count no more.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from cityledger.errors import BadInputError, CityLedgerError
from cityledger.ledger.log.files import LogFiles
from cityledger.ledger.log.notes import Head, Note, Signer, Verifier
from cityledger.settings import Settings
from cityledger.storage.database import Database
from cityledger.storage.private_files import write_private
from cityledger.storage.tables import log_key

ACTIVE, REVOKED = "active", "revoked"


@dataclass(frozen=True, slots=True)
class TrustedKey:
    """A verifier key, and how far it is trusted.

    Attributes:
        trusted_size: Largest tree size that its signature is good for; None: any.
        reason: Why it came into use, or why it was revoked.
    """

    verifier: Verifier
    trusted_size: int | None = None
    reason: str = ""

    @property
    def revoked(self) -> bool:
        """Whether it has been revoked."""
        return self.trusted_size is not None

    def covers(self, size: int) -> bool:
        """Whether its signature over a tree of this size counts."""
        return self.trusted_size is None or size <= self.trusted_size


def origin(settings: Settings) -> str:
    """The name of an installation's log and of the keys that sign it."""
    return f"{settings.lineage_namespace}/ledger"


class Keyring:
    """The keys of one installation's log."""

    def __init__(self, settings: Settings, database: Database, files: LogFiles) -> None:
        self._settings, self._database, self._files = settings, database, files
        self.origin = origin(settings)

    @property
    def path(self) -> Path:
        """Where the secret key lies unless a setting holds it."""
        return self._settings.home / "secrets" / "ledger.key"

    def keys(self) -> list[TrustedKey]:
        """All keys that ever signed, oldest first."""
        query = select(log_key).order_by(log_key.c.id)
        found: dict[str, TrustedKey] = {}
        with self._database.begin() as connection:
            for row in connection.execute(query).mappings():
                size = row["trusted_size"] if row["state"] == REVOKED else None
                found[row["key_id"]] = TrustedKey(
                    Verifier.parse(row["verifier"]), size, row["reason"]
                )
        return list(found.values())

    def signer(self) -> Signer:
        """The key that signs now; made on first use.

        Raises:
            CityLedgerError: it is lost, revoked or another log's.
        """
        signer, known = self._load(), {key.verifier: key for key in self.keys()}
        if signer is None:
            if known:
                raise CityLedgerError(
                    "the ledger's signing key is not on this machine",
                    where=str(self.path),
                    fix="restore it (or set CITYLEDGER_LEDGER_KEY); if it is lost for good,"
                    " `cityledger ledger rotate-key --reason TEXT --by NAME`",
                    code="signing_key_missing",
                )
            return self._make("first key", "installation")
        if signer.verifier not in known:
            self._declare(signer.verifier, "set by the installation", "installation")
        elif known[signer.verifier].revoked:
            raise CityLedgerError(
                f"the ledger's signing key {signer.verifier.key_id} is revoked",
                fix="cityledger ledger rotate-key --reason TEXT --by NAME",
                code="signing_key_revoked",
            )
        return signer

    def rotate(self, reason: str, by: str) -> Verifier:
        """Sign with a new key from now on; what the former one signed stays good."""
        if self._settings.ledger_key is not None:
            raise BadInputError(
                "the signing key comes from CITYLEDGER_LEDGER_KEY, which only you can change",
                fix="make one with `cityledger ledger new-key` and set it",
                code="signing_key_is_a_setting",
            )
        return self._make(reason, by).verifier

    def revoke(self, key_id: str, reason: str, trusted_size: int, by: str) -> TrustedKey:
        """Take trust away from a key for all trees larger than ``trusted_size``.

        Raises:
            BadInputError: there is no such key, or it is revoked already.
        """
        keys = {key.verifier.key_id: key for key in self.keys()}
        if key_id not in keys:
            raise BadInputError(
                f"the log never used a key {key_id}",
                fix=f"one of: {', '.join(keys)}",
                code="unknown_key",
            )
        if keys[key_id].revoked:
            raise BadInputError(f"key {key_id} is revoked already", code="key_already_revoked")
        self._save(keys[key_id].verifier, REVOKED, reason, by, trusted_size)
        text = f"{keys[key_id].verifier}\nrevoked above tree size {trusted_size}\n{reason}\n"
        self._files.add(f"keys/{key_id}.revoked", text.encode())
        return TrustedKey(keys[key_id].verifier, trusted_size, reason)

    def _load(self) -> Signer | None:
        if self._settings.ledger_key is not None:
            return self._own(Signer.parse(self._settings.ledger_key.get_secret_value()))
        try:
            return self._own(Signer.parse(self.path.read_text("ascii")))
        except FileNotFoundError:
            return None

    def _own(self, signer: Signer) -> Signer:
        if signer.name != self.origin:
            raise BadInputError(
                f"the signing key is that of '{signer.name}', this log is '{self.origin}'",
                fix="set the right key, or CITYLEDGER_LINEAGE_NAMESPACE as it was",
                code="signing_key_of_another_log",
            )
        return signer

    def _make(self, reason: str, by: str) -> Signer:
        signer = Signer.generate(self.origin)
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with write_private(self.path) as draft:
            draft.write_text(signer.secret() + "\n", "ascii")
            # Declared first: a key that is in use and in no list would make its notes unreadable.
            self._declare(signer.verifier, reason, by)
        return signer

    def _declare(self, verifier: Verifier, reason: str, by: str) -> None:
        self._files.add(f"keys/{verifier.key_id}", f"{verifier}\n".encode())
        self._save(verifier, ACTIVE, reason, by, None)

    def _save(
        self, verifier: Verifier, state: str, reason: str, by: str, trusted_size: int | None
    ) -> None:
        row = {
            "key_id": verifier.key_id,
            "verifier": str(verifier),
            "state": state,
            "reason": reason,
            "declared_by": by,
            "trusted_size": trusted_size,
        }
        with self._database.begin() as connection:
            connection.execute(insert(log_key).values(row).on_conflict_do_nothing())


def open_checkpoint(text: str, log: str, keys: Sequence[TrustedKey]) -> tuple[Head, TrustedKey]:
    """Read a checkpoint and make sure that a trusted key signed it.

    Raises:
        BadInputError: it is malformed, another log's, or no trusted key signed it.
    """
    note = Note.parse(text)
    head = Head.parse(note.text)
    if head.origin != log:
        raise BadInputError(
            f"the checkpoint is of log '{head.origin}', not of '{log}'", code="wrong_log"
        )
    signed = note.signed_by(key.verifier for key in keys)
    trusted = [key for key in keys if key.verifier in signed and key.covers(head.size)]
    if trusted:
        return head, trusted[0]
    raise BadInputError(_distrust(head, keys, signed), code="checkpoint_untrusted")


def _distrust(head: Head, keys: Sequence[TrustedKey], signed: Iterable[Verifier]) -> str:
    for key in keys:
        if key.verifier in signed:
            return (
                f"the checkpoint of size {head.size} is signed by the revoked key"
                f" {key.verifier.key_id}, trusted up to size {key.trusted_size} ({key.reason})"
            )
    return f"no known key signed the checkpoint of size {head.size}"
