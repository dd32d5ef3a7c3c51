"""Scores and the results of checks on tables."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_TABLES = ""


def upgrade() -> None:
    """Create the tables."""
    if _TABLES:
        op.execute(_TABLES)
