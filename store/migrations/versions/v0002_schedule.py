"""Jobs that wait for their time, and what is counted of messages that come again."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

STATES = "state IN ('scheduled', 'sending', 'waiting', 'sent', 'dead', 'cancelled', 'unknown')"
COUNTS = ("suspected", "abandoned", "repeats")
TEXTS = ("user_id", "rule", "class", "task", "template", "source", "event_id", "recipient", "state")


def upgrade() -> None:
    """Adds to the ledger; what stands in it stays."""
    if op.get_bind().dialect.name == "sqlite":
        _make_anew()
    else:
        op.drop_constraint(op.f("ck_job_state"), "job", type_="check")
        op.create_check_constraint(op.f("ck_job_state"), "job", STATES)
        op.add_column("job", sa.Column("due", sa.Double))
        for name in COUNTS:
            op.add_column("job", sa.Column(name, sa.Integer, nullable=False, server_default="0"))
            op.alter_column("job", name, server_default=None)
    scheduled = sa.text("state = 'scheduled'")
    op.create_index("ix_job_due_id", "job", ["due", "id"], sqlite_where=scheduled, postgresql_where=scheduled)
    op.create_table(
        "shelf",
        sa.Column("job_id", sa.Text, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("job_id", name="pk_shelf"),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name="fk_shelf_job_id"),
    )


def _make_anew() -> None:
    """SQLite can't change a check. Both tables are made anew: `attempt` names `job`, and its foreign key moves along."""
    for table in ("attempt", "job"):
        op.rename_table(table, f"{table}_before")
    indexes = (["created", "id"], ["user_id", "created", "id"], ["state", "created", "id"])
    for columns in indexes:
        op.drop_index(f"ix_job_{'_'.join(columns)}")
    op.create_table(
        "job",
        sa.Column("id", sa.Text, nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in TEXTS),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("owner", sa.Text, nullable=False),
        *(sa.Column(name, sa.Double, nullable=False) for name in ("until", "created", "updated")),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("doubtful", sa.Integer, nullable=False),
        sa.Column("due", sa.Double),
        *(sa.Column(name, sa.Integer, nullable=False) for name in COUNTS),
        sa.PrimaryKeyConstraint("id", name="pk_job"),
        sa.CheckConstraint(STATES, name=op.f("ck_job_state")),
    )
    op.create_table(
        "attempt",
        sa.Column("job_id", sa.Text, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("started", sa.Double, nullable=False),
        sa.Column("finished", sa.Double),
        sa.Column("outcome", sa.Text),
        sa.Column("detail", sa.Text),
        sa.PrimaryKeyConstraint("job_id", "number", name="pk_attempt"),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name="fk_attempt_job_id"),
        sa.CheckConstraint("outcome IN ('sent', 'retry', 'dead', 'unknown')", name=op.f("ck_attempt_outcome")),
    )
    op.execute("INSERT INTO job SELECT *, NULL, 0, 0, 0 FROM job_before")
    op.execute("INSERT INTO attempt SELECT * FROM attempt_before")
    for table in ("attempt", "job"):
        op.drop_table(f"{table}_before")
    for columns in indexes:
        op.create_index(f"ix_job_{'_'.join(columns)}", "job", columns)
