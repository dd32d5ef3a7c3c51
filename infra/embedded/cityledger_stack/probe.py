"""``python -m cityledger_stack.probe URL [STATUS]``: exit code 0 when the address answers so.

Without a status any success counts. An ``https`` address must show a certificate that the
authorities in ``SSL_CERT_FILE`` vouch for.
"""

from __future__ import annotations

import sys
import urllib.error
import urllib.request


def answers(url: str, status: int | None = None, *, timeout: float = 5.0) -> bool:
    """Whether an HTTP address answers with a status, by default with any success."""
    try:
        with urllib.request.urlopen(url, timeout=timeout) as answer:  # noqa: S310 - from our files
            found = int(answer.status)
    except urllib.error.HTTPError as error:
        found = error.code
    except OSError:
        return False
    return 200 <= found < 300 if status is None else found == status


if __name__ == "__main__":
    sys.exit(0 if answers(sys.argv[1], *map(int, sys.argv[2:])) else 1)
