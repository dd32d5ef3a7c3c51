"""``python -m cityledger_stack.probe URL [STATUS | PART]``: exit code 0 when all is well there.

Without more, any success counts; with a status, that one. With the name of an Airflow part
(``dag_processor``), the address is the api-server's report on them, and that part must be healthy:
asking so takes a tenth of a second, ``airflow jobs check`` several.

An ``https`` address must show a certificate that the authorities in ``SSL_CERT_FILE`` vouch for.
"""

from __future__ import annotations

import json
import sys
import urllib.error
import urllib.request
from collections.abc import Sequence

_TIMEOUT_SECONDS = 15.0


def ask(url: str) -> tuple[int, bytes]:
    """Status and body of an HTTP address; status 0 when nobody answers."""
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT_SECONDS) as answer:  # noqa: S310 - from our files
            return int(answer.status), bytes(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, b""
    except OSError:
        return 0, b""


def well(url: str, expected: str = "") -> bool:
    """Whether an address answers as expected: a status, a healthy part, or any success."""
    status, body = ask(url)
    if expected.isdecimal():
        return status == int(expected)
    if not 200 <= status < 300:
        return False
    return not expected or _healthy(body, expected)


def _healthy(report: bytes, part: str) -> bool:
    try:
        found = json.loads(report)
    except ValueError:
        return False
    return isinstance(found, dict) and found.get(part, {}).get("status") == "healthy"


def main(arguments: Sequence[str]) -> int:
    """The exit code."""
    return 0 if well(*arguments) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
