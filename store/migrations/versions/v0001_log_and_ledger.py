"""The activity log and the send ledger."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Creates the tables."""
    op.create_table(
        "activity",
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("event_id", sa.Text, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("time", sa.Text),
        sa.Column("received", sa.Text, nullable=False),
        sa.Column("sequence", sa.Text),
        sa.Column("verdict", sa.Text, nullable=False),
        sa.Column("event", sa.LargeBinary, nullable=False),
        sa.Column("kafka_partition", sa.Integer, nullable=False),
        sa.Column("kafka_offset", sa.BigInteger, nullable=False),
        sa.Column("repeats", sa.BigInteger),
        sa.PrimaryKeyConstraint("user_id", "position", name="pk_activity"),
        sa.CheckConstraint("position >= 1", name=op.f("ck_activity_position")),
        sa.CheckConstraint("verdict IN ('logged', 'late')", name=op.f("ck_activity_verdict")),
    )
    op.create_index("ix_activity_user_id_type_position", "activity", ["user_id", "type", "position"])
    once = sa.text("repeats IS NULL")
    columns = ["user_id", "source", "event_id"]
    name = "ix_activity_user_id_source_event_id"
    op.create_index(name, "activity", columns, unique=True, sqlite_where=once, postgresql_where=once)
    _create_ledger()


def _create_ledger() -> None:
    states = "state IN ('sending', 'waiting', 'sent', 'dead', 'cancelled', 'unknown')"
    op.create_table(
        "job",
        sa.Column("id", sa.Text, nullable=False),
        *(
            sa.Column(name, sa.Text, nullable=False)
            for name in ("user_id", "rule", "class", "task", "template", "source", "event_id", "recipient", "state")
        ),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("until", sa.Double, nullable=False),
        sa.Column("created", sa.Double, nullable=False),
        sa.Column("updated", sa.Double, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("doubtful", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_job"),
        sa.CheckConstraint(states, name=op.f("ck_job_state")),
    )
    for columns in (["created", "id"], ["user_id", "created", "id"], ["state", "created", "id"]):
        op.create_index(f"ix_job_{'_'.join(columns)}", "job", columns)
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
