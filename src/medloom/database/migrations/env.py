"""How Alembic runs the steps: on the connection, and in the transaction, of whoever opens the database."""

from alembic import context

from medloom.database import tables  # noqa: F401 - makes the tables known
from medloom.database.metadata import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    transactional_ddl=True,
)
context.run_migrations()
