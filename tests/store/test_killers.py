"""Messages of jobs that have ended, and jobs that kill who does them: what `store.interfaces` promises, on each store."""

from activity.claims import KILLS_WORKER, Again, Busy, Go
from activity.outcomes import Dead, Retry, Sent, Unknown
from store.ledger import LEASE_OVER, Settlement
from tests.store.asking import ask, row, settle, wish
from tests.store.conftest import Kept
from tests.store.orders import job

RETRY = Retry("451 later")


async def test_messages_of_a_job_that_has_ended_are_counted(kept: Kept) -> None:
    ledger, _, _ = kept
    await ledger.claim([wish(job()), wish(job("j-2"))], 10.0)
    await ledger.settle([Settlement(job(), 1, "a", 5.0, Sent()), Settlement(job("j-2"), 1, "a", 5.0, Dead("no"))], 11.0)
    assert (await row(kept)).repeats == 0
    await ledger.claim([wish(job(), "b"), wish(job(), "c"), wish(job("j-2"), "d")], 12.0)
    found = await row(kept)
    assert (found.repeats, found.updated) == (2, 11.0)
    assert (await row(kept, "j-2")).repeats == 1


async def test_a_job_that_kills_before_its_claim_is_dead_after_three_times(kept: Kept) -> None:
    """The first time nobody knew; then each that begins it says so."""
    ledger, listed, _ = kept
    for begun in (1, 2):
        assert await ask(kept, job(), 10.0 * begun, f"o{begun}", suspect=True) == Go(1)
        assert ((await row(kept)).suspected, (await row(kept)).state) == (begun, "waiting")
    got = await ask(kept, job(), 30.0, "o3", suspect=True)
    assert isinstance(got, Again)
    assert isinstance(got.outcome, Dead)
    assert (got.outcome.reason, got.attempt) == (KILLS_WORKER, 1)
    found = await row(kept)
    assert (found.state, found.reason, found.attempt) == ("dead", KILLS_WORKER, 1)
    assert [(made.number, made.outcome) for made in await listed.attempts("j-1")] == [(1, got.outcome)]
    assert await ledger.claim([wish(job(), "z")], 31.0) == [got]


async def test_a_job_that_kills_after_its_claim_is_dead_after_three_times(kept: Kept) -> None:
    ledger, listed, _ = kept
    for number in (1, 2, 3):
        now = 100.0 * number
        if number > 1:
            assert await ask(kept, job(), now - 40.0, "x", suspect=True) == Busy(now - 30.0)
        assert await ledger.claim([wish(job(), f"o{number}", until=now + 70.0)], now) == [Go(number, doubt=number > 1)]
    (got,) = await ledger.claim([wish(job(), "o4", until=999.0)], 500.0)
    assert isinstance(got, Again)
    assert isinstance(got.outcome, Dead)
    assert got.outcome.reason == KILLS_WORKER
    found = await row(kept)
    assert (found.state, found.reason, found.doubtful) == ("dead", KILLS_WORKER, 3)
    assert [made.outcome for made in await listed.attempts("j-1")] == [Unknown(LEASE_OVER), Unknown(LEASE_OVER), got.outcome]


async def test_a_word_from_its_worker_clears_a_job(kept: Kept) -> None:
    ledger, _, _ = kept
    for number in (1, 2, 3, 4, 5):
        now = 100.0 * number
        assert await ask(kept, job(), now, f"o{number}", suspect=True, attempt=number) == Go(number)
        assert await ask(kept, job(), now + 1, f"p{number}", suspect=True, attempt=number) == Go(number)
        assert await ledger.claim([wish(job(), f"p{number}", number, now + 50)], now + 2) == [Go(number)]
        assert (await row(kept)).suspected == 0
        assert await settle(kept, job(), RETRY, now + 3, f"p{number}", number)
    assert (await row(kept)).abandoned == 0


async def test_who_comes_out_of_it_without_a_claim_clears_a_job_and_leaves_no_trace(kept: Kept) -> None:
    """The far end was away, however often: that is neither an attempt nor a death."""
    _, listed, _ = kept
    away = Retry("away", burn=False)
    assert await settle(kept, job("j-2"), away, 5.0), "also if the ledger has not heard of it"
    for number in range(4):
        assert await ask(kept, job(), 10.0 * number, f"o{number}", suspect=True) == Go(1)
        assert (await row(kept)).suspected == 1
        assert await settle(kept, job(), away, 10.0 * number + 1, f"o{number}")
        assert ((await row(kept)).suspected, (await row(kept)).state) == (0, "waiting")
    assert await listed.attempts("j-1") == []
    assert await kept[0].claim([wish(job(), "b")], 50.0) == [Go(1)]
    assert await settle(kept, job(), away, 51.0, "b")
    assert (await row(kept)).state == "sending", "a claim is settled by what counts"


async def test_asking_takes_nothing(kept: Kept) -> None:
    ledger, listed, _ = kept
    assert await ask(kept, job(), 10.0) == Go(1)
    assert await ask(kept, job(), 10.0, "b") == Go(1)
    assert await listed.attempts("j-1") == []
    assert await ledger.claim([wish(job(), "c")], 11.0) == [Go(1)]
    assert await ask(kept, job(), 12.0, "d", suspect=True) == Busy(60.0)
    assert (await row(kept)).suspected == 0
