"""Claims, and what comes of them, as the store's tests make them."""

from datetime import UTC, datetime

from msgspec.structs import replace

from activity.claims import Answer, Claim
from activity.jobs import Job
from activity.ledger import JobRow
from activity.outcomes import Outcome
from store.ledger import Settlement
from tests.store.conftest import Kept
from tests.store.orders import job


def timed(id: str = "j-1", at: float = 100.0, user: str = "u-1") -> Job:
    return replace(job(id, user), send_at=datetime.fromtimestamp(at, UTC))


def wish(of: Job, owner: str = "a", attempt: int = 1, until: float = 60.0) -> Claim:
    return Claim(of, attempt, owner, until)


async def ask(kept: Kept, of: Job, now: float, owner: str = "a", *, suspect: bool = False, attempt: int = 1) -> Answer:
    (got,) = await kept[0].claim([Claim(of, attempt, owner, now + 50.0, asks=True, suspect=suspect)], now)
    return got


async def settle(kept: Kept, of: Job, outcome: Outcome, now: float, owner: str = "a", attempt: int = 1) -> bool:
    (taken,) = await kept[0].settle([Settlement(of, attempt, owner, now - 1.0, outcome)], now)
    return taken


async def row(kept: Kept, id: str = "j-1") -> JobRow:
    found = await kept[1].job(id)
    assert found is not None
    return found.job
