"""The main job, end to end, while each of its processes is killed: promises 1 to 4 of docs/guarantees.md."""

import asyncio
import random
import uuid
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.installation import Installation, read_log, send
from tests.rabbit.inbox import Inbox

USERS, EVENTS = 50, 5000


class Story:
    """What is sent: each user's events in order, then disturbed; some of them make a mail."""

    def __init__(self, run: str, seed: int) -> None:
        rng = random.Random(seed)
        self.users = [f"{run}-{number}" for number in range(USERS)]
        self.wanted: dict[str, list[str]] = {}
        streams: list[list[dict[str, Any]]] = []
        for user in self.users:
            stream = [self._event(user, n, rng) for n in range(1, EVENTS // USERS + 1)]
            self.wanted[user] = [event["id"] for event in stream]
            streams.append(stream)
        mixed: list[dict[str, Any]] = []
        while any(streams):
            mixed.append(rng.choice([stream for stream in streams if stream]).pop(0))
        self.mails = sum(event["type"] != "page.viewed" for event in mixed)
        for _ in range(len(mixed) // 50):  # 2 % change places
            at = rng.randrange(len(mixed) - 3)
            mixed[at], mixed[at + 2] = mixed[at + 2], mixed[at]
        for _ in range(len(mixed) // 20):  # 5 % come again
            at = rng.randrange(len(mixed))
            mixed.insert(rng.randrange(at, len(mixed)) + 1, mixed[at])  # later, or it would wait for its predecessors
        self.events = mixed

    @staticmethod
    def _event(user: str, n: int, rng: random.Random) -> dict[str, Any]:
        kind = "user.signed_up" if n == 1 else "user.password_reset_requested" if rng.random() < 0.05 else "page.viewed"
        data = {"email": f"{user}@shop.example", "name": "Ann", "link": "https://shop.example/r"}
        return {
            "specversion": "1.0", "id": f"{user}-{n}", "source": "/web", "type": kind, "subject": user,
            "sequence": str(n), "data": data,
        }  # fmt: skip


@pytest.mark.timeout(600)
async def test_killed_at_any_moment_nothing_is_lost_and_nobody_gets_a_mail_twice(
    kafka_url: str, rabbit_url: str, tmp_path: Path
) -> None:
    run = f"u{uuid.uuid4().hex[:8]}"
    story, rng = Story(run, seed=7), random.Random(7)
    async with Inbox() as inbox:
        ours = Installation(tmp_path, kafka_url, rabbit_url, inbox.url)
        async with ours.running(*ours.all):
            feeding = asyncio.create_task(send(kafka_url, story.events, rate=400))
            for process in (*ours.all, *rng.sample(ours.all, 3)):
                await asyncio.sleep(rng.uniform(0.5, 3.0))
                process.kill()
                process.start()
            await feeding
            like = f"{run}-%"
            await ours.until(lambda: ours.stored(f"{run}-") >= EVENTS, "all in the store")
            ended = "select count(*) from job where user_id like ? and state in ('sent', 'dead', 'unknown')"
            await ours.until(lambda: ours.rows(ended, like)[0][0] >= story.mails, "all mails sent")
        log = await read_log(kafka_url, set(story.users))

    for user, wanted in story.wanted.items():
        stored = ours.rows("select position, event_id from activity where user_id = ? order by position", user)
        assert stored == list(enumerate(wanted, 1)), "in order, without a hole, each once"
        assert set(log[user]) == set(stored), "a repetition on activity.log has the same position"

    jobs = ours.rows("select id, state from job where user_id like ?", like)
    assert len(jobs) == story.mails
    assert {state for _, state in jobs} == {"sent"}
    doubtful = {id for (id,) in ours.rows("select distinct job_id from attempt where outcome = 'unknown'")}
    mails = Counter(str(mail["Message-ID"]).strip("<>").partition("@")[0] for mail in inbox.mails if run in str(mail["To"]))
    assert set(mails) == {id for id, _ in jobs}, "each job's mail arrived"
    twice = {id for id, count in mails.items() if count > 1}
    assert twice <= doubtful, "only what the ledger calls unknown may have come twice"
