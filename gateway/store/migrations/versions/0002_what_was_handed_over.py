"""What a recipient last read and handed over, so that an amendment is told from an answer of its own."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("inbound", sa.Column("seen_at", sa.String(), nullable=True))
    op.add_column("inbound", sa.Column("handed", sa.String(), nullable=True))
