"""What files of the quarantine there are; apart, because the command line's help names them."""

from __future__ import annotations

from enum import StrEnum


class FileKind(StrEnum):
    """Formats of the download."""

    XLSX = "xlsx"
    CSV = "csv"
