"""Who may come in: accounts, their sessions and tokens, and whose patients are theirs."""

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Integer, String, Table, Text

from medloom.database.metadata import metadata

account = Table(
    "account",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(80), nullable=False, unique=True),
    Column("display", String(120), nullable=False),
    Column("role", String(20), nullable=False),
    Column("password", Text, nullable=False),  # argon2id, with its parameters and salt
    Column("language", String(2), nullable=False, default="en"),
    Column("sees_all", Boolean, nullable=False, default=False),  # else patients of the care team alone
    Column("must_change", Boolean, nullable=False, default=False),  # the password was given by somebody else
    Column("disabled", Boolean, nullable=False, default=False),
    Column("failures", Integer, nullable=False, default=0),
    Column("locked_until", String(27)),
    Column("created", String(27), nullable=False),
)

session = Table(
    "session",
    metadata,
    Column("digest", String(64), primary_key=True),  # of what the cookie says
    Column("account_id", ForeignKey("account.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("csrf", String(64), nullable=False),
    Column("created", String(27), nullable=False),
    Column("seen", String(27), nullable=False),
    Column("expires", String(27), nullable=False),
)

token = Table(
    "token",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("account_id", ForeignKey("account.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("name", String(80), nullable=False),
    Column("digest", String(64), nullable=False, unique=True),
    Column("scopes", Text, nullable=False),  # permissions, by a space
    Column("created", String(27), nullable=False),
    Column("expires", String(27), nullable=False),
    Column("used", String(27)),
    Column("revoked", String(27)),
)

care_team = Table(
    "care_team",
    metadata,
    Column("account_id", ForeignKey("account.id", ondelete="CASCADE"), primary_key=True),
    Column("subject_id", BigInteger, primary_key=True),
    Column("since", String(27), nullable=False),
)

broken_glass = Table(
    "broken_glass",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("account_id", ForeignKey("account.id", ondelete="CASCADE"), nullable=False),
    Column("subject_id", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Column("time", String(27), nullable=False),
    Column("until", String(27), nullable=False),
    Index("ix_broken_glass_who", "account_id", "subject_id"),
)
