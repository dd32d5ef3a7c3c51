"""Where the database answers, read from one URL."""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from cityledger.errors import CityLedgerError, Exit, UnavailableError
from cityledger.settings import Settings

_SHAPE = "postgresql://user:password@host:port/database"


@dataclass(frozen=True, slots=True)
class DatabaseAddress:
    """Address and credentials of a PostgreSQL database."""

    host: str
    port: int
    database: str
    user: str
    password: str = field(repr=False)

    @classmethod
    def from_settings(cls, settings: Settings) -> DatabaseAddress:
        """Read ``settings.database_url``.

        Raises:
            UnavailableError: the setting is missing.
            CityLedgerError: the setting is no PostgreSQL URL.
        """
        if settings.database_url is None:
            raise UnavailableError(
                "no database is configured",
                fix=f"run `cityledger up`, or set CITYLEDGER_DATABASE_URL to {_SHAPE}",
                code="database_not_configured",
            )
        return cls.parse(settings.database_url.get_secret_value())

    @classmethod
    def parse(cls, text: str) -> DatabaseAddress:
        """Read a URL; the error's text never repeats it, because it holds a secret."""
        try:
            url = make_url(text)
        except (ArgumentError, ValueError):
            raise _unreadable() from None
        if url.get_backend_name() != "postgresql" or not (url.host and url.database):
            raise _unreadable()
        return cls(
            host=url.host,
            port=url.port or 5432,
            database=url.database,
            user=url.username or "",
            password=str(url.password or ""),
        )

    @property
    def sqlalchemy(self) -> URL:
        """The URL for SQLAlchemy with psycopg."""
        return URL.create(
            "postgresql+psycopg",
            username=self.user or None,
            password=self.password or None,
            host=self.host,
            port=self.port,
            database=self.database,
        )


def _unreadable() -> CityLedgerError:
    return CityLedgerError(
        "CITYLEDGER_DATABASE_URL cannot be read",
        fix=f"write it as {_SHAPE}, special characters percent-encoded",
        code="bad_database_url",
        exit_code=Exit.USAGE,
    )
