"""Runs the revisions on the connection, and in the transaction, that ``opening`` hands over."""

from alembic import context

from genesys_ad_sync.journal.tables import VERSION_TABLE, metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
)
with context.begin_transaction():
    context.run_migrations()
