"""What people answered: reviews of advice, and experts' readings of cases, from which labels come."""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, String, Table, Text, UniqueConstraint

from medloom.database.metadata import metadata

# Appended to, never changed: a changed mind is a new row that names the one it takes the place of.
review = Table(
    "review",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("advice_id", ForeignKey("advice.id"), nullable=False, index=True),
    Column("reviewer", String(80), nullable=False, index=True),
    Column("verdict", String(10), nullable=False),  # accept, override
    Column("reason", String(20)),  # of an override, coded
    Column("comment", Text, nullable=False),
    Column("answer", Text),  # JSON: what the reviewer would have answered
    Column("suggestions", Text, nullable=False),  # JSON: which of the advice's proposals were taken up
    Column("via", String(20), nullable=False),
    Column("made", String(27), nullable=False),
    Column("decided", String(27), nullable=False),  # by the clinician; may be told later
    Column("supersedes", ForeignKey("review.id"), unique=True),
)
# A person has one chain of reviews an advice.
Index(
    "uq_review_first",
    review.c.advice_id,
    review.c.reviewer,
    unique=True,
    sqlite_where=review.c.supersedes.is_(None),
    postgresql_where=review.c.supersedes.is_(None),
)

reading_item = Table(
    "reading_item",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("task", String(80), nullable=False),
    Column("subject_id", BigInteger, nullable=False),
    Column("prediction_time", String(26), nullable=False),  # the site's wall clock
    Column("advice_id", ForeignKey("advice.id"), nullable=False, index=True),
    Column("why", Text, nullable=False),  # JSON: list of codes
    Column("state", String(12), nullable=False, index=True),  # open, second, agreed, adjudicate, decided
    Column("label", Text),  # JSON: what was decided; null: undecided, or it cannot be told
    Column("added", String(27), nullable=False),
    Column("added_by", String(80), nullable=False),
    Column("closed", String(27)),
    Column("claimed_by", String(80)),
    Column("claimed_until", String(27)),
    UniqueConstraint("task", "subject_id", "prediction_time"),
)

reading = Table(
    "reading",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("item_id", ForeignKey("reading_item.id"), nullable=False),
    Column("reader", String(80), nullable=False, index=True),
    Column("stage", String(12), nullable=False),  # first, second, adjudication
    Column("answer", Text),  # JSON; null: cannot be told
    Column("comment", Text, nullable=False),
    Column("made", String(27), nullable=False),
    UniqueConstraint("item_id", "stage"),
    UniqueConstraint("item_id", "reader", name="uq_reading_reader"),
)

reading_skip = Table(
    "reading_skip",
    metadata,
    Column("item_id", ForeignKey("reading_item.id"), primary_key=True),
    Column("reader", String(80), primary_key=True),
    Column("time", String(27), nullable=False),
)
