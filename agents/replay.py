"""`activity.log`, read again: what the archiver and the notifier did is done again where it is not there any more.

First all of it is looked at (`Survey`), since whether the store has lost something decides what may be published
(`activity.replay`). Then, each over the whole range, and each safe to repeat:

    hold      jobs whose mail may have been sent are put down as `unknown`
    publish   jobs that the ledger does not know, and that were not held
    restore   rows that the store has lost; last, since a missing row is what tells that it has lost something
"""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import Final, Literal

import msgspec

from activity.chunk import Chunk, Record
from activity.events import Refused
from activity.jobs import Job
from activity.replay import Fate, Known, fate
from activity.rules import Rules
from agents.archiver import read_entry
from agents.notifier import Jobs, read_jobs
from store.interfaces import Claims, JobList, Log
from store.log import Entry

LOST: Final = "its mail may have been sent: the store had lost what it knew of it when its event was replayed"
"""The reason of a job that is held."""


What = Literal["restore", "publish", "hold", "conflict", "refused", "unreadable"]


class Change(msgspec.Struct, frozen=True):
    """Something that a replay would do, or can't: a record of `activity.log` and what is done with it."""

    what: What
    partition: int
    offset: int
    user: str = ""
    position: int | None = None
    type: str = ""
    rule: str = ""
    job: str = ""
    problem: str = ""


class Found(msgspec.Struct):
    """A job of an event, and what the ledger knows of it."""

    job: Job
    known: Known | None
    entry: Entry


class Survey:
    """What there is in the range, and what a replay of it would do. It changes nothing.

    What is missing counts once, however often it stands on `activity.log` (twice after a crash). At most `limit` changes
    of a kind are listed.
    """

    def __init__(self, log: Log, ledger: JobList, rules: Rules, *, limit: int) -> None:
        self._log, self._ledger, self._rules, self._limit = log, ledger, rules, limit
        self._seen: set[int] = set()
        self._changes: dict[What, list[Change]] = {}
        self._found: list[Found] = []
        self._jobs: dict[str, Counter[Known | None]] = {}
        self.records = self.missing = self.conflicts = self.unreadable = self.refused = 0

    @property
    def store_lost(self) -> bool:
        """Whether the store lacks events that it had."""
        return self.missing > 0

    async def take(self, chunk: Chunk) -> None:
        """Looks at the records of a chunk."""
        self.records += len(chunk)
        entries: list[Entry] = []
        made: list[tuple[Job, Entry]] = []
        for record in chunk:
            entry = read_entry(chunk, record)
            if isinstance(entry, Refused):
                self.unreadable += 1
                self._list(Change("unreadable", chunk.partition, record.offset, problem=entry.problem))
            else:
                entries.append(entry)
                made += [(job, entry) for job in self._read_jobs(record, entry)]
        await self._compare(entries)
        await self._look_up(made)

    def rules(self, *, send_unknown: bool = False) -> dict[str, Counter[Fate]]:
        """How many jobs of each rule get which fate."""
        counts: dict[str, Counter[Fate]] = {}
        for rule, jobs in sorted(self._jobs.items()):
            counts[rule] = Counter()
            for known, number in jobs.items():
                counts[rule][fate(known, store_lost=self.store_lost, send_unknown=send_unknown)] += number
        return counts

    def fates(self, *, send_unknown: bool = False) -> Counter[Fate]:
        """How many jobs get which fate."""
        return sum(self.rules(send_unknown=send_unknown).values(), Counter())

    def changes(self, *, send_unknown: bool = False, without: Collection[str] = ()) -> list[Change]:
        """What would be done, and what can't be, in the order of the log, but for what is named in `without`."""
        changes = [change for of_kind in self._changes.values() for change in of_kind]
        for found in self._found:
            what = fate(found.known, store_lost=self.store_lost, send_unknown=send_unknown)
            if what != "known":
                changes.append(_change(what, found.entry, rule=found.job.rule, job=found.job.id))
        wanted = [change for change in changes if change.what not in without]
        return sorted(wanted, key=lambda change: (change.partition, change.offset))[: self._limit]

    def _read_jobs(self, record: Record, entry: Entry) -> list[Job]:
        jobs, refused = read_jobs(record, self._rules)
        for why in refused:
            self.refused += 1
            self._list(_change("refused", entry, problem=why.problem))
        return jobs

    async def _compare(self, entries: Sequence[Entry]) -> None:
        difference = await self._log.compare(entries)
        self.conflicts += len(difference.conflicts)
        for entry in difference.missing:
            if self._is_new((entry.user_id, entry.position)):
                self.missing += 1
                self._list(_change("restore", entry))
        for entry in difference.conflicts:
            self._list(_change("conflict", entry, problem="its position is another event's in the store"))

    async def _look_up(self, made: Sequence[tuple[Job, Entry]]) -> None:
        known = await self._ledger.known([job.id for job, _ in made])
        for job, entry in made:
            found = known.get(job.id)
            if found is None and not self._is_new(job.id):
                continue
            self._jobs.setdefault(job.rule, Counter())[found] += 1
            if len(self._found) < self._limit and fate(found, store_lost=False, send_unknown=True) == "publish":
                self._found.append(Found(job, found, entry))

    def _list(self, change: Change) -> None:
        of_kind = self._changes.setdefault(change.what, [])
        if len(of_kind) < self._limit:
            of_kind.append(change)

    def _is_new(self, what: object) -> bool:
        mark = hash(what)
        if mark in self._seen:
            return False
        self._seen.add(mark)
        return True


async def hold(chunk: Chunk, *, rules: Rules, ledger: Claims, listed: JobList, now: float) -> int:
    """Put down as `unknown` the jobs of a chunk that the ledger does not know; says how many."""
    jobs = _once(_jobs(chunk, rules))
    known = await listed.known([job.id for job in jobs])
    strange = [job for job in jobs if job.id not in known]
    await ledger.hold(strange, LOST, now)
    return len(strange)


async def publish(chunk: Chunk, *, rules: Rules, listed: JobList, jobs: Jobs, done: set[int], send_unknown: bool) -> int:
    """Publish the jobs of a chunk that the ledger does not know; says how many. Those in `done` have been: none twice.

    To be called when all were held that have to be.
    """
    made = [job for job in _once(_jobs(chunk, rules)) if hash(job.id) not in done]
    known = await listed.known([job.id for job in made])
    wanted = [job for job in made if fate(known.get(job.id), store_lost=False, send_unknown=send_unknown) == "publish"]
    await jobs.publish(wanted)
    done.update(hash(job.id) for job in wanted)
    return len(wanted)


async def restore(chunk: Chunk, *, log: Log) -> int:
    """Write the rows of a chunk that are missing; says how many. What contradicts the log is left out."""
    entries = [entry for record in chunk if isinstance(entry := read_entry(chunk, record), Entry)]
    return (await log.append(entries)).new if entries else 0


def _jobs(chunk: Chunk, rules: Rules) -> Iterable[Job]:
    for record in chunk:
        yield from read_jobs(record, rules)[0]


def _once(jobs: Iterable[Job]) -> list[Job]:
    return list({job.id: job for job in jobs}.values())


def _change(what: What, entry: Entry, *, rule: str = "", job: str = "", problem: str = "") -> Change:
    place = entry.kafka_partition, entry.kafka_offset
    return Change(what, *place, entry.user_id, entry.position, entry.type, rule, job, problem)
