"""Checks of the queue between scheduler and workers, where there is one."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from cityledger_stack.findings import Finding, finding
from cityledger_stack.plan import BROKER, without_credentials


def broker(env: Mapping[str, str] | None = None) -> Iterator[Finding]:
    """Whether the broker answers and keeps what it was given; nothing without a broker."""
    given = os.environ if env is None else env
    url = given.get("AIRFLOW__CELERY__BROKER_URL") or given.get(BROKER)
    if not url or urlsplit(url).scheme not in {"redis", "rediss"}:
        return
    # An extra: installations without a queue need no client.
    from redis import Redis
    from redis.exceptions import AuthenticationError, RedisError

    where = without_credentials(url)
    try:
        with Redis.from_url(url, socket_timeout=5, socket_connect_timeout=5) as client:
            client.ping()
            yield Finding("broker", "ok", f"{where} answers")
            yield _keeps(str(client.info("memory").get("maxmemory_policy", "")))
    except AuthenticationError:
        fix = "correct the password in the broker's URL"
        yield Finding("broker", "problem", f"{where} lets nobody in with this password", fix)
    except RedisError as error:
        fix = "start Redis, or correct the broker's URL; queued tasks wait meanwhile"
        detail = f"{where} does not answer ({type(error).__name__})"
        yield Finding("broker", "problem", detail, fix)


def _keeps(policy: str) -> Finding:
    fix = "CONFIG SET maxmemory-policy noeviction: any other throws queued tasks away"
    return finding("broker keeps tasks", policy == "noeviction", policy or "unknown", fix)
