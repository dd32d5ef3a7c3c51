"""Arguments and options that several verbs have, so that one name means one thing everywhere."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer


class Language(StrEnum):
    """Languages of what is printed or written."""

    ZH = "zh"
    EN = "en"


DatasetArgument = Annotated[
    str, typer.Argument(help="Dataset id, e.g. [bold]transport.metro_trips[/].", show_default=False)
]
PartitionOption = Annotated[
    str,
    typer.Option(
        "--partition",
        "-p",
        help="Period: 2026-03-31, 2026-03, 2026-Q1 or 2026.",
        show_default=False,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
