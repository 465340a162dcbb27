"""What answers, and what it answered: releases and advice."""

from sqlalchemy import BigInteger, Column, Float, ForeignKey, Index, Integer, LargeBinary, String, Table, Text

from medloom.database.metadata import metadata

release = Table(
    "release",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("task", String(80), nullable=False, index=True),
    Column("model", String(160), nullable=False),  # TASK.LEARNER@N
    Column("package", String(64), nullable=False),  # digest
    Column("state", String(12), nullable=False, index=True),  # proposed, active, refused, retired
    Column("threshold", Float),  # from which an answer is an alert
    Column("note", Text, nullable=False),
    Column("evidence", Text, nullable=False),  # JSON: what stood in the evaluation when it was proposed
    Column("proposed_by", String(80), nullable=False),
    Column("proposed", String(27), nullable=False),
    Column("signed_by", String(80)),
    Column("signed", String(27)),
    Column("ended_by", String(80)),
    Column("ended", String(27)),
    Column("end_reason", Text),
)

advice_input = Table(
    "advice_input",
    metadata,
    Column("digest", String(64), primary_key=True),  # of the history; the same patient unchanged is kept once
    Column("content", LargeBinary, nullable=False),
)

advice = Table(
    "advice",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("made", String(27), nullable=False, index=True),
    Column("service", String(20), nullable=False),
    Column("model", String(160), nullable=False),
    Column("package", String(64), nullable=False),
    Column("subject_id", BigInteger, nullable=False),
    Column("prediction_time", String(26), nullable=False),  # the site's wall clock
    Column("output", String(120), nullable=False),
    Column("value", Float, nullable=False),
    Column("input", ForeignKey("advice_input.digest"), nullable=False, index=True),
    Column("asked_by", String(80), nullable=False),
    Column("via", String(20), nullable=False),
    Column("content", Text, nullable=False),  # JSON of `Advice`
    Index("ix_advice_of_patient", "subject_id", "model", "made"),
    Index("ix_advice_of_model", "model", "made"),
)
