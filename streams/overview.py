"""What the console's overview looks into: Kafka, RabbitMQ, the mailers, the store, and the other workers."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from time import time
from typing import Final

import msgspec

from activity.accounts import AUDIT_SWITCH, Verdict
from activity.errors import SettingError
from activity.settings import PREFIX, Settings
from console.observing import Observer, Source
from console.pages.snapshot import Books, Snapshot
from console.peers import Away, Peers
from console.tables import Share
from console.waiting import PATH, Waiting
from rabbit.control import Order, ask
from rabbit.depths import Depth, watch_depths
from rabbit.status import Status
from store.deadletters import Wanted
from store.opening import Store
from streams.lag import looks
from streams.membership import UsersMembership

OFTEN: Final = 2.0
SELDOM: Final = 5.0
"""Seconds between two looks, at what is cheap to ask and at what is not."""


class Group(msgspec.Struct, frozen=True):
    """The workers, and how many events wait at all of them; None: one of them does not answer."""

    shares: list[Share]
    waiting: int | None


async def snapshot(observer: Observer) -> Snapshot:
    """What all said last."""
    said, problems = await observer.look()
    group: Group | None = said.get("workers")
    return Snapshot(
        now=time(),
        readers=said.get("kafka"),
        queues=said.get("rabbitmq"),
        mailers=said.get("mailers"),
        books=said.get("store"),
        shares=None if group is None else group.shares,
        waiting=None if group is None else group.waiting,
        problems=problems,
    )


def sources(
    settings: Settings, store: Store, members: UsersMembership, peers: Peers, waiting_here: Callable[[], int]
) -> Mapping[str, Source]:
    """All that is looked at, by the names that `Snapshot.problems` has."""

    async def queues() -> AsyncGenerator[dict[str, Depth], None]:
        async for found in watch_depths(_rabbit(settings), OFTEN):
            yield found

    async def mailers() -> AsyncGenerator[list[Status], None]:
        while True:
            yield await ask(_rabbit(settings), Order("status"))
            await asyncio.sleep(SELDOM)

    async def books() -> AsyncGenerator[Books, None]:
        while True:
            yield await _books(store)
            await asyncio.sleep(SELDOM)

    async def workers() -> AsyncGenerator[Group, None]:
        while True:
            yield await _group(members, peers, waiting_here)
            await asyncio.sleep(OFTEN)

    def kafka() -> AsyncGenerator[object, None]:
        return looks(settings, OFTEN)

    return {"kafka": kafka, "rabbitmq": queues, "mailers": mailers, "store": books, "workers": workers}


def _rabbit(settings: Settings) -> str:
    if settings.rabbit_url is None:
        raise SettingError(f"{PREFIX}RABBIT_URL", "is not set, so this worker can't say how the mails are")
    return settings.rabbit_url


async def _books(store: Store) -> Books:
    noted = await store.switches.read(AUDIT_SWITCH)
    try:
        audit = None if noted is None else msgspec.json.decode(noted, type=Verdict)
    except msgspec.DecodeError:
        audit = None  # another version wrote it
    return Books(await store.jobs.counts(), await store.letters.groups(Wanted()), audit)


async def _group(members: UsersMembership, peers: Peers, waiting_here: Callable[[], int]) -> Group:
    shares = list(members.shares())
    others = [peers.ask(share.worker, PATH, {}, Waiting) for share in shares if not share.here]
    counts = [waiting_here()]
    for said in await asyncio.gather(*others, return_exceptions=True):
        if said is None or isinstance(said, Away):
            return Group(shares, None)
        if isinstance(said, BaseException):
            raise said
        counts.append(said.events)
    return Group(shares, sum(counts))
