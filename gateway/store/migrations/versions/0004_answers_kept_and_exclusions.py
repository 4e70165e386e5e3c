"""Answers that wait here for a release, whose referral an inbound one is, and who must never see one."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "kept_answer",
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("inbound_id", sa.String(), nullable=False),
        sa.Column("at", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "id"),
    )
    op.create_index("kept_answer_inbound", "kept_answer", ["tenant", "inbound_id"], unique=False)
    op.create_table(
        "exclusion",
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("referral_id", sa.String(), nullable=False),
        sa.Column("organization_digest", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "referral_id", "organization_digest"),
    )
    op.add_column("inbound", sa.Column("subject_digest", sa.String(), nullable=True))
    op.create_index("inbound_subject", "inbound", ["tenant", "subject_digest"], unique=False)
