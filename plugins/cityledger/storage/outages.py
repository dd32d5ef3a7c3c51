"""What a failure of a service or of a disk means: one message, and whether waiting helps.

Drivers and engines tell one and the same outage in a dozen ways. Here they become one of few errors
with a stable code; everything that is no outage is left as it is.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from typing import Final

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

from cityledger.errors import CityLedgerError, UnavailableError
from cityledger.storage.address import DatabaseAddress

#: Passes by itself or when somebody mends the service: a run waits for these.
PASSING: Final = frozenset(
    {"s3_unavailable", "s3_full", "database_unavailable", "database_full", "lake_unavailable"}
)
#: How an external database gets its tables; the embedded one gets them from ``cityledger up``.
PREPARE: Final = (
    "`cityledger up` prepares the embedded database, `python -m cityledger_stack.prepare` an "
    "external one; then run again"
)

_CHECK_DATABASE: Final = (
    "check `cityledger status`; start the database or correct CITYLEDGER_DATABASE_URL"
)
_FULL_DISK: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_FULL_TEXT: Final = re.compile(
    r"no space left on device|disk quota exceeded|file too large|max_temp_directory_size", re.I
)
# What libpq hands on while connecting has no SQLSTATE, only words, in the server's language.
_ANSWERED: Final = re.compile(r"FATAL|致命错误")
_NOT_YET: Final = re.compile(
    r"starting up|shutting down|recovery|not yet accepting|too many|connection slots"
    r"|启动|关闭|关机|恢复|太多",
    re.I,
)
_TABLES_MISSING: Final = frozenset({"42P01", "3F000"})
_REFUSED: Final = frozenset({"42501", "28000", "28P01", "3D000"})
_FULL: Final = "53100"
# Seen from DuckDB's extensions: httpfs, and libpq below postgres_scanner and ducklake.
_LAKE_DATABASE: Final = re.compile(
    r"unable to connect to postgres|server closed the connection|connection to server at"
    r"|terminating connection|no connection to the server|could not receive data from server"
    r"|database system is (starting up|shutting down)"
    r"|failed to execute query \"(ROLLBACK|COMMIT)\"",
    re.I,
)
_LAKE_STORE: Final = re.compile(
    r"error for HTTP (GET|PUT|POST|HEAD|DELETE)|could not establish connection"
    r"|\(HTTP (500|502|503|504)\)|HTTP (500|502|503|504)\b",
    re.I,
)
# A store that refuses to take what it is given, and has just been read, lacks room most of all.
_LAKE_STORE_FULL: Final = re.compile(r"HTTP 50[07] for HTTP (PUT|POST)", re.I)


def database_error(error: DBAPIError, address: DatabaseAddress) -> CityLedgerError | None:
    """What an error of the driver means; None when it is about the statement, not the database.

    Args:
        error: As SQLAlchemy raised it. Its text is not repeated: it may hold values.
        address: Of the database, for the message.
    """
    state = str(getattr(error.orig, "sqlstate", None) or "")
    place = f"{address.host}:{address.port}"
    if state in _TABLES_MISSING:
        return CityLedgerError(
            "the database has not all the tables of this program",
            where=place,
            fix=PREPARE,
            code="database_not_prepared",
        )
    if state in _REFUSED or _refuses(error):
        return _refused(address)
    if state == _FULL:
        return UnavailableError(
            "the database has no disk space left",
            where=place,
            fix="free space on the disk of the database, then run again: what is done is kept",
            code="database_full",
        )
    if not isinstance(error, (OperationalError, InterfaceError)):
        return None
    return UnavailableError(
        f"the database at {place} does not answer ({type(error).__name__})",
        fix=_CHECK_DATABASE,
        code="database_unavailable",
    )


def explained(error: BaseException, scratch: str = "") -> CityLedgerError | None:
    """The outage behind a foreign exception, if there is one (disk, lake, object store).

    Args:
        error: What a stage raised. It and what caused it are looked at.
        scratch: The folder to name when the error of a full disk does not say where.
    """
    if isinstance(error, CityLedgerError):
        return None
    for one in _chain(error):
        if isinstance(one, OSError) and one.errno in _FULL_DISK:
            return disk_full(str(one.filename or scratch))
        if type(one).__module__.partition(".")[0] in {"duckdb", "_duckdb", "polars", "pyarrow"}:
            return outage_in(str(one), scratch)
    return None


def outage_in(text: str, scratch: str = "") -> CityLedgerError | None:
    """The outage that a message of DuckDB (alone, or quoted by dbt) tells of; None for others.

    The message itself is not repeated: it may hold values or addresses with credentials.
    """
    if _FULL_TEXT.search(text):
        return disk_full(scratch)
    if _LAKE_DATABASE.search(text):
        return UnavailableError(
            "the database broke off while the lake was read or written",
            fix=_CHECK_DATABASE,
            code="lake_unavailable",
        )
    if _LAKE_STORE_FULL.search(text):
        return store_full(
            "the object store does not take what the lake writes: most likely its disk is full"
        )
    if _LAKE_STORE.search(text):
        return UnavailableError(
            "the object store broke off while the lake was read or written",
            fix="check `cityledger status`; start the store or correct CITYLEDGER_S3_URL",
            code="lake_unavailable",
        )
    return None


def disk_full(path: str) -> UnavailableError:
    """A local disk, quota or file size limit is used up."""
    return UnavailableError(
        "this machine has no disk space left for scratch files",
        where=path,
        fix="free space, or point CITYLEDGER_SPOOL_DIR and CITYLEDGER_HOME to a larger disk; then "
        "run again: what is done is kept",
        code="disk_full",
    )


def store_full(what: str, where: str = "") -> UnavailableError:
    """The disk of the object store is used up, surely or most likely."""
    return UnavailableError(
        what,
        where=where,
        fix="free space on the disk of the object store, or enlarge it (the store's log says what "
        "it lacks)",
        code="s3_full",
    )


def _refuses(error: DBAPIError) -> bool:
    text = str(error.orig)
    return bool(_ANSWERED.search(text)) and not _NOT_YET.search(text)


def _refused(address: DatabaseAddress) -> CityLedgerError:
    return CityLedgerError(
        f"the database refuses user '{address.user}' on database '{address.database}'",
        where=f"{address.host}:{address.port}",
        fix="correct user, password and database in CITYLEDGER_DATABASE_URL, or grant the rights",
        code="database_refused",
    )


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__
