"""What people said of places in notes, and who has read a note to its end: codes and places, no words."""

from sqlalchemy import BigInteger, Column, Float, Index, Integer, PrimaryKeyConstraint, String, Table, Text

from medloom.database.metadata import metadata

# Appended to, never changed; the facts themselves stand in the record.
note_mark = Table(
    "note_mark",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("subject_id", BigInteger, nullable=False),
    Column("note", String(80), nullable=False),  # sha256:… of its file, or of its text
    Column("reviewer", String(80), nullable=False, index=True),
    Column("deed", String(10), nullable=False),  # accepted, corrected, rejected, added, looked
    Column("code", Text),  # as it is said now; null: nothing is, there
    Column("span", Text),
    Column("was_code", Text),  # what was there before; null: nothing, or it had no code
    Column("was_span", Text),
    Column("was_model", String(200)),  # null: a person said it
    Column("was_confidence", Float),
    Column("made", String(27), nullable=False),
)
Index("ix_note_mark_of", note_mark.c.subject_id, note_mark.c.note)

note_reading = Table(
    "note_reading",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("subject_id", BigInteger, nullable=False),
    Column("note", String(80), nullable=False),
    Column("reviewer", String(80), nullable=False, index=True),
    Column("places", Text, nullable=False),  # JSON: [place, code] of all that stands in the reader's eyes
    Column("blind", Integer, nullable=False),  # whether they read it for themselves
    Column("made", String(27), nullable=False),
)
Index("ix_note_reading_of", note_reading.c.subject_id, note_reading.c.note)

# Which model has read a note, and how sure it was: by this notes are picked for people to read.
note_answer = Table(
    "note_answer",
    metadata,
    Column("model", String(200), nullable=False),
    Column("subject_id", BigInteger, nullable=False),
    Column("note", String(80), nullable=False),
    Column("places", Integer, nullable=False),
    Column("least", Float),  # of its places, how sure it is of the least sure one; null: it names none
    Column("made", String(27), nullable=False),
    PrimaryKeyConstraint("model", "subject_id", "note"),
)
