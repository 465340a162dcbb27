"""The first tables."""

from alembic import op

from medloom.database import tables  # noqa: F401
from medloom.database.metadata import metadata

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    metadata.create_all(op.get_bind())
