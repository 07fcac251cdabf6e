"""What the console's overview looks into: Kafka, RabbitMQ, the mailers, the store, and the other workers."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from functools import partial
from time import time
from typing import Final, TypeVar

import msgspec

from activity.accounts import AUDIT_SWITCH, Verdict
from activity.errors import SettingError
from activity.pace import Reader, Topic
from activity.settings import PREFIX, Settings
from console.observing import Observer, Source
from console.pages.snapshot import Books, Snapshot
from console.peers import Away, Peers
from console.tables import Membership, Share
from console.waiting import PATH, Waiting
from rabbit.control import Order, ask
from rabbit.depths import Depth, watch_depths
from rabbit.management import Unseen, watch_wiring
from rabbit.status import Status
from rabbit.wiring import Wiring
from store.deadletters import Wanted
from store.opening import Store
from streams.groups import open_groups
from streams.lag import all_topics, watch
from streams.membership import UsersMembership

T = TypeVar("T")

OFTEN: Final = 2.0
SELDOM: Final = 5.0
"""Seconds between two looks, at what is cheap to ask and at what is not."""


class Kafka(msgspec.Struct, frozen=True):
    """Who reads what, and the topics."""

    readers: list[Reader]
    topics: list[Topic]


class Group(msgspec.Struct, frozen=True):
    """The workers, and how many events wait at all of them. None: one is `away`; by its address, the problem."""

    shares: list[Share]
    waiting: int | None
    away: dict[str, str]


async def snapshot(observer: Observer) -> Snapshot:
    """What all said last."""
    said, problems = await observer.look()
    group: Group | None = said.get("workers")
    kafka: Kafka | None = said.get("kafka")
    return Snapshot(
        now=time(),
        readers=None if kafka is None else kafka.readers,
        topics=None if kafka is None else kafka.topics,
        queues=said.get("rabbitmq"),
        wiring=said.get("bindings"),
        mailers=said.get("mailers"),
        books=said.get("store"),
        shares=None if group is None else group.shares,
        waiting=None if group is None else group.waiting,
        away={} if group is None else group.away,
        problems=problems,
    )


def sources(
    settings: Settings, store: Store, members: UsersMembership, peers: Peers, waiting_here: Callable[[], int]
) -> Mapping[str, Source]:
    """All that is looked at, by the names that `Snapshot.problems` has."""
    return {
        "kafka": partial(_kafka, settings),
        "rabbitmq": partial(_queues, settings),
        "bindings": partial(_bindings, settings),
        "mailers": partial(_mailers, settings),
        "store": partial(_again, SELDOM, partial(_books, store)),
        "workers": partial(_again, OFTEN, partial(_group, members, peers, waiting_here)),
    }


async def _again(interval: float, ask: Callable[[], Awaitable[T]]) -> AsyncGenerator[T, None]:
    while True:
        yield await ask()
        await asyncio.sleep(interval)


async def _kafka(settings: Settings) -> AsyncGenerator[Kafka, None]:
    async with open_groups(settings) as groups, aclosing(watch(groups, OFTEN)) as found:
        topics, due = await all_topics(groups), SELDOM
        async for readers in found:
            if (due := due - OFTEN) <= 0:
                topics, due = await all_topics(groups), SELDOM
            yield Kafka(readers, topics)


async def _queues(settings: Settings) -> AsyncGenerator[dict[str, Depth], None]:
    async for found in watch_depths(_rabbit(settings), OFTEN):
        yield found


async def _bindings(settings: Settings) -> AsyncGenerator[Wiring | Unseen, None]:
    if settings.rabbit_url is None:
        yield Unseen("")  # `rabbitmq` says so
        return
    async for found in watch_wiring(settings.rabbit_url, settings.rabbit_management_url, SELDOM):
        yield found


async def _mailers(settings: Settings) -> AsyncGenerator[list[Status], None]:
    url = _rabbit(settings)
    async for found in _again(SELDOM, lambda: ask(url, Order("status"))):
        yield found


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


async def _group(members: Membership, peers: Peers, waiting_here: Callable[[], int]) -> Group:
    """Raises Problem while partitions move."""
    shares = list(members.shares())
    others = [share.worker for share in shares if not share.here]
    answers = await asyncio.gather(*(peers.ask(worker, PATH, {}, Waiting) for worker in others), return_exceptions=True)
    waiting, away = waiting_here(), dict[str, str]()
    for worker, said in zip(others, answers, strict=True):
        if isinstance(said, Waiting):
            waiting += said.events
        elif said is None or isinstance(said, Away):
            away[worker] = str(said or "it is of another version")
        else:
            raise said
    return Group(shares, None if away else waiting, away)
