"""A person's consents have an epoch, an end and a retention; what was disclosed can be accounted for."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "person",
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("subject_digest", sa.String(), nullable=True),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("disclosed_on", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("tenant", "id"),
        sa.UniqueConstraint("tenant", "subject_digest"),
    )
    op.create_table(
        "accounting",
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("consent_id", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("at", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "number", "consent_id"),
    )
    op.create_index("accounting_subject", "accounting", ["tenant", "subject"], unique=False)
    op.create_index("accounting_consent", "accounting", ["tenant", "consent_id"], unique=False)
    op.create_index("accounting_at", "accounting", ["tenant", "at"], unique=False)
    # What only opening a consent could tell stays null here; the first sweep looks it up.
    op.add_column("consent", sa.Column("regime", sa.String(), nullable=True))
    op.add_column("consent", sa.Column("ends_at", sa.String(), nullable=True))
    op.add_column("consent", sa.Column("replaces", sa.String(), nullable=True))
    op.add_column("consent", sa.Column("erased_at", sa.String(), nullable=True))
    op.add_column("disclosure", sa.Column("subject_digest", sa.String(), nullable=False, server_default=""))
    op.add_column("disclosure", sa.Column("epoch", sa.Integer(), nullable=False, server_default="0"))
    op.create_index("disclosure_subject", "disclosure", ["tenant", "subject_digest"], unique=False)
