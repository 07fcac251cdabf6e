"""Jobs that wait for their time, are moved, or are cancelled: what `store.interfaces` promises, on each store."""

import asyncio

import pytest

from activity.claims import Busy, Go, Later, Over
from activity.jobs import decode_job, encode_job
from activity.outcomes import Dead, Outcome, Retry, Sent, Unknown
from store.ledger import LEASE_OVER
from store.opening import Store
from store.schedule import Due
from tests.store.asking import ask, row, settle, timed, wish
from tests.store.conftest import Kept, MakeLedger
from tests.store.orders import job

RETRY = Retry("451 later")


# -- the time ----------------------------------------------------------------------------------------------------------


async def test_a_job_that_is_not_due_is_kept_until_it_is(kept: Kept) -> None:
    ledger, listed, schedule = kept
    assert await ledger.claim([wish(timed())], 10.0) == [Later(100.0)]
    found = await row(kept)
    assert (found.state, found.attempt, found.due, found.created, found.until) == ("scheduled", 0, 100.0, 10.0, 0.0)
    assert await listed.attempts("j-1") == []
    assert await schedule.take("s", 160.0, 99.9, 10) == []
    (due,) = await schedule.take("s", 160.0, 100.0, 10)
    assert (due.id, due.attempt) == ("j-1", 1)
    assert decode_job(due.body) == timed()
    assert due.body == encode_job(timed())
    assert await schedule.published(["j-1"], "s", 101.0) == ["j-1"]
    assert (await row(kept)).state == "waiting"
    assert await ledger.claim([wish(timed())], 102.0) == [Go(1)]
    assert await settle(kept, timed(), Sent(), 103.0)
    assert (await row(kept)).due == 100.0


async def test_a_message_that_comes_again_changes_nothing(kept: Kept) -> None:
    ledger, _, schedule = kept
    assert await ledger.claim([wish(timed(), "a"), wish(timed(), "b")], 10.0) == [Later(100.0)] * 2
    assert await ledger.move("j-1", 50.0, 11.0) is None
    assert await ledger.claim([wish(timed(), "c")], 12.0) == [Later(50.0)]
    assert len(await schedule.take("s", 110.0, 50.0, 10)) == 1
    assert await schedule.published(["j-1"], "s", 51.0) == ["j-1"]
    # The message still says that it is not due. The ledger knows better.
    assert await ask(kept, timed(), 52.0) == Go(1)
    assert await ledger.claim([wish(timed(), "d")], 52.0) == [Go(1)]
    assert await ledger.claim([wish(timed(), "e")], 53.0) == [Busy(60.0)]


async def test_what_one_has_taken_no_other_gets_before_the_lease_is_over(kept: Kept) -> None:
    ledger, _, schedule = kept
    await ledger.claim([wish(timed(f"j-{number}", 100.0 + number)) for number in range(5)], 10.0)
    assert [due.id for due in await schedule.take("a", 260.0, 200.0, 2)] == ["j-0", "j-1"]
    assert [due.id for due in await schedule.take("b", 270.0, 201.0, 10)] == ["j-2", "j-3", "j-4"]
    assert await schedule.take("c", 280.0, 202.0, 10) == []
    # a dies before it says so; b does not.
    assert await schedule.published(["j-2", "j-3", "j-4"], "b", 203.0) == ["j-2", "j-3", "j-4"]
    assert [due.id for due in await schedule.take("c", 320.0, 260.0, 10)] == ["j-0", "j-1"]
    # a was only slow.
    assert await schedule.published(["j-0", "j-1"], "a", 261.0) == []
    assert await schedule.published(["j-0", "j-1"], "c", 262.0) == ["j-0", "j-1"]
    assert await schedule.published([], "c", 263.0) == []
    assert await schedule.take("d", 999.0, 900.0, 10) == []


async def test_a_message_that_is_faster_than_who_published_it(kept: Kept) -> None:
    ledger, _, schedule = kept
    await ledger.claim([wish(timed())], 10.0)
    await schedule.take("s", 160.0, 100.0, 10)
    assert await ledger.claim([wish(timed(), "a", until=150.0)], 100.5) == [Go(1)]
    assert await schedule.published(["j-1"], "s", 101.0) == []
    assert await settle(kept, timed(), RETRY, 102.0)
    assert (await row(kept)).state == "waiting"
    assert await schedule.take("t", 999.0, 900.0, 10) == []


async def test_an_attempt_that_failed_before_its_claim_waits_for_its_time_too(kept: Kept) -> None:
    ledger, _, schedule = kept
    await ledger.claim([wish(timed())], 10.0)
    assert not await settle(kept, timed(), RETRY, 20.0)
    await schedule.take("s", 160.0, 100.0, 10)
    assert not await settle(kept, timed(), RETRY, 100.5)  # then it asks what is left to do
    assert await ledger.claim([wish(timed(), "a")], 100.5) == [Go(1)]
    assert await settle(kept, timed(), RETRY, 101.0)


# -- moving ------------------------------------------------------------------------------------------------------------


async def test_a_job_can_be_moved_while_it_waits(kept: Kept) -> None:
    ledger, _, schedule = kept
    assert await ledger.move("j-1", 50.0, 1.0) == "the ledger has not heard of it"
    await ledger.claim([wish(timed())], 10.0)
    assert await ledger.move("j-1", 50.0, 11.0) is None
    assert (await row(kept)).due == 50.0
    assert len(await schedule.take("s", 110.0, 50.0, 10)) == 1
    # Somebody moves it while it is being published: the message has to wait, and who published it has it no more.
    assert await ledger.move("j-1", 500.0, 51.0) is None
    assert await schedule.published(["j-1"], "s", 52.0) == []
    assert await ledger.claim([wish(timed())], 53.0) == [Later(500.0)]
    assert await schedule.take("s", 900.0, 499.0, 10) == []
    (due,) = await schedule.take("s", 900.0, 500.0, 10)
    assert due == Due("j-1", 1, encode_job(timed()), "bulk", "welcome", "u-1")


async def test_a_job_that_waits_for_its_next_attempt_can_be_moved(kept: Kept) -> None:
    ledger, _, schedule = kept
    one = job()
    assert await ledger.claim([wish(one)], 10.0) == [Go(1)]
    assert await ledger.move("j-1", 500.0, 10.5) == "it is being sent"
    assert await settle(kept, one, RETRY, 11.0)
    assert await ledger.move("j-1", 500.0, 12.0) is None
    # Its message is on a delay queue: there is nothing to publish until that comes.
    assert await schedule.take("s", 900.0, 501.0, 10) == []
    assert await ledger.claim([wish(one, "b", 2)], 14.0) == [Later(500.0)]
    assert [(due.id, due.attempt) for due in await schedule.take("s", 900.0, 501.0, 10)] == [("j-1", 2)]
    assert await schedule.published(["j-1"], "s", 502.0) == ["j-1"]
    assert await ledger.claim([wish(one, "c", 2)], 503.0) == [Go(2)]
    assert await settle(kept, one, Sent(), 504.0, "c", 2)
    assert await ledger.move("j-1", 900.0, 505.0) == "it has ended: sent"


# -- cancelling --------------------------------------------------------------------------------------------------------


async def test_a_scheduled_job_can_be_cancelled(kept: Kept) -> None:
    ledger, _, schedule = kept
    await ledger.claim([wish(timed())], 10.0)
    await schedule.take("s", 160.0, 100.0, 10)
    assert await ledger.cancel("j-1", 101.0) is None
    assert await schedule.published(["j-1"], "s", 102.0) == []
    assert await schedule.take("t", 999.0, 900.0, 10) == []
    assert await ledger.claim([wish(timed())], 103.0) == [Over("cancelled")]
    assert await ledger.cancel("j-1", 104.0) is None
    found = await row(kept)
    assert (found.state, found.due, found.updated) == ("cancelled", 100.0, 101.0)


async def test_a_job_that_waits_for_its_next_attempt_can_be_cancelled(kept: Kept) -> None:
    ledger, _, _ = kept
    await ledger.claim([wish(job())], 10.0)
    assert await ledger.cancel("j-1", 11.0) == "it is being sent"
    await settle(kept, job(), RETRY, 12.0)
    assert await ledger.cancel("j-1", 13.0) is None
    assert await ledger.claim([wish(job(), "b", 2)], 14.0) == [Over("cancelled")]
    assert not await settle(kept, job(), Dead("refused"), 15.0, "b", 2)
    assert await ledger.move("j-1", 99.0, 16.0) == "it has ended: cancelled"


async def test_a_job_can_be_cancelled_before_the_ledger_has_heard_of_it(kept: Kept) -> None:
    ledger, listed, _ = kept
    assert await ledger.cancel("j-1", 10.0) is None
    found = await row(kept)
    assert (found.state, found.attempt, found.user_id, found.rule, found.created) == ("cancelled", 0, "", "", 10.0)
    assert await ledger.claim([wish(job())], 20.0) == [Over("cancelled")]
    found = await row(kept)
    assert (found.state, found.user_id, found.rule, found.recipient, found.event_id) == (
        "cancelled", "u-1", "welcome", "ada@shop.example", "e-of-j-1",
    )  # fmt: skip
    assert (found.created, found.updated) == (10.0, 10.0)
    assert await listed.attempts("j-1") == []
    assert not await settle(kept, job(), Sent(), 21.0)


async def test_a_claim_in_doubt_can_be_cancelled_and_stays_in_doubt(kept: Kept) -> None:
    ledger, listed, _ = kept
    await ledger.claim([wish(job(), until=60.0)], 10.0)
    assert await ledger.cancel("j-1", 59.0) == "it is being sent"
    assert await ledger.cancel("j-1", 60.0) is None
    found = await row(kept)
    assert (found.state, found.doubtful, found.reason) == ("cancelled", 1, LEASE_OVER)
    assert [made.outcome for made in await listed.attempts("j-1")] == [Unknown(LEASE_OVER)]
    assert not await settle(kept, job(), Sent(), 61.0)


@pytest.mark.parametrize("outcome", [Sent(), Dead("refused", "550")])
async def test_what_has_ended_can_not_be_cancelled(kept: Kept, outcome: Outcome) -> None:
    await kept[0].claim([wish(job())], 10.0)
    await settle(kept, job(), outcome, 11.0)
    before = await row(kept)
    assert await kept[0].cancel("j-1", 12.0) == f"it has ended: {before.state}"
    assert await row(kept) == before


# -- looking, and several at once --------------------------------------------------------------------------------------


async def test_scheduled_jobs_are_listed_the_next_one_first(kept: Kept) -> None:
    ledger, listed, _ = kept
    for id, at, user in (("j-1", 300.0, "u-1"), ("j-2", 100.0, "u-2"), ("j-3", 200.0, "u-1"), ("j-4", 100.0, "u-1")):
        await ledger.claim([wish(timed(id, at, user))], 10.0)
    await ledger.claim([wish(job("j-5"))], 10.0)
    assert [found.id for found in await listed.scheduled()] == ["j-2", "j-4", "j-3", "j-1"]
    assert [found.id for found in await listed.scheduled(limit=2, after="j-2")] == ["j-4", "j-3"]
    assert [found.id for found in await listed.scheduled(user="u-1", limit=2)] == ["j-4", "j-3"]
    assert [found.id for found in await listed.jobs(state="scheduled", limit=1)] == ["j-4"]
    assert (await listed.counts())["scheduled"] == 4


async def test_held_jobs_wait_for_their_time_as_well(make_ledger: MakeLedger) -> None:
    ledger, _ = make_ledger("hold")
    assert await ledger.claim([wish(timed())], 10.0) == [Later(100.0)]
    assert await ledger.claim([wish(timed(), until=150.0)], 100.0) == [Go(1)]
    assert await ledger.claim([wish(timed(), "b")], 150.0) == [Over("unknown")]


async def test_what_waits_for_its_time_has_not_ended(store: Store) -> None:
    ledger = store.ledger("resend")
    await ledger.claim([wish(timed())], 10.0)
    assert await store.jobs.outcomes(["j-1"]) == {}
    await ledger.cancel("j-1", 20.0)
    assert await store.jobs.outcomes(["j-1"]) == {"j-1": ("cancelled", 0, None)}


async def test_several_that_take_at_once_get_each_job_once(store: Store) -> None:
    ledger = store.ledger("resend")
    await ledger.claim([wish(timed(f"j-{number}")) for number in range(300)], 10.0)
    got: list[str] = []

    async def publish(owner: str) -> None:
        while found := await store.schedule.take(owner, 260.0, 200.0, 20):
            got.extend(due.id for due in found)
            ids = [due.id for due in found]
            assert await store.schedule.published(ids, owner, 201.0) == sorted(ids)

    async def claim() -> None:
        for number in range(0, 300, 10):
            await ledger.claim([wish(timed(f"j-{n}"), "w", until=900.0) for n in range(number, number + 10)], 150.0)

    await asyncio.gather(publish("a"), publish("b"), publish("c"))
    await asyncio.gather(*(publish(owner) for owner in "abc"), claim())
    assert len(got) == 300
    assert len(set(got)) == 300
    assert (await store.jobs.counts())["sending"] == 300
