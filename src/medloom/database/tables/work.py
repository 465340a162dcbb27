"""What the server keeps of its own work: jobs in the background, answers to repeated requests, alerts read."""

from sqlalchemy import BigInteger, Column, Float, ForeignKey, Integer, String, Table, Text

from medloom.database.metadata import metadata

job = Table(
    "job",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("kind", String(40), nullable=False),
    Column("state", String(12), nullable=False, index=True),  # waiting, running, done, failed, cancelled
    Column("asked_by", String(80), nullable=False),
    Column("arguments", Text, nullable=False),  # JSON; no patient's data
    Column("step", Text, nullable=False),
    Column("done", Float, nullable=False),  # of 1
    Column("result", Text, nullable=False),  # JSON
    Column("error", Text, nullable=False),
    Column("created", String(27), nullable=False),
    Column("started", String(27)),
    Column("ended", String(27)),
)

idempotency = Table(
    "idempotency",
    metadata,
    Column("account_id", ForeignKey("account.id", ondelete="CASCADE"), primary_key=True),
    Column("key", String(64), primary_key=True),  # digest of what the client sent
    Column("request", String(64), nullable=False),  # digest of method, path and body
    Column("status", Integer, nullable=False),
    Column("body", Text, nullable=False),
    Column("time", String(27), nullable=False, index=True),
)

alert_read = Table(
    "alert_read",
    metadata,
    Column("account_id", ForeignKey("account.id", ondelete="CASCADE"), primary_key=True),
    Column("subject_id", BigInteger, primary_key=True),
    Column("model", String(160), primary_key=True),
    Column("prediction_time", String(26), primary_key=True),
    Column("time", String(27), nullable=False),
)
