"""The secrets of an installation: what must be kept beside its backups, and whether it fits.

None of them goes into a backup: whoever has both could sign in the city's name and undo the
pseudonyms. The manifest only has fingerprints, by which a restore sees whether they are the same.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator
from pathlib import Path

from cityledger.ledger.log.notes import Signer
from cityledger.operations.backup.records import Secret
from cityledger.settings import Settings

LEDGER, PSEUDONYM, FERNET = "ledger signing key", "pseudonym key", "Airflow's Fernet key"
_FINGERPRINT_OF = b"cityledger: which key is this?"


def secrets(settings: Settings, fernet_key: str | None) -> tuple[Secret, ...]:
    """What the installation needs and a backup does not hold.

    Args:
        settings: Which installation.
        fernet_key: With which Airflow encrypts its connections, if that is known.
    """
    home = settings.home
    pseudonym = settings.pseudonym_key
    return (
        Secret(
            name=LEDGER,
            where="CITYLEDGER_LEDGER_KEY" if settings.ledger_key else _place(_ledger_file(home)),
            needed_for="signing checkpoints and evidence packs; a lost one can be replaced"
            " (`cityledger ledger rotate-key`), a stolen one signs in the city's name",
            fingerprint=_ledger_id(settings),
        ),
        Secret(
            name=PSEUDONYM,
            where="CITYLEDGER_PSEUDONYM_KEY; embedded: secrets.json in the home folder",
            needed_for="the same person having the same pseudonym; it cannot be replaced",
            fingerprint=fingerprint(pseudonym.get_secret_value()) if pseudonym else "",
        ),
        Secret(
            name=FERNET,
            where="AIRFLOW__CORE__FERNET_KEY; embedded: secrets.json in the home folder",
            needed_for="reading the connections and variables in Airflow's database",
            fingerprint=fingerprint(fernet_key) if fernet_key else "",
        ),
        *_files(home, settings),
    )


def differing(expected: tuple[Secret, ...], found: tuple[Secret, ...]) -> Iterator[Secret]:
    """Keys of a backup that are missing here, or others.

    The files of tokens and accounts are no keys to what is in the backup: they may differ.
    """
    here = {one.name: one.fingerprint for one in found}
    for one in expected:
        is_key = one.name in {LEDGER, PSEUDONYM, FERNET}
        if is_key and one.fingerprint and here.get(one.name) != one.fingerprint:
            yield one


def fingerprint(secret: str) -> str:
    """Eight hex digits that tell two keys apart and nothing about either."""
    return hmac.new(secret.encode(), _FINGERPRINT_OF, hashlib.sha256).hexdigest()[:8]


def _ledger_id(settings: Settings) -> str:
    try:
        secret = (
            settings.ledger_key.get_secret_value()
            if settings.ledger_key
            else _ledger_file(settings.home).read_text("ascii")
        )
    except OSError:
        return ""
    return Signer.parse(secret).verifier.key_id


def _ledger_file(home: Path) -> Path:
    return home / "secrets" / "ledger.key"


def _place(path: Path) -> str:
    return f"{path.parent.name}/{path.name} in the home folder"


def _files(home: Path, settings: Settings) -> Iterator[Secret]:
    known = {
        "passwords of the embedded servers": (home / "secrets.json", "starting with old data"),
        "tokens of the collector": (settings.collector_tokens, "clients that send lineage events"),
        "accounts of the console": (home / "console-users.json", "logging in without Airflow"),
    }
    for name, (path, needed_for) in known.items():
        if path.exists():
            digest = hashlib.sha256(path.read_bytes()).hexdigest()[:8]
            yield Secret(
                name=name,
                where=f"{path.name} in the home folder",
                needed_for=needed_for,
                fingerprint=digest,
            )
