"""What engine-specific macros expand to while sqlfluff reads the models without an engine."""

from __future__ import annotations

from collections.abc import Callable

_STUBS: dict[str, Callable[..., str]] = {
    "read_parquet_file": lambda path: "input_file",  # noqa: ARG005
    "released_rows": lambda columns, releases: "select 1 as one",  # noqa: ARG005
    "pseudonym": lambda column: f"upper({column})",
    "unstaged": lambda releases: releases,
    "text_literal": lambda text: f"'{text}'",
    "wide_integer": lambda: "hugeint",
    "divide_floor": lambda above, below: f"cast({above} as bigint) % ({below})",
    "days_between": lambda first, last: "select one.day from one",  # noqa: ARG005
    "seconds_between": lambda earlier, later: f"coalesce({earlier}, {later})",
}


def dispatch(name: str) -> Callable[..., str]:
    """The stub of a macro that has an implementation per engine."""
    return _STUBS[name]
