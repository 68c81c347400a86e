"""Alembic's entry: runs on the connection that the caller opened; the revision lives in ``schema_version``."""

from alembic import context

from tallyport.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table="schema_version",
    transactional_ddl=True,
)
context.run_migrations()
