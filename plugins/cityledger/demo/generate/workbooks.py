"""Workbooks whose bytes depend on their content only."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Callable
from datetime import datetime

import xlwt
from openpyxl import Workbook

from cityledger.demo.generate.archives import zip_bytes

_STAMP = re.compile(rb"(<dcterms:(?:created|modified)[^>]*>)[^<]*")


def xlsx_bytes(fill: Callable[[Workbook], None]) -> bytes:
    """An .xlsx file with fixed times; ``fill`` writes into a workbook that has no sheet yet."""
    book = Workbook()
    book.remove(book.worksheets[0])
    book.properties.creator = "CityLedger demo generator"
    book.properties.created = datetime(2026, 4, 1)
    fill(book)
    buffer = io.BytesIO()
    book.save(buffer)
    with zipfile.ZipFile(buffer) as saved:
        members = [(name.encode(), _fixed(saved.read(name))) for name in saved.namelist()]
    return zip_bytes(members, utf8=True)


def _fixed(data: bytes) -> bytes:
    return _STAMP.sub(rb"\g<1>2026-04-01T00:00:00Z", data)


def xls_bytes(fill: Callable[[xlwt.Workbook], None]) -> bytes:
    """An .xls file (BIFF8); xlwt writes no times."""
    book = xlwt.Workbook(encoding="utf-8")
    fill(book)
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()
