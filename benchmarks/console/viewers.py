"""People who look, in a process of their own: `python -m benchmarks.console.viewers URL FOLDER CLIENTS`.

Waits until the worker at URL answers, puts mails and dead letters into its store, which is in a folder of FOLDER, and then each
client keeps the overview open (server-sent events) and opens one page after the other. On SIGTERM it prints a `Seen` in JSON.
With no clients it only fills the store.
"""

import asyncio
import contextlib
import itertools
import signal
import sys
import traceback
from collections.abc import Awaitable
from pathlib import Path
from time import monotonic, time
from typing import Final

import aiohttp
import msgspec

from activity.claims import Claim
from activity.dead import DeadLetter
from activity.jobs import Job, job_id
from activity.names import EVENTS
from activity.outcomes import Sent
from store.ledger import Settlement
from store.opening import open_store

JOBS: Final = 500
LETTERS: Final = 200
PAUSE: Final = 1.0
"""Seconds between two pages of a client."""
WARMING: Final = 3.0
"""Seconds before anything counts: the worker starts, everybody connects."""
USERS: Final = 100

PAGES: Final = {
    "overview": ("/", "</html>"),
    "timeline": ("/users/u-{user}", "u-{user}"),
    "mails": ("/jobs", "j-user"),
    "dead letters": ("/dead-letters", "not-json"),
    "brokers": ("/brokers", "chopar.retry"),
    "table (JSON)": ("/api/tables/users?limit=50", '"entries"'),
    "timeline (JSON)": ("/api/users/u-{user}/timeline", '"entries"'),
}
"""Where each is, and what has to stand in a right answer."""


class Seen(msgspec.Struct):
    """What the viewers saw: how long each page took, in milliseconds; how many news the open overviews got; what was wrong."""

    pages: dict[str, list[float]]
    news: int = 0
    problems: list[str] = []


async def fill(store_url: str) -> None:
    """Mails that were sent and letters that wait, as an installation of some days has them."""
    async with open_store(store_url) as store:
        jobs = [_job(number) for number in range(JOBS)]
        now = time()
        ledger = store.ledger("resend")
        await ledger.claim([Claim(job, 1, job.id, now + 60) for job in jobs], now)
        await ledger.settle([Settlement(job, 1, job.id, now, Sent("250 queued")) for job in jobs], now)
        await store.letters.take([_letter(number) for number in range(LETTERS)])


def _job(number: int) -> Job:
    event = {"id": f"e-{number}", "source": "/web", "type": "user.signed_up"}
    id = job_id("j-user", "/web", f"e-{number}", "welcome")
    return Job(
        id=id, rule="welcome", job_class="transactional", user="j-user", to="ann@shop.example", template="welcome", event=event
    )


def _letter(number: int) -> DeadLetter:
    return DeadLetter(
        id=f"letter-{number}",
        broker="kafka",
        origin=EVENTS,
        reason="not-json",
        problem="is no JSON",
        first_seen=time() - number,
        key=b"j-user",
        headers=[],
        payload=b"{",
        user="j-user",
    )


async def until_gone(watched: Awaitable[None]) -> None:
    """Does it until the worker ends, which it does before its viewers are told to."""
    with contextlib.suppress(aiohttp.ServerDisconnectedError, aiohttp.ClientPayloadError, aiohttp.ClientConnectorError):
        await watched


async def look(session: aiohttp.ClientSession, began: float, number: int, seen: Seen) -> None:
    """One page after the other, each person beginning with another one."""
    pages = itertools.islice(itertools.cycle(PAGES.items()), number, None)
    for turn, (name, (path, words)) in enumerate(pages):
        user = (turn * 7 + number) % USERS
        start = monotonic()
        async with session.get(path.format(user=user)) as response:
            text = await response.text()
        took = monotonic() - start
        if start - began > WARMING:
            seen.pages.setdefault(name, []).append(took * 1000)
            if response.status != 200 or words.format(user=user) not in text:
                seen.problems.append(f"{name}: {response.status} {text[:200]}")
        await asyncio.sleep(PAUSE)


async def keep_open(session: aiohttp.ClientSession, seen: Seen) -> None:
    """The overview's news."""
    async with session.get("/live", timeout=aiohttp.ClientTimeout(total=None)) as response:
        async for line in response.content:
            seen.news += line.startswith(b"data: ")


async def until_answered(url: str) -> None:
    """Until the worker is ready."""
    async with aiohttp.ClientSession(url) as session:
        while True:
            try:
                async with session.get("/readyz") as response:
                    if response.status == 200:
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.1)


async def main(url: str, folder: Path, clients: int) -> Seen:
    """Until SIGTERM."""
    seen, ended = Seen({}), asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    viewers = asyncio.create_task(_view(url, folder, clients, seen))
    waiting = asyncio.create_task(ended.wait())
    await asyncio.wait({viewers, waiting}, return_when=asyncio.FIRST_COMPLETED)
    if viewers.done():
        seen.problems.append("".join(traceback.format_exception(viewers.exception())))
    viewers.cancel()
    await asyncio.gather(viewers, return_exceptions=True)
    return seen


async def _view(url: str, folder: Path, clients: int, seen: Seen) -> None:
    await until_answered(url)
    (store,) = await asyncio.to_thread(lambda: list(folder.glob("*/chopar.db")))
    await fill(f"sqlite:///{store}")
    headers = {"Accept": "text/html"}
    async with aiohttp.ClientSession(url, headers=headers) as session, asyncio.TaskGroup() as group:
        began = monotonic()
        for number in range(clients):
            group.create_task(until_gone(keep_open(session, seen)))
            group.create_task(until_gone(look(session, began, number, seen)))
        await asyncio.Event().wait()


if __name__ == "__main__":
    sys.stdout.buffer.write(msgspec.json.encode(asyncio.run(main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])))))
