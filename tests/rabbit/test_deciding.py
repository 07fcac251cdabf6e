"""What a person decides of a mail that is unknown: that it arrived, or another round, made again from its event."""

from activity.errors import RuleError
from activity.jobs import Job, decode_job
from activity.outcomes import Retry, Sent, Unknown
from activity.rules import Rules
from rabbit.deciding import MISSING, Deciding
from tests.console.worlds import RULES, World
from tests.store.fakes import MemoryLedger


async def unknown(world: World) -> Job:
    """A mail of which nobody knows whether it was sent, under `hold`."""
    world.ledger = MemoryLedger("hold")
    return await world.attempted(await world.logged(1), Unknown("lost"))


def deciding(world: World, rules: Rules = RULES) -> Deciding:
    return Deciding(world.ledger, world.log, world.ledger, lambda: rules, now=lambda: 50.0)


async def state(world: World, job: Job) -> str:
    found = await world.ledger.job(job.id)
    assert found is not None
    return found.job.state


async def test_one_that_arrived_is_sent_and_stays_so() -> None:
    world = World()
    job = await unknown(world)
    assert await deciding(world).decide(job.id, "arrived", "ann", "in the log") is None
    attempts = await world.ledger.attempts(job.id)
    assert [one.outcome for one in attempts] == [Unknown("lost"), Sent("ann says that it arrived: in the log")]
    for verdict in ("arrived", "again"):
        assert await deciding(world).decide(job.id, verdict, "bob", "") == "it is sent"
    assert await state(world, job) == "sent"


async def test_one_that_is_sent_again_is_the_same_mail_in_another_round() -> None:
    world = World()
    job = await unknown(world)
    assert await deciding(world).decide(job.id, "again", "ann", "") is None
    attempts = await world.ledger.attempts(job.id)
    assert attempts[-1].outcome == Retry("ann has it sent again")
    (due,) = await world.ledger.take("scheduler", 100.0, 51.0, 10)
    assert (decode_job(due.body), due.attempt, due.before) == (job, 3, 2)
    assert await deciding(world).decide(job.id, "again", "bob", "") == "it is scheduled"


async def test_what_cant_be_made_again_stays_unknown_and_says_why() -> None:
    world = World()
    job = await unknown(world)

    def wrong() -> Rules:
        raise RuleError("rules.toml", "is no TOML")

    others = Deciding(world.ledger, World().log, world.ledger, lambda: RULES)
    broken = Deciding(world.ledger, world.log, world.ledger, wrong)
    assert await others.decide(job.id, "again", "ann", "") == "its event is not in the log, so the mail can't be made again"
    assert await broken.decide(job.id, "again", "ann", "") == "rules.toml: is no TOML"
    gone = await deciding(world, Rules([])).decide(job.id, "again", "ann", "")
    assert gone == "rule welcome makes no mail of its event any more"
    assert await deciding(world).decide("nothing", "arrived", "ann", "") == MISSING
    assert await state(world, job) == "unknown"
