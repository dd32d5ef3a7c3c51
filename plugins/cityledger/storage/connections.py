"""Connections to the object store: how long one request may take, and when it is sent again."""

from __future__ import annotations

import logging
import math
import time
from typing import Any, Final, Self

import urllib3

from cityledger.storage.endpoint import S3Endpoint

# SeaweedFS without disk space thinks for 30 s about each object before it says InternalError
# (4.48: its wait for a volume); five of these in a row were a run that seemed to hang.
_REPEAT_SECONDS: Final = 20.0


class _Repeats(urllib3.Retry):
    """Repeats a request that failed soon; one that took long to fail would take as long again."""

    until = math.inf

    def for_seconds(self, seconds: float) -> Self:
        """The same for one request that begins now."""
        made = self.new()
        made.until = time.monotonic() + seconds
        return made

    def new(self, **changes: Any) -> Self:
        made = super().new(**changes)
        made.until = self.until
        return made

    def is_exhausted(self) -> bool:
        return super().is_exhausted() or time.monotonic() > self.until


class _Connections(urllib3.PoolManager):
    def urlopen(  # type: ignore[override]  # as urllib3 itself has to say of this method
        self, method: str, url: str, redirect: bool = True, **options: Any
    ) -> urllib3.BaseHTTPResponse:
        """Begin the request's time now, where the caller does not say how to repeat it."""
        options.setdefault("retries", _REPEATS.for_seconds(_REPEAT_SECONDS))
        return super().urlopen(method, url, redirect, **options)


# POST is retried after a lost connection only; GET, HEAD, PUT also on 5xx. Sum of waits: 3 s.
_REPEATS: Final = _Repeats(
    total=4,
    backoff_factor=0.2,
    status_forcelist=[500, 502, 503, 504],
    raise_on_status=False,  # the last answer says more than that there were too many
)


def connections(endpoint: S3Endpoint) -> urllib3.PoolManager:
    """Connections to one store; requests that fail within 20 s are sent again, up to four times."""
    # Its warning of each repeated request would bury the one line that tells of an outage.
    logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)
    return _Connections(
        timeout=urllib3.Timeout(connect=5, read=300),
        maxsize=10,
        cert_reqs="CERT_REQUIRED" if endpoint.secure else "CERT_NONE",
    )
