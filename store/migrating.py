"""Brings the tables to what this version needs, by the steps in `store/migrations`."""

from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text

from activity.errors import Mismatch
from store.schema import metadata

VERSION_TABLE: Final = "chopar_schema"
"""Not Alembic's own name: the database may be shared with another program that uses Alembic."""

_FOLDER: Final = Path(__file__).parent / "migrations"
LOCK: Final = 0x63686F706172
"""Any number, but the same one in all versions: Postgres' name for the lock under which tables are changed."""


def upgrade(connection: Connection, shown: str) -> None:
    """Runs the steps that are missing, in the transaction of `connection`: all of them or none.

    Whoever comes second waits for the first (SQLite: it must be a writing transaction) and finds nothing left to do.
    Raises Mismatch if the tables are of a newer version or not ours; `shown` names the store.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK})
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    scripts = ScriptDirectory.from_config(config)
    newest = scripts.get_current_head()
    context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
    standing = context.get_current_heads()
    if standing == (newest,):
        return
    _refuse(connection, standing, {script.revision for script in scripts.walk_revisions()}, shown)
    command.upgrade(config, "head")


def _refuse(connection: Connection, standing: tuple[str, ...], known: set[str], shown: str) -> None:
    if strange := sorted(set(standing) - known):
        raise Mismatch(
            f"the store {shown} has tables of a newer version ({strange[0]}): "
            "install that version of Chopar, or set CHOPAR_STORE_URL to another store"
        )
    if standing:
        return
    if taken := sorted(set(inspect(connection).get_table_names()) & metadata.tables.keys()):
        raise Mismatch(
            f"the store {shown} has a table {taken[0]!r} of another program: set CHOPAR_STORE_URL to a database of its own"
        )
