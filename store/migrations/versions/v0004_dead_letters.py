"""The dead-letter desk, and the attempts of a replayed job that count no more."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Creates the tables, and adds to the shelf."""
    op.add_column("shelf", sa.Column("before", sa.Integer, nullable=False, server_default="0"))
    op.create_table(
        "dead_letter",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("broker", sa.Text, nullable=False),
        sa.Column("origin", sa.Text, nullable=False),
        sa.Column("partition", sa.Integer),
        sa.Column("offset", sa.BigInteger),
        sa.Column("message_id", sa.Text, nullable=False),
        sa.Column("job", sa.Text, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("reason", "problem", "user_id")),
        sa.Column("key", sa.LargeBinary),
        sa.Column("headers", sa.LargeBinary, nullable=False),
        sa.Column("payload", sa.LargeBinary),
        sa.Column("first_seen", sa.Double, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("edited", sa.LargeBinary),
        sa.Column("changed", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_dead_letter"),
        sa.CheckConstraint("broker IN ('kafka', 'rabbitmq')", name=op.f("ck_dead_letter_broker")),
        sa.CheckConstraint("state IN ('open', 'replayed', 'discarded')", name=op.f("ck_dead_letter_state")),
    )
    for columns in (
        ["state", "first_seen", "id"],
        ["reason", "origin", "state", "first_seen"],
        ["user_id", "first_seen", "id"],
    ):
        op.create_index(f"ix_dead_letter_{'_'.join(columns)}", "dead_letter", columns)
    op.create_table(
        "desk_action",
        sa.Column("letter_id", sa.Text, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("by", "what", "note")),
        sa.PrimaryKeyConstraint("letter_id", "number", name="pk_desk_action"),
        sa.ForeignKeyConstraint(["letter_id"], ["dead_letter.id"], name="fk_desk_action_letter_id"),
        sa.CheckConstraint("what IN ('edited', 'replayed', 'discarded', 'reopened')", name=op.f("ck_desk_action_what")),
    )
