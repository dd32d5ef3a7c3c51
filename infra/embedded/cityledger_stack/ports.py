"""Free loopback ports: the one asked for when it is free, otherwise another one.

A port is chosen seconds before its server listens on it. So that two stacks that start at the same
time do not choose the same ones, a chosen port is claimed machine-wide until the process ends.
"""

from __future__ import annotations

import random
import socket
import sys
from collections.abc import Iterable

LOOPBACK = "127.0.0.1"

# Below the kernel's ephemeral range (32768 on), so no outgoing connection takes one meanwhile;
# low enough that SeaweedFS's "gRPC = HTTP + 10000" stays below it, too.
_RANDOM_RANGE = (15000, 22700)
_TRIES = 400

_claims: dict[int, socket.socket] = {}


def is_free(port: int) -> bool:
    """Whether a server could listen on this loopback port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # A port in TIME_WAIT is free for a server; on Linux a listener still refuses this.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def _claim(port: int) -> bool:
    """Promise a port to this process; False when another process of ours has claimed it.

    The claim is a name in Linux's abstract socket space: no file to leave behind, and the kernel
    takes it back when the process ends, however it ends.
    """
    if port in _claims or not sys.platform.startswith("linux"):
        return True
    claim = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        claim.bind(f"\0cityledger-port-{port}")
    except OSError:
        claim.close()
        return False
    _claims[port] = claim
    return True


def accepts(port: int) -> bool:
    """Whether somebody listens on this loopback port."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        return probe.connect_ex((LOOPBACK, port)) == 0


def pick(preferred: Iterable[int] = (), *, taken: Iterable[int] = (), offset: int = 0) -> int:
    """The first usable port of ``preferred``, else a random usable one.

    Args:
        preferred: Ports to try first, best first.
        taken: Ports promised to somebody else already.
        offset: When not zero, ``port + offset`` must be usable as well.

    Raises:
        OSError: No port of the range is free.
    """
    reserved = set(taken)
    rng = random.SystemRandom()
    candidates = [*preferred, *(rng.randint(*_RANDOM_RANGE) for _ in range(_TRIES))]
    for port in candidates:
        needed = {port, port + offset}
        if not needed & reserved and all(is_free(one) and _claim(one) for one in needed):
            return port
    raise OSError(f"no free loopback port between {_RANDOM_RANGE[0]} and {_RANDOM_RANGE[1]}")
