"""One run: sends the traffic, waits until it is settled, compares and shows."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from time import monotonic
from typing import Final

import msgspec

from activity import names
from activity.outcomes import Dead
from chopar.delivery import delivering
from chopar.demo.checks import differences
from chopar.demo.ending import show_example, show_hints
from chopar.demo.gather import Kafka, gather, jobs_of
from chopar.demo.mails import mailing
from chopar.demo.progress import Progress
from chopar.demo.report import show, show_differences
from chopar.demo.shop import traffic
from chopar.demo.traffic import Planned
from chopar.inbox.folder import Folder
from chopar.machine import Machine, inbox_folder
from chopar.terminal import say
from rabbit.address import address
from store.opening import Store, open_store
from streams.parts import read_rules

LOOK_EVERY: Final = 0.5
ENDED: Final = ("sent", "dead", "cancelled", "unknown")


class Options(msgspec.Struct, frozen=True):
    """What was asked for. `run` is in the names of all users and sources; `deadline` is in seconds."""

    run: str
    events: int
    seed: int
    deadline: float
    keep: bool


async def play(machine: Machine, options: Options) -> list[str]:
    """What differs from what had to come of the traffic; everything is shown. Raises ChoparError."""
    settings = machine.settings
    plan = traffic(options.seed, options.run, options.events)
    mails = mailing(plan.good, read_rules(settings), lambda to: isinstance(address(to), Dead))
    kafka, inbox = Kafka(settings), Folder(inbox_folder(settings))
    await kafka.begin()
    async with open_store(settings.store_url) as store:
        watch = Watch(store, kafka, plan.users)
        await watch.begin()
        began = monotonic()
        with Progress(sent=len(plan.all), logged=len(plan.good), mailed=len(mails.jobs)) as progress:
            waiting = Waiting(watch, progress, began + options.deadline)
            await send(machine, plan.records, progress)
            progress.tell(f"{len(plan.records):,} records sent after {monotonic() - began:.1f} s")
            await waiting.until(lambda: watch.has_logged(sum(record.fate == "logged" for record in plan.records)))
            progress.tell(f"{watch.logged:,} events logged after {monotonic() - began:.1f} s; now those that are late")
            await send(machine, plan.latecomers, progress)
            await waiting.until(lambda: watch.is_settled(len(plan.good), len(mails.jobs)))
        say(f"settled after {monotonic() - began:.0f} s" if waiting.in_time else f"not settled after {options.deadline:g} s")
        found = await gather(plan.run, plan.users, kafka, store, inbox)
        wrong = differences(plan, mails, found)
        show(plan, mails, found)
        await show_example(store, plan, mails, inbox)
    show_differences(wrong)
    show_hints(settings, plan, options.keep)
    return wrong


async def send(machine: Machine, records: Iterable[Planned], progress: Progress) -> None:
    """Sends them, confirmed, in their order."""
    async with delivering(machine.settings) as delivery:
        for record in records:
            await delivery.send(names.EVENTS, record.key, record.value)
            progress.advance("sent", 1)
        await delivery.flush()


class Watch:
    """How far the application is with a run."""

    def __init__(self, store: Store, kafka: Kafka, users: list[str]) -> None:
        self._store, self._kafka, self._users = store, kafka, users
        self._before = 0
        self.logged = self.mailed = 0

    async def begin(self) -> None:
        """What is in the store now is of other runs."""
        self._before = await self._store.log.count()

    async def look(self) -> None:
        """Counts anew. Until all is there, what earlier runs had left undone may be among what is counted."""
        self.logged = await self._store.log.count() - self._before
        jobs = await jobs_of(self._store, self._users)
        self.mailed = sum(job.state in ENDED for job in jobs.values())

    async def has_logged(self, events: int) -> bool:
        """Whether so many events of this run are in the store."""
        if self.logged < events:
            return False
        newest = [await self._store.log.read(user, limit=1) for user in self._users]
        return sum(entries[0].position for entries in newest if entries) >= events

    async def is_settled(self, events: int, jobs: int) -> bool:
        """Whether so many events are in the store, so many jobs have ended, and no agent has anything left to read."""
        if self.mailed < jobs or not await self.has_logged(events):
            return False
        agents = ((names.APP, names.EVENTS), (names.APP, names.LOG), (names.NOTIFY_APP, names.LOG))
        return not any([await self._kafka.unread(group, topic) for group, topic in agents])


class Waiting:
    """Looks again and again until something is so, or the deadline (of the monotonic clock) has passed."""

    def __init__(self, watch: Watch, progress: Progress, deadline: float) -> None:
        self._watch, self._progress, self._deadline = watch, progress, deadline
        self.in_time = True

    async def until(self, is_so: Callable[[], Awaitable[bool]]) -> None:
        """Returns in any case; `in_time` says in which."""
        while True:
            await self._watch.look()
            self._progress.set("logged", self._watch.logged)
            self._progress.set("mailed", self._watch.mailed)
            if await is_so():
                return
            if monotonic() > self._deadline:
                self.in_time = False
                return
            await asyncio.sleep(LOOK_EVERY)
