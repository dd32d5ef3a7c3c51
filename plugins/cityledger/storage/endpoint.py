"""Where the object store answers, read from one URL."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import parse_qs, unquote, urlsplit

from cityledger.errors import CityLedgerError, Exit, UnavailableError
from cityledger.settings import Settings

_SHAPE = "http[s]://access-key:secret-key@host:port[?region=…]"


@dataclass(frozen=True, slots=True)
class S3Endpoint:
    """Address and credentials of an S3 service.

    Attributes:
        host: ``host`` or ``host:port``.
        region: From ``?region=``; most S3 services beside AWS accept the default.
    """

    host: str
    access_key: str
    secret_key: str = field(repr=False)
    secure: bool = False
    region: str = "us-east-1"

    @classmethod
    def from_settings(cls, settings: Settings) -> S3Endpoint:
        """Read ``settings.s3_url``.

        Raises:
            UnavailableError: the setting is missing.
            CityLedgerError: the setting has another shape than ``http[s]://key:secret@host:port``.
        """
        if settings.s3_url is None:
            raise UnavailableError(
                "no object store is configured",
                fix=f"run `cityledger up`, or set CITYLEDGER_S3_URL to {_SHAPE}",
                code="s3_not_configured",
            )
        return cls.parse(settings.s3_url.get_secret_value())

    @classmethod
    def parse(cls, url: str) -> S3Endpoint:
        """Read a URL; the error's text never repeats it, because it holds a secret."""
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not (
            parts.hostname and parts.username and parts.password
        ):
            raise CityLedgerError(
                "CITYLEDGER_S3_URL cannot be read",
                fix=f"write it as {_SHAPE}, special characters percent-encoded",
                code="bad_s3_url",
                exit_code=Exit.USAGE,
            )
        return cls(
            host=parts.netloc.rpartition("@")[2],
            access_key=unquote(parts.username),
            secret_key=unquote(parts.password),
            secure=parts.scheme == "https",
            region=parse_qs(parts.query).get("region", ["us-east-1"])[0],
        )
