"""A replay, done: the range is found, looked at, and gone through once for each thing that is to be done."""

import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from time import time
from typing import TYPE_CHECKING

import msgspec

from activity.names import APP, LOG
from activity.replay import Point, Span, span
from chopar.points import chosen, offsets_of
from chopar.terminal import err

if TYPE_CHECKING:
    from activity.chunk import Chunk
    from activity.rules import Rules
    from activity.settings import Settings
    from agents.notifier import Jobs
    from agents.replay import Survey
    from store.opening import Store
    from streams.groups import Groups


class Wish(msgspec.Struct, frozen=True):
    """What is to be read again, and what is to be done with it."""

    since: Point
    until: Point | None
    user: str | None
    store: bool
    mail: bool
    send_unknown: bool
    limit: int


class Result(msgspec.Struct):
    """What was found (`survey`) and done. `missing`: records that were asked for and that Kafka does not have any more."""

    survey: "Survey"
    missing: int
    restored: int = 0
    published: int = 0
    held: int = 0


async def run(wish: Wish, *, dry: bool) -> Result:
    """Look at the range and, unless it is `dry`, do what is to be done. Raises ChoparError."""
    from agents.replay import Survey
    from brokers.discovery import read_settings
    from chopar.stored import reading_store
    from streams.groups import open_groups
    from streams.parts import read_rules

    settings = read_settings()
    rules = read_rules(settings)
    async with open_groups(settings) as groups:
        spans = await find(groups, wish)
    async with reading_store(settings) as store:
        result = Result(Survey(store.log, store.jobs, rules, limit=wish.limit), sum(span.missing for span in spans))
        passes = Passes(settings, spans, wish, rules, store)
        await passes.through("looking", result.survey.take)
        if not dry:
            await passes.do(result)
    return result


async def find(groups: "Groups", wish: Wish) -> list[Span]:
    """What there is of the range, no further than the archiver has come: what it has not read it will read itself."""
    bounds = await groups.bounds(LOG)
    since = await offsets_of(groups, LOG, wish.since, bounds)
    until = {} if wish.until is None else await offsets_of(groups, LOG, wish.until, bounds)
    read = await groups.positions(APP, LOG)
    return [
        span(number, bounds[number].begin, min(bounds[number].end, read.get(number, 0)), since[number], until.get(number))
        for number in chosen(len(bounds), wish.since, wish.until, user=wish.user)
    ]


class Passes:
    """One replay's range, gone through as often as it takes. Each pass may be broken off and begun again."""

    def __init__(self, settings: "Settings", spans: Sequence[Span], wish: Wish, rules: "Rules", store: "Store") -> None:
        self._settings, self._spans, self._wish, self._rules, self._store = settings, spans, wish, rules, store

    async def do(self, result: Result) -> None:
        """What the survey found to do, in the order that is safe whenever it is broken off (`agents.replay`)."""
        from agents import replay

        rules, listed, survey, wish = self._rules, self._store.jobs, result.survey, self._wish
        fates = survey.fates(send_unknown=wish.send_unknown)
        if fates["hold"]:
            ledger = self._store.ledger(self._settings.unknown_outcome)

            async def hold(chunk: "Chunk") -> None:
                result.held += await replay.hold(chunk, rules=rules, ledger=ledger, listed=listed, now=time())

            await self.through("noting what may have been sent", hold)
        if wish.mail and fates["publish"]:
            async with self._jobs() as jobs:
                to = partial(replay.publish, rules=rules, listed=listed, jobs=jobs, send_unknown=wish.send_unknown, done=set())

                async def publish(chunk: "Chunk") -> None:
                    result.published += await to(chunk)

                await self.through("publishing jobs", publish)
        if wish.store and survey.missing:

            async def restore(chunk: "Chunk") -> None:
                result.restored += await replay.restore(chunk, log=self._store.log)

            await self.through("restoring rows", restore)

    async def through(self, what: str, step: Callable[["Chunk"], Awaitable[None]]) -> None:
        """Hand each chunk of the range to `step`, without the records of other users."""
        from activity.chunk import Chunk
        from streams.past import read_past

        key = None if self._wish.user is None else self._wish.user.encode()
        with _progress(what, sum(map(len, self._spans))) as advance:
            async for chunk in read_past(self._settings, LOG, self._spans):
                records = [record for record in chunk if key in (None, record.key)]
                await step(Chunk(chunk.topic, chunk.partition, records))
                advance(len(chunk))

    @asynccontextmanager
    async def _jobs(self) -> AsyncIterator["Jobs"]:
        from contextlib import AsyncExitStack

        from streams.parts import JobsPart

        jobs = JobsPart(self._settings)
        async with AsyncExitStack() as stack:
            await jobs.open(stack)
            yield jobs


@contextmanager
def _progress(what: str, records: int) -> Iterator[Callable[[int], None]]:
    """A progress bar on a terminal; its function takes how many records were dealt with."""
    if not sys.stderr.isatty():
        yield lambda number: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err(), transient=True) as progress:
        task = progress.add_task(what, total=records)
        yield lambda number: progress.advance(task, number)
