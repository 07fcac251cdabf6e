"""The tables. A change here needs a migration in `store/migrations`; a test compares the two.

    activity    one row an event that was accepted: the queryable activity log
    job         one row a job: how far it is, and who holds its newest attempt until when
    attempt     one row an attempt at a job: who did it, and what came of it
    shelf       one row a job that waits here for its time, as it is then published
    switch      what people set while it runs: `pause`, the mailers' pause that stands until it is taken back
    dead_letter     one row a dead letter of either broker: where it came from, why, and what stands in it
    desk_action     one row for each thing that a person did with a dead letter

An event of the log that comes again after the sequencer forgot it has a position too; `repeats` is where it stood first.
Text that came from outside (`time`, `sequence`) stays text, as it came. Times of our own are Unix seconds.
"""

from collections.abc import Iterable
from typing import Final, get_args

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    text,
)

from activity.dead import Broker, LetterState
from activity.events import Verdict
from activity.jobs import JobState

OUTCOMES: Final = ("sent", "retry", "dead", "unknown")
"""What may stand in `attempt.outcome`: the tags of `activity.outcomes.Outcome`. Null: claimed, and not settled so far."""

metadata: Final = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)


def _one_of(column: str, values: Iterable[str]) -> CheckConstraint:
    listed = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({listed})", name=column)


_ONCE: Final = "repeats IS NULL"
_SCHEDULED: Final = "state = 'scheduled'"

activity: Final = Table(
    "activity",
    metadata,
    Column("user_id", Text, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("source", Text, nullable=False),
    Column("event_id", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("time", Text),
    Column("received", Text, nullable=False),
    Column("sequence", Text),
    Column("verdict", Text, nullable=False),
    Column("event", LargeBinary, nullable=False),
    Column("kafka_partition", Integer, nullable=False),
    Column("kafka_offset", BigInteger, nullable=False),
    Column("repeats", BigInteger),
    PrimaryKeyConstraint("user_id", "position"),
    CheckConstraint("position >= 1", name="position"),
    _one_of("verdict", get_args(Verdict)),
    Index(None, "user_id", "type", "position"),
    Index(None, "user_id", "source", "event_id", unique=True, sqlite_where=text(_ONCE), postgresql_where=text(_ONCE)),
)

job: Final = Table(
    "job",
    metadata,
    Column("id", Text, primary_key=True),
    Column("user_id", Text, nullable=False),
    Column("rule", Text, nullable=False),
    Column("class", Text, nullable=False),
    Column("task", Text, nullable=False),
    Column("template", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("event_id", Text, nullable=False),
    Column("recipient", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("owner", Text, nullable=False),
    Column("until", Double, nullable=False),
    Column("created", Double, nullable=False),
    Column("updated", Double, nullable=False),
    Column("reason", Text, nullable=False),
    Column("doubtful", Integer, nullable=False),
    Column("due", Double),
    Column("suspected", Integer, nullable=False),
    Column("abandoned", Integer, nullable=False),
    Column("repeats", Integer, nullable=False),
    _one_of("state", get_args(JobState)),
    Index(None, "created", "id"),
    Index(None, "user_id", "created", "id"),
    Index(None, "state", "created", "id"),
    Index(None, "due", "id", sqlite_where=text(_SCHEDULED), postgresql_where=text(_SCHEDULED)),
)

attempt: Final = Table(
    "attempt",
    metadata,
    Column("job_id", Text, ForeignKey("job.id"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("owner", Text, nullable=False),
    Column("started", Double, nullable=False),
    Column("finished", Double),
    Column("outcome", Text),
    Column("detail", Text),
    PrimaryKeyConstraint("job_id", "number"),
    _one_of("outcome", OUTCOMES),
)

shelf: Final = Table(
    "shelf",
    metadata,
    Column("job_id", Text, ForeignKey("job.id"), primary_key=True),
    Column("attempt", Integer, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("before", Integer, nullable=False, server_default="0"),
)

switch: Final = Table(
    "switch",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
    Column("changed", Double, nullable=False),
)

DESK_ACTIONS: Final = ("edited", "replayed", "discarded", "reopened")

dead_letter: Final = Table(
    "dead_letter",
    metadata,
    Column("id", Text, primary_key=True),
    Column("broker", Text, nullable=False),
    Column("origin", Text, nullable=False),
    Column("partition", Integer),
    Column("offset", BigInteger),
    Column("message_id", Text, nullable=False),
    Column("job", Text, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("reason", Text, nullable=False),
    Column("problem", Text, nullable=False),
    Column("user_id", Text, nullable=False),
    Column("key", LargeBinary),
    Column("headers", LargeBinary, nullable=False),
    Column("payload", LargeBinary),
    Column("first_seen", Double, nullable=False),
    Column("state", Text, nullable=False),
    Column("edited", LargeBinary),
    Column("changed", Double, nullable=False),
    _one_of("broker", get_args(Broker)),
    _one_of("state", get_args(LetterState)),
    Index(None, "state", "first_seen", "id"),
    Index(None, "reason", "origin", "state", "first_seen"),
    Index(None, "user_id", "first_seen", "id"),
)

desk_action: Final = Table(
    "desk_action",
    metadata,
    Column("letter_id", Text, ForeignKey("dead_letter.id"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("at", Double, nullable=False),
    Column("by", Text, nullable=False),
    Column("what", Text, nullable=False),
    Column("note", Text, nullable=False),
    PrimaryKeyConstraint("letter_id", "number"),
    _one_of("what", DESK_ACTIONS),
)
