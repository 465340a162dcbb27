"""What people said of places in notes."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "note_mark",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("subject_id", sa.BigInteger(), nullable=False),
        sa.Column("note", sa.String(length=80), nullable=False),
        sa.Column("reviewer", sa.String(length=80), nullable=False),
        sa.Column("deed", sa.String(length=10), nullable=False),
        sa.Column("code", sa.Text(), nullable=True),
        sa.Column("span", sa.Text(), nullable=True),
        sa.Column("was_code", sa.Text(), nullable=True),
        sa.Column("was_span", sa.Text(), nullable=True),
        sa.Column("was_model", sa.String(length=200), nullable=True),
        sa.Column("was_confidence", sa.Float(), nullable=True),
        sa.Column("made", sa.String(length=27), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_note_mark")),
    )
    op.create_index("ix_note_mark_of", "note_mark", ["subject_id", "note"], unique=False)
    op.create_index(op.f("ix_note_mark_reviewer"), "note_mark", ["reviewer"], unique=False)
    op.create_table(
        "note_reading",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("subject_id", sa.BigInteger(), nullable=False),
        sa.Column("note", sa.String(length=80), nullable=False),
        sa.Column("reviewer", sa.String(length=80), nullable=False),
        sa.Column("places", sa.Text(), nullable=False),
        sa.Column("blind", sa.Integer(), nullable=False),
        sa.Column("made", sa.String(length=27), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_note_reading")),
    )
    op.create_index("ix_note_reading_of", "note_reading", ["subject_id", "note"], unique=False)
    op.create_index(op.f("ix_note_reading_reviewer"), "note_reading", ["reviewer"], unique=False)
    op.create_table(
        "note_answer",
        sa.Column("model", sa.String(length=200), nullable=False),
        sa.Column("subject_id", sa.BigInteger(), nullable=False),
        sa.Column("note", sa.String(length=80), nullable=False),
        sa.Column("places", sa.Integer(), nullable=False),
        sa.Column("least", sa.Float(), nullable=True),
        sa.Column("made", sa.String(length=27), nullable=False),
        sa.PrimaryKeyConstraint("model", "subject_id", "note", name=op.f("pk_note_answer")),
    )
