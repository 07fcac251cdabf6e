"""`activity.log` → RabbitMQ: the events that a rule names become jobs."""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from activity import names
from activity.chunk import Chunk, Record
from activity.events import Refused, decode_log
from activity.jobs import Job
from activity.rules import Rules
from activity.sequencing import Step, dead_letter
from agents.patience import patiently
from rabbit.failpoints import failpoint


class Jobs(Protocol):
    """Where jobs are handed over."""

    async def publish(self, jobs: Sequence[Job]) -> None:
        """Returns once every job is safe with the broker; waits as long as that takes."""


class Outputs(Protocol):
    """Where records go from which a rule can't make its job."""

    async def deliver(self, chunk: Chunk, step: Step) -> None:
        """Returns once Kafka has confirmed all, and waits when it is away."""


async def notifier(chunk: Chunk, *, rules: Rules, jobs: Jobs, outputs: Outputs) -> None:
    """Publish a chunk's jobs, confirmed, then let its offsets go. A repeat makes the same jobs, which are recognised by id."""
    failpoint("notifier.taken")
    made: list[Job] = []
    step = Step()
    for record in chunk:
        of_record, refused = read_jobs(record, rules)
        made += of_record
        step.dead += [dead_letter(chunk, record, why) for why in refused]
    if step.dead:
        await outputs.deliver(chunk, step)
    if made:
        await patiently(lambda: jobs.publish(made), chunk, "RabbitMQ", ())
    failpoint("notifier.published")
    chunk.done()
    failpoint("notifier.done")


def read_jobs(record: Record, rules: Rules) -> tuple[list[Job], list[Refused]]:
    """The jobs that a record of `activity.log` leads to, and why a rule that matches could not make one."""
    if record.value is None:
        return [], [Refused("null-value", f"a record of {names.LOG} without a value")]
    try:
        return rules.jobs(decode_log(record.value))
    except msgspec.DecodeError as error:
        return [], [Refused("bad-log-record", str(error))]
