"""Passwords and keys of the embedded stack, made at the first start and kept (mode 0600)."""

from __future__ import annotations

import base64
import json
import os
import secrets
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from cityledger.errors import BadInputError
from cityledger.storage.private_files import write_private


def _password() -> str:
    return secrets.token_hex(20)


def _signing_key() -> str:
    return secrets.token_hex(64)  # Airflow wants 64 bytes and more for HS512


def _fernet_key() -> str:
    return base64.urlsafe_b64encode(os.urandom(32)).decode()


_MAKERS: dict[str, Callable[[], str]] = {
    "airflow_jwt": _signing_key,
    "airflow_api": _signing_key,
    "airflow_fernet": _fernet_key,
    "s3_access_key": lambda: f"cityledger{secrets.token_hex(5)}",
    "s3_worker_access_key": lambda: f"worker{secrets.token_hex(5)}",
    "s3_reader_access_key": lambda: f"reader{secrets.token_hex(5)}",
}


@dataclass(frozen=True)
class Credentials:
    """Hexadecimal words, so they need no escaping in URLs."""

    postgres: str
    database: str
    database_writer: str
    database_reader: str
    airflow_database: str
    s3_access_key: str
    s3_secret_key: str
    s3_worker_access_key: str
    s3_worker_secret_key: str
    s3_reader_access_key: str
    s3_reader_secret_key: str
    s3_internal: str
    airflow_admin: str
    airflow_jwt: str
    airflow_api: str
    airflow_fernet: str
    pseudonym_key: str
    redis: str

    def __repr__(self) -> str:
        return "Credentials(…)"


def load_or_create(path: Path, *, needed_by: Iterable[Path] = ()) -> Credentials:
    """Read the secrets file, adding what a newer version needs; create it when there is none.

    Args:
        path: The secrets file.
        needed_by: Data folders that were created with the passwords in it.

    Raises:
        BadInputError: The file is damaged, or it is gone while data that needs it is there.
    """
    known = _read(path)
    orphaned = next((folder for folder in needed_by if folder.exists()), None)
    if not known and orphaned is not None:
        raise BadInputError(
            f"the file of generated passwords is missing, but {orphaned} was made with it",
            where=str(path),
            fix="restore it from a backup; to start over with empty databases delete the whole "
            f"home folder and {orphaned}",
            code="secrets_missing",
        )
    names = [field.name for field in fields(Credentials)]
    complete = {name: known.get(name) or _MAKERS.get(name, _password)() for name in names}
    made = Credentials(**complete)
    if complete != known:
        with write_private(path) as target:
            target.write_text(json.dumps(asdict(made), indent=1) + "\n", "utf-8")
    path.chmod(0o600)
    return made


def _read(path: Path) -> dict[str, str]:
    try:
        found = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError:
        found = None
    if isinstance(found, dict) and all(isinstance(value, str) for value in found.values()):
        return found
    raise BadInputError(
        "the file of generated passwords is damaged",
        where=str(path),
        fix="restore it from a backup; to start over with empty databases delete the whole "
        "home folder",
        code="secrets_damaged",
    )
