"""Which systems may ask by CDS Hooks, and which of their tokens were used already."""

from sqlalchemy import Column, String, Table, Text

from medloom.database.metadata import metadata

cds_client = Table(
    "cds_client",
    metadata,
    Column("name", String(60), primary_key=True),
    Column("issuer", String(400), nullable=False, unique=True),  # `iss` of its tokens
    Column("keys", Text, nullable=False),  # JSON: its JWK set, public keys alone
    Column("system", String(200)),  # namespace of its patients in the record; null: it knows none of them
    Column("created", String(27), nullable=False),
)

cds_seen = Table(
    "cds_seen",
    metadata,
    Column("digest", String(64), primary_key=True),  # of issuer and `jti`
    Column("expires", String(27), nullable=False, index=True),
)
