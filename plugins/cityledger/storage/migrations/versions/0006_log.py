"""The transparency log."""

from __future__ import annotations

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_TABLES = ""


def upgrade() -> None:
    """Create the tables."""
    if _TABLES:
        op.execute(_TABLES)
