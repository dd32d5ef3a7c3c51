"""``python -m cityledger_stack.probe URL``: exit code 0 when the address answers with success."""

from __future__ import annotations

import sys
import urllib.request


def answers(url: str, timeout: float = 5.0) -> bool:
    """Whether an HTTP address answers with a success code."""
    try:
        with urllib.request.urlopen(url, timeout=timeout) as answer:  # noqa: S310 - from our files
            return bool(200 <= answer.status < 300)
    except OSError:
        return False


if __name__ == "__main__":
    sys.exit(0 if answers(sys.argv[1]) else 1)
