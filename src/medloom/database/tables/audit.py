"""Who saw or changed what, and why: appended to, never changed."""

from sqlalchemy import BigInteger, Column, Integer, String, Table, Text

from medloom.database.metadata import metadata

audit = Table(
    "audit",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("time", String(27), nullable=False, index=True),
    Column("actor", String(120), nullable=False, index=True),
    Column("role", String(20), nullable=False),
    Column("action", String(40), nullable=False, index=True),
    Column("subject_id", BigInteger, index=True),
    Column("target", String(200), nullable=False),
    Column("reason", Text, nullable=False),
    Column("outcome", String(10), nullable=False),
    Column("detail", Text, nullable=False),  # JSON
    Column("previous", String(64), nullable=False),
    Column("digest", String(64), nullable=False),
)
