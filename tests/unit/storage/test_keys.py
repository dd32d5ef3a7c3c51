"""Keys: the same thing always gets the same key, and no file name can break out of its prefix."""

from __future__ import annotations

import re

import pytest
from cityledger.contracts.identity import DatasetId
from cityledger.storage.keys import (
    claim_key,
    delivery_id,
    landing_key,
    quarantine_key,
    receipt_key,
    safe_name,
    validated_key,
)
from hypothesis import given
from hypothesis import strategies as st

DATASET = DatasetId("gov_services", "service_cases")
SHA256 = "ab" * 32


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("cases.csv", "cases.csv"),
        ("政务 办件（3月）.csv.gz", "政务_办件_3月_.csv.gz"),
        ("../../etc/passwd", "passwd"),
        ("C:\\导出\\表#1.xlsx", "表_1.xlsx"),
        (".hidden", "hidden"),
        ("...", "file"),
        ("", "file"),
    ],
)
def test_names_stay_readable_and_become_safe(name: str, safe: str) -> None:
    """Prevents keys that a clerk cannot recognise, or that leave their prefix."""
    assert safe_name(name) == safe


@given(st.text(max_size=400))
def test_any_name_is_safe(name: str) -> None:
    """Prevents a name nobody thought of from breaking a key, a URI or `#member`."""
    safe = safe_name(name.encode("utf-8", "ignore").decode())
    assert re.fullmatch(r"[\w.\-]+", safe)
    assert not safe.startswith(".")
    assert len(safe.encode()) <= 200


def test_long_name_keeps_its_suffix() -> None:
    """Prevents a reader from losing the format of a file with a long name."""
    assert safe_name("办" * 500 + ".xlsx").endswith(".xlsx")


def test_delivery_id_ignores_order_and_sees_names_and_bytes() -> None:
    """Prevents a delivery from being landed twice because its files were listed otherwise."""
    one, two = ("a.csv", "1" * 64), ("b.csv", "2" * 64)
    assert delivery_id([one, two]) == delivery_id([two, one])
    others = {delivery_id(f) for f in ([one], [two], [("a.csv", "2" * 64), ("b.csv", "1" * 64)])}
    assert delivery_id([one, two]) not in others
    assert re.fullmatch(r"[0-9a-f]{16}", delivery_id([one]))


def test_keys_are_the_documented_ones() -> None:
    """Prevents a silent change of the layout that stored objects already have."""
    assert landing_key(DATASET, "2026-03-31", "办件.csv", SHA256) == (
        "gov_services/service_cases/2026-03-31/办件.csv.abababababababab"
    )
    assert receipt_key(DATASET, "2026-03-31", 7, "0123456789abcdef") == (
        "_receipts/gov_services/service_cases/2026-03-31/00007-0123456789abcdef.json"
    )
    assert claim_key(DATASET, "2026", 2) == "_sequences/gov_services/service_cases/2026/00002"
    assert validated_key(DATASET, "2026-03", "d1", SHA256) == (
        "gov_services/service_cases/2026-03/d1-abababab/part-00000.parquet"
    )
    assert quarantine_key(DATASET, "2026-03", "d1", SHA256, "rejected") == (
        "gov_services/service_cases/2026-03/d1-abababab/rejected.parquet"
    )
