"""History read again, on the store in memory: what is found, what is done, and that doing it again does nothing."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest

from activity import names
from activity.chunk import Chunk
from activity.claims import Claim
from activity.events import log_value
from activity.jobs import Job
from activity.rules import Rules, parse_rules
from agents.archiver import archiver
from agents.replay import LOST, Survey, hold, publish, restore
from store.together import Together
from tests.activity.examples import Record, value
from tests.agents.fakes import Diary, FakeJobs, FakeOutputs
from tests.agents.test_notifier import field
from tests.store.fakes import MemoryLedger, MemoryLog

RULE = '[[rule]]\nname = "{name}"\non = "{on}"\nto = "email"\nclass = "bulk"\nunsubscribe = "none"\ntemplate = "t"\n'


def rules(**on: str) -> Rules:
    text = "".join(RULE.format(name=name, on=glob) for name, glob in on.items())
    return parse_rules(text, "rules.toml", field, ["t"])


def record(position: int, *, type: str = "user.signed_up", id: str | None = None, **data: Any) -> Record:
    event = value(id=id or f"e-{position}", type=type, data=data or {"email": "ann@shop.example"})
    return Record(b"u-1", log_value(event, position, "logged", 0.0), offset=100 + position)


def chunk(*records: Record) -> Chunk:
    return Chunk(names.LOG, 3, records)


class World:
    """A store with its ledger, and what was published."""

    def __init__(self) -> None:
        self.log, self.ledger, self.jobs = MemoryLog(), MemoryLedger("resend"), FakeJobs(Diary())

    async def archived(self, *records: Record) -> None:
        await archiver(chunk(*records), store=Together(self.log.append), outputs=FakeOutputs(Diary()))

    async def begun(self, jobs: Sequence[Job]) -> None:
        await self.ledger.claim([Claim(job, 1, "me", 60.0) for job in jobs], 1.0)

    async def survey(self, rules: Rules, *chunks: Chunk, limit: int = 100) -> Survey:
        survey = Survey(self.log, self.ledger, rules, limit=limit)
        for one in chunks:
            await survey.take(one)
        return survey

    async def do(self, rules: Rules, *chunks: Chunk, send_unknown: bool = False) -> tuple[int, int, int]:
        """As `chopar.passes` does it: how many were held, published, restored."""
        survey, done = await self.survey(rules, *chunks), set[int]()
        held = published = restored = 0
        if survey.fates(send_unknown=send_unknown)["hold"]:
            for one in chunks:
                held += await hold(one, rules=rules, ledger=self.ledger, listed=self.ledger, now=5.0)
        for one in chunks:
            published += await publish(one, rules=rules, listed=self.ledger, jobs=self.jobs, done=done, send_unknown=send_unknown)
        for one in chunks:
            restored += await restore(one, log=self.log)
        return held, published, restored


async def test_a_new_rule_makes_its_jobs_of_the_past_and_those_that_were_begun_are_passed_over() -> None:
    world, history = World(), chunk(record(1), record(2, type="order.placed"))
    await world.archived(*history)
    assert await world.do(rules(welcome="user.*"), history) == (0, 1, 0)
    await world.begun(world.jobs.jobs)
    survey = await world.survey(rules(welcome="user.*", order="order.*"), history)
    assert survey.rules() == {"welcome": {"known": 1}, "order": {"publish": 1}}
    [change] = survey.changes()
    assert (change.what, change.rule, change.user, change.position) == ("publish", "order", "u-1", 2)
    assert (change.partition, change.offset, change.type) == (3, 102, "order.placed")
    assert await world.do(rules(welcome="user.*", order="order.*"), history) == (0, 1, 0)
    assert [job.rule for job in world.jobs.jobs] == ["welcome", "order"]


async def test_a_lost_row_comes_back_and_its_job_is_held_for_good() -> None:
    world, history = World(), chunk(record(1), record(2))
    survey = await world.survey(rules(welcome="user.*"), history)
    assert (survey.missing, survey.store_lost, survey.fates()) == (2, True, {"hold": 2})
    assert Counter(change.what for change in survey.changes()) == {"restore": 2, "hold": 2}
    assert await world.log.count() == 0
    assert await world.ledger.jobs() == []
    assert await world.do(rules(welcome="user.*"), history) == (2, 0, 2)
    assert {(row.state, row.reason) for row in await world.ledger.jobs()} == {("unknown", LOST)}
    assert await world.do(rules(welcome="user.*"), history) == (0, 0, 0)
    assert world.jobs.jobs == []


async def test_where_one_row_is_lost_no_job_of_the_range_is_sure() -> None:
    """A backup may have the event and not the job: it was published before, and begun after the backup."""
    world, history = World(), [chunk(record(1)), chunk(record(2, type="page.viewed"))]
    await world.archived(record(1))
    assert await world.do(rules(welcome="user.*"), *history) == (1, 0, 1)
    assert world.jobs.jobs == []


async def test_a_rule_that_is_new_after_the_loss_is_sure() -> None:
    world, history = World(), chunk(record(1))
    await world.do(rules(), history)
    assert await world.do(rules(welcome="user.*"), history) == (0, 1, 0)


async def test_a_person_may_send_what_was_held_and_only_that() -> None:
    world, history = World(), chunk(record(1), record(2))
    await world.do(rules(welcome="user.*"), history)
    survey = await world.survey(rules(welcome="user.*"), history)
    assert (survey.fates(), survey.fates(send_unknown=True)) == ({"known": 2}, {"publish": 2})
    assert await world.do(rules(welcome="user.*"), history, send_unknown=True) == (0, 2, 0)
    await world.begun(world.jobs.jobs)
    assert await world.do(rules(welcome="user.*"), history, send_unknown=True) == (0, 0, 0)


async def test_a_person_may_send_at_once_what_would_be_held() -> None:
    world, history = World(), chunk(record(1))
    assert await world.do(rules(welcome="user.*"), history, send_unknown=True) == (0, 1, 1)


async def test_what_stands_twice_counts_once() -> None:
    world, once = World(), [chunk(record(1), record(1)), chunk(record(1))]
    await world.archived(record(7, type="page.viewed"))
    survey = await world.survey(rules(welcome="user.*"), *once)
    assert (survey.records, survey.missing, survey.fates().total()) == (3, 1, 1)
    assert await world.do(rules(welcome="user.*"), *once, send_unknown=True) == (0, 1, 1)


async def test_what_can_not_be_replayed_is_told_and_holds_nobody_up() -> None:
    world = World()
    await world.archived(record(1, id="other"), record(2))
    history = chunk(record(1), record(2), record(3, nothing=1), Record(b"k", b"junk"), Record(b"k", None))
    survey = await world.survey(rules(welcome="user.*"), history)
    assert (survey.conflicts, survey.missing, survey.unreadable, survey.refused) == (1, 1, 2, 1)
    problems = {change.what: change.problem for change in survey.changes()}
    assert "another event's" in problems["conflict"]
    assert problems["refused"] == "rule welcome: data.email is missing"
    assert problems["unreadable"]
    assert await world.do(rules(welcome="user.*"), history) == (2, 0, 1)


async def test_what_was_not_wished_for_takes_no_place_in_the_list() -> None:
    survey = await World().survey(rules(welcome="user.*"), chunk(*(record(n) for n in range(1, 11))), limit=3)
    assert [(change.what, change.position) for change in survey.changes(without=("restore",))] == [("hold", n) for n in (1, 2, 3)]
    assert [(change.what, change.position) for change in survey.changes(without=("hold",))] == [("restore", n) for n in (1, 2, 3)]


@pytest.mark.parametrize("limit", [0, 3])
async def test_the_list_is_as_long_as_it_may_be_and_the_counts_are_whole(limit: int) -> None:
    survey = await World().survey(rules(welcome="user.*"), chunk(*(record(n) for n in range(1, 11))), limit=limit)
    assert (survey.missing, survey.fates()["hold"], len(survey.changes())) == (10, 10, limit)
