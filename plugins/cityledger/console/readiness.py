"""What a server does once, before its first visitor."""

from __future__ import annotations

import gc


def get_ready() -> None:
    """Load what pages load late, and take it all out of the garbage collector's rounds.

    Libraries leave a quarter of a million objects that live as long as the process. Going through
    them again and again held up one page in ten by 150 to 600 ms (10,000 runs of 300 rules).
    """
    import altair  # noqa: F401 - a second that the first visitor would wait for

    gc.collect()
    gc.freeze()
