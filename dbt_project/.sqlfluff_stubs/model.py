"""The node that dbt gives to macros; sqlfluff sees one without a card."""

from __future__ import annotations

from types import SimpleNamespace

config = SimpleNamespace(meta={})
