"""The lineage graph, indexed from the events."""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_TABLES = ""


def upgrade() -> None:
    """Create the tables."""
    if _TABLES:
        op.execute(_TABLES)
