"""Letters of jobs that the store holds, or has on its shelf: one suite for the fake and each database."""

from datetime import UTC, datetime

import pytest
from msgspec.structs import replace

from activity.claims import Claim
from activity.jobs import decode_job
from activity.replay import Known
from store.opening import Store
from tests.store.orders import job
from tests.store.test_deadletters import LETTER, Kept


@pytest.fixture
def kept(any_store: Store | None) -> Kept:
    return Kept(any_store)


async def test_a_job_that_is_held_is_known_and_not_given_out(kept: Kept) -> None:
    await kept.desk.take([LETTER, replace(LETTER, id="l-2")])
    await kept.ledger.hold([job()], "the store had lost it", 5.0)
    assert await kept.desk.replay_jobs("l-1", [job()], "ann", "", due=20.0, now=20.0, new=True) is None
    assert await kept.desk.replay_jobs("l-2", [job()], "ann", "", due=20.0, now=20.0) == "it has ended: unknown"
    assert await kept.schedule.take("s", 90.0, 30.0, 10) == []
    assert await kept.jobs.known(["j-1"]) == {"j-1": Known("unknown", 0)}


async def test_a_scheduled_job_that_killed_its_workers_is_replayed_as_edited(kept: Kept) -> None:
    """Its message was published, but whoever did so died of it before he could say so: the shelf had it still."""
    later = replace(job(), send_at=datetime.fromtimestamp(100, UTC))
    await kept.ledger.claim([Claim(later, 1, "m/1", 60.0, asks=True)], 50.0)
    assert len(await kept.schedule.take("s-1", 161.0, 101.0, 10)) == 1
    for number in range(4):
        await kept.ledger.claim([Claim(later, 1, f"m/{number}", 200.0, asks=True, suspect=number > 0)], 102.0 + number)
    assert (await kept.jobs.known(["j-1"]))["j-1"].state == "dead"
    mended = replace(later, to="mended@shop.example", send_at=None)
    await kept.desk.take([LETTER])
    assert await kept.desk.replay_jobs("l-1", [mended], "ann", "", due=200.0, now=200.0) is None
    (due,) = await kept.schedule.take("s-2", 261.0, 201.0, 10)
    assert (decode_job(due.body), due.attempt, due.before) == (mended, 2, 1)
