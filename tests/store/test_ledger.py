"""What `store.interfaces.Claims` and `JobList` promise, on the fake, SQLite and Postgres."""

import pytest
from msgspec.structs import replace

from activity.claims import Again, Busy, Claim, Go, Later, Over
from activity.jobs import Job
from activity.ledger import AttemptRow, JobRow
from activity.outcomes import Dead, Outcome, Retry, Sent, Unknown
from activity.replay import Known
from store.ledger import LEASE_OVER, Settlement
from tests.store.conftest import MakeLedger
from tests.store.orders import job

SENT, RETRY, DEAD, UNKNOWN = Sent("250 ok"), Retry("451 later", 7.5), Dead("no-such-user", "550 who?"), Unknown("lost")


def wish(owner: str, attempt: int = 1, until: float = 60.0, of: Job | None = None) -> Claim:
    return Claim(of or job(), attempt, owner, until)


def result(owner: str, outcome: Outcome, attempt: int = 1, of: Job | None = None) -> Settlement:
    return Settlement(of or job(), attempt, owner, 5.0, outcome)


async def test_a_claim_and_its_end(make_ledger: MakeLedger) -> None:
    ledger, listed = make_ledger("resend")
    assert await ledger.claim([wish("a")], 10.0) == [Go(1)]
    sending = JobRow(
        id="j-1",
        user_id="u-1",
        rule="welcome",
        job_class="bulk",
        task="email",
        template="hello",
        source="/shop",
        event_id="e-of-j-1",
        recipient="ada@shop.example",
        state="sending",
        attempt=1,
        owner="a",
        until=60.0,
        created=10.0,
        updated=10.0,
        reason="",
        doubtful=0,
    )
    found = await listed.job("j-1")
    assert found is not None
    assert found.job == sending
    assert found.attempts == [AttemptRow("j-1", 1, "a", 10.0, None, None)]
    assert await ledger.settle([result("a", SENT)], 12.0) == [True]
    found = await listed.job("j-1")
    assert found is not None
    assert found.job == replace(sending, state="sent", until=0.0, updated=12.0)
    assert found.attempts == [AttemptRow("j-1", 1, "a", 10.0, 12.0, SENT)]
    assert await ledger.claim([wish("b"), wish("b", 2)], 20.0) == [Over("sent"), Over("sent")]
    assert await listed.job("j-2") is None
    assert await ledger.claim([], 1.0) == []
    assert await ledger.settle([], 1.0) == []


async def test_what_is_done_is_settled_before_what_is_next_is_claimed(make_ledger: MakeLedger) -> None:
    ledger, listed = make_ledger("resend")
    assert await ledger.turn([], [wish("a")], 10.0) == ([], [Go(1)])
    claims = [wish("b"), wish("b", of=job("j-2"))]
    assert await ledger.turn([result("a", SENT), result("z", SENT)], claims, 11.0) == ([True, False], [Over("sent"), Go(1)])
    found = [await listed.job(id) for id in ("j-1", "j-2")]
    assert [one and (one.job.state, one.job.owner) for one in found] == [("sent", "a"), ("sending", "b")]
    assert await ledger.turn([], [], 12.0) == ([], [])


async def test_claims_for_one_job_are_decided_one_after_the_other(make_ledger: MakeLedger) -> None:
    ledger, _ = make_ledger("resend")
    assert await ledger.claim([wish("a"), wish("b"), wish("c", of=job("j-2"))], 10.0) == [Go(1), Busy(60.0), Go(1)]
    settlements = [result("a", RETRY), result("a", SENT), result("c", SENT, of=job("j-2"))]
    assert await ledger.settle(settlements, 11.0) == [True, False, True]


async def test_a_claim_made_again_by_its_owner_is_the_same_claim(make_ledger: MakeLedger) -> None:
    ledger, listed = make_ledger("hold")
    assert await ledger.claim([wish("a")], 10.0) == [Go(1)]
    assert await ledger.claim([wish("a", until=90.0)], 40.0) == [Go(1)]
    assert await ledger.claim([wish("b")], 70.0) == [Busy(90.0)]
    assert await listed.attempts("j-1") == [AttemptRow("j-1", 1, "a", 10.0, None, None)]


@pytest.mark.parametrize(("outcome", "state"), [(RETRY, "waiting"), (UNKNOWN, "waiting"), (DEAD, "dead")])
async def test_what_followed_is_told_again(make_ledger: MakeLedger, outcome: Retry | Dead | Unknown, state: str) -> None:
    ledger, listed = make_ledger("resend")
    await ledger.claim([wish("a")], 10.0)
    await ledger.settle([result("a", outcome)], 11.0)
    assert await ledger.claim([wish("b")], 12.0) == [Again(outcome, 1)]
    found = await listed.job("j-1")
    assert found is not None
    assert (found.job.state, found.job.reason) == (state, outcome.reason)
    assert found.job.doubtful == (outcome is UNKNOWN)


async def test_attempts_up_to_the_end(make_ledger: MakeLedger) -> None:
    ledger, listed = make_ledger("resend")
    steps: list[Outcome] = [RETRY, UNKNOWN, SENT]
    for number, outcome in enumerate(steps, 1):
        got = await ledger.claim([wish("a", number)], 10.0 * number)
        assert got == [Go(number, doubt=number == 3)]
        assert await ledger.settle([result("a", outcome, number)], 10.0 * number + 1) == [True]
    assert [row.outcome for row in await listed.attempts("j-1")] == [RETRY, UNKNOWN, SENT]
    found = await listed.job("j-1")
    assert found is not None
    assert (found.job.state, found.job.doubtful, found.job.reason) == ("sent", 1, "")


async def test_an_attempt_that_failed_before_its_claim(make_ledger: MakeLedger) -> None:
    ledger, listed = make_ledger("resend")
    assert await ledger.settle([result("a", RETRY), result("b", DEAD)], 11.0) == [True, False]
    assert await ledger.settle([result("b", DEAD, 2)], 12.0) == [True]
    assert await listed.attempts("j-1") == [
        AttemptRow("j-1", 1, "a", 5.0, 11.0, RETRY),
        AttemptRow("j-1", 2, "b", 5.0, 12.0, DEAD),
    ]


async def test_resend_goes_on_after_an_owner_died(make_ledger: MakeLedger) -> None:
    ledger, listed = make_ledger("resend")
    await ledger.claim([wish("a")], 10.0)
    assert await ledger.claim([wish("b", until=120.0)], 59.9) == [Busy(60.0)]
    assert await ledger.claim([wish("b", until=120.0)], 60.0) == [Go(2, doubt=True)]
    assert await ledger.settle([result("a", SENT)], 61.0) == [False]
    assert await listed.attempts("j-1") == [
        AttemptRow("j-1", 1, "a", 10.0, 60.0, Unknown(LEASE_OVER)),
        AttemptRow("j-1", 2, "b", 60.0, None, None),
    ]
    found = await listed.job("j-1")
    assert found is not None
    assert (found.job.doubtful, found.job.reason) == (1, LEASE_OVER)
    # b dies as well; the only message of the job that is left still says 1
    assert await ledger.claim([wish("c", until=200.0)], 120.0) == [Go(3, doubt=True)]
    assert await ledger.settle([result("c", RETRY, 3)], 121.0) == [True]
    assert await ledger.claim([wish("d")], 130.0) == [Again(RETRY, 3)]


async def test_hold_leaves_it_to_a_person(make_ledger: MakeLedger) -> None:
    ledger, listed = make_ledger("hold")
    await ledger.claim([wish("a"), wish("a", of=job("j-2"))], 10.0)
    assert await ledger.settle([result("a", UNKNOWN, of=job("j-2"))], 11.0) == [True]
    assert await ledger.claim([wish("b"), wish("b", of=job("j-2"))], 60.0) == [Over("unknown")] * 2
    assert await ledger.settle([result("a", SENT)], 61.0) == [False]
    assert [(row.id, row.state, row.doubtful, row.reason) for row in await listed.jobs()] == [
        ("j-2", "unknown", 1, "lost"),
        ("j-1", "unknown", 1, LEASE_OVER),
    ]
    assert await listed.attempts("j-1") == [AttemptRow("j-1", 1, "a", 10.0, 60.0, Unknown(LEASE_OVER))]


async def test_an_attempt_may_begin_and_end_in_one_batch(make_ledger: MakeLedger) -> None:
    ledger, listed = make_ledger("resend")
    assert await ledger.claim([wish("a", until=10.0), wish("b")], 10.0) == [Go(1), Go(2, doubt=True)]
    assert [row.outcome for row in await listed.attempts("j-1")] == [Unknown(LEASE_OVER), None]


async def test_the_jobs_of_a_users_events_with_their_attempts(make_ledger: MakeLedger) -> None:
    ledger, listed = make_ledger("resend")
    retried, other = replace(job("j-2"), rule="receipt", event={"id": "e-of-j-1", "source": "/shop"}), job("j-4", user="u-2")
    await ledger.claim([wish("a"), wish("a", of=retried), wish("a", of=job("j-3")), wish("a", of=other)], 10.0)
    await ledger.settle([result("a", SENT), result("a", RETRY, of=retried)], 11.0)
    await ledger.claim([wish("b", 2, of=retried)], 12.0)
    assert await ledger.cancel("j-5", 13.0) is None
    found = {
        one.job.id: one for one in await listed.of_events("u-1", [("/shop", "e-of-j-1"), ("/shop", "e-of-j-4")], ["j-5", "j-1"])
    }
    assert {id: [row.number for row in one.attempts] for id, one in found.items()} == {"j-1": [1], "j-2": [1, 2], "j-5": []}
    assert found["j-2"] == await listed.job("j-2")
    assert len(await listed.of_events("u-1", [("/shop", "e-of-j-1")], ["j-1"] * 1200)) == 2
    assert await listed.of_events("u-1", [], []) == []
    assert await listed.of_events("nobody", [("/shop", "e-of-j-1")]) == []


async def test_a_batch_of_any_size(make_ledger: MakeLedger) -> None:
    ledger, listed = make_ledger("resend")
    jobs = [job(f"j-{number}") for number in range(1200)]
    assert await ledger.claim([wish("a", of=one) for one in jobs], 10.0) == [Go(1)] * 1200
    assert await ledger.settle([result("a", RETRY, of=one) for one in jobs[::-1]], 11.0) == [True] * 1200
    assert await ledger.claim([wish("b", of=one) for one in jobs], 12.0) == [Again(RETRY, 1)] * 1200
    assert (await listed.counts())["waiting"] == 1200


async def test_lists_jobs_newest_first_in_pages(make_ledger: MakeLedger) -> None:
    ledger, listed = make_ledger("resend")
    for number in range(1, 7):
        moment = float(number // 2)  # two of a moment: the id tells them apart
        await ledger.claim([wish("a", of=job(f"j-{number}", f"u-{number % 2}"))], moment)
    await ledger.settle([result("a", SENT, of=job("j-4"))], 9.0)
    assert [row.id for row in await listed.jobs()] == ["j-6", "j-5", "j-4", "j-3", "j-2", "j-1"]
    assert [row.id for row in await listed.jobs(limit=2, after="j-5")] == ["j-4", "j-3"]
    assert [row.id for row in await listed.jobs(user="u-0", state="sending")] == ["j-6", "j-2"]
    assert await listed.counts() == {
        "scheduled": 0,
        "sending": 5,
        "waiting": 0,
        "sent": 1,
        "dead": 0,
        "cancelled": 0,
        "unknown": 0,
    }


@pytest.mark.parametrize("words", ["\0", "\ud800 é", "é"], ids=ascii)
async def test_any_text_can_be_written(make_ledger: MakeLedger, words: str) -> None:
    ledger, listed = make_ledger("resend")
    odd = replace(job(), to=words, template=words)
    assert await ledger.claim([wish("a", of=odd)], 10.0) == [Go(1)]
    assert await ledger.settle([result("a", Dead("refused", words), of=odd)], 11.0) == [True]
    assert (await listed.counts())["dead"] == 1
    (row,) = await listed.attempts("j-1")
    assert isinstance(row.outcome, Dead)
    assert row.outcome.reason == "refused"


async def test_a_person_decides_what_is_unknown_once(make_ledger: MakeLedger) -> None:
    ledger, listed = make_ledger("hold")
    await ledger.claim([wish("a"), wish("a", of=job("j-2"))], 10.0)
    await ledger.settle([result("a", UNKNOWN), result("a", UNKNOWN, of=job("j-2"))], 11.0)
    arrived, again = Sent("ann says that it arrived"), Retry("ann has it sent again")
    assert await ledger.decide(job("j-1"), arrived, "ann", 20.0) is None
    assert await ledger.decide(job("j-2"), again, "ann", 21.0) is None
    for id, state in (("j-1", "sent"), ("j-2", "scheduled")):
        for outcome in (arrived, again):
            assert await ledger.decide(job(id), outcome, "bob", 22.0) == f"it is {state}"
    assert await ledger.decide(job("j-3"), arrived, "ann", 23.0) == "the ledger knows of no attempt at it"
    assert await listed.job("j-3") is None
    assert await listed.attempts("j-1") == [
        AttemptRow("j-1", 1, "a", 10.0, 11.0, UNKNOWN),
        AttemptRow("j-1", 2, "ann", 20.0, 20.0, arrived),
    ]
    assert await ledger.claim([wish("b"), wish("b", of=job("j-2"))], 20.5) == [Over("sent"), Later(21.0)]
    assert await ledger.claim([wish("c", attempt=3, of=job("j-2"))], 22.0) == [Go(3)]
    found = await listed.job("j-2")
    assert found is not None
    assert [(one.number, one.owner) for one in found.attempts] == [(1, "a"), (2, "ann"), (3, "c")]


async def test_what_is_held_is_unknown_and_what_the_ledger_knows_stays(make_ledger: MakeLedger) -> None:
    ledger, listed = make_ledger("hold")
    await ledger.settle([result("a", SENT)], 10.0)
    await ledger.hold([job("j-1"), job("j-2"), job("j-3")], "lost", 20.0)
    await ledger.hold([job("j-2")], "lost again", 30.0)
    ids = ["j-1", "j-2", "j-3", "j-4", *(f"no-{n}" for n in range(600))]
    held = Known("unknown", 0)
    assert await listed.known(ids) == {"j-1": Known("sent", 1), "j-2": held, "j-3": held}
    found = await listed.job("j-2")
    assert found is not None
    assert (found.job.reason, found.job.created, found.attempts) == ("lost", 20.0, [])
    assert [row.id for row in await listed.jobs(state="unknown")] == ["j-3", "j-2"]
    await ledger.hold([], "nothing", 30.0)
    assert await listed.known([]) == {}


async def test_a_message_of_a_job_that_is_held_goes_its_way(make_ledger: MakeLedger) -> None:
    ledger, listed = make_ledger("hold")
    await ledger.hold([job()], "lost", 20.0)
    assert await ledger.claim([wish("a")], 30.0) == [Go(1)]
    assert await ledger.settle([result("a", SENT)], 31.0) == [True]
    assert await listed.known(["j-1"]) == {"j-1": Known("sent", 1)}


async def test_a_user_with_the_longest_of_ids_has_jobs(make_ledger: MakeLedger) -> None:
    ledger, listed = make_ledger("hold")
    user = "u" * 512
    mine = job(user=user)
    await ledger.claim([wish("a", of=mine)], 10.0)
    for found in (await listed.jobs(user=user), [one.job for one in await listed.of_events(user, [("", "")], ["j-1"])]):
        assert [row.id for row in found] == ["j-1"]
    source, id = str(mine.event.get("source", "")), str(mine.event.get("id", ""))
    assert [one.job.id for one in await listed.of_events(user, [(source, id)])] == ["j-1"]
    assert await listed.jobs(user="\0") == []
    assert await listed.job("\0") is None
    assert await listed.scheduled(user="\0") == []
