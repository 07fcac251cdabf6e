"""Alembic's entry: runs the steps in the caller's own transaction, on the connection that it is given."""

from alembic import context
from sqlalchemy import Connection

from store.migrating import VERSION_TABLE
from store.schema import metadata

connection: Connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata, version_table=VERSION_TABLE, transactional_ddl=True)
context.run_migrations()
