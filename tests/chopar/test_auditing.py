"""The audit while everything moves: between any two of its looks the sequencer, the archiver and the senders go on."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any, cast

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from activity import names
from activity.accounts import Difference, Span, Sums
from activity.events import decode_log
from chopar.auditing import Audit, tables
from chopar.partitions import Partitions
from store.log import Entry
from store.opening import Store
from tests.activity.examples import Record
from tests.activity.partitions import owner, record
from tests.activity.test_replay import streams
from tests.activity.world import NOW, PARTITIONS, World, end_of, named, total

Move = Callable[[], None]


class Moving:
    """What the audit looks at: Kafka, and the store's log and jobs. `move` is called before each look."""

    def __init__(self, world: World, move: Move) -> None:
        self._world, self._move = world, move
        self._topics = {
            names.EVENTS: world.events,
            names.LOG: world.log,
            names.DEAD: world.dead,
            names.USERS_CHANGELOG: world.changelog,
        }

    async def ends(self, topic: str) -> list[int]:
        self._move()
        return [end_of(records) for records in self._topics[topic]]

    async def spans(self, topic: str) -> list[Span]:
        ends, begin = await self.ends(topic), self._world.begin[topic]
        return [Span(*pair, NOW) for pair in zip(begin, ends, strict=True)]

    async def committed(self, group: str, topic: str) -> list[int | None]:
        self._move()
        offsets = self._world.read if topic == names.EVENTS else self._world.archived
        return [offset or None for offset in offsets]

    async def batches(self, topic: str, partition: int, begin: int, end: int) -> AsyncGenerator[Sequence[Record], None]:
        self._move()
        found = [one for one in self._topics[topic][partition] if begin <= one.offset < end]
        for at in range(0, len(found), 3):
            yield found[at : at + 3]

    @property
    def log(self) -> "Moving":
        return self

    @property
    def jobs(self) -> "Moving":
        return self

    async def count(self) -> int:
        return len(self._world.store)

    async def counts(self) -> dict[str, int]:
        return {"sent": 1}

    async def page(self, after: tuple[str, int] | None, limit: int) -> list[Entry]:
        self._move()
        rows = [self._world.store[place] for place in sorted(self._world.store) if after is None or place > after][:2]
        entries = []
        for row in rows:
            found = decode_log(row.event)
            entries.append(
                Entry(
                    row.user, row.position, found.source, found.id, found.type, found.time, found.received, found.sequence,
                    found.verdict, row.event, row.partition, row.offset,
                )
            )  # fmt: skip
        return entries


def audited(world: World, move: Move = lambda: None) -> tuple[list[Sums], list[Difference]]:
    moving: Any = Moving(world, move)
    with tables() as kept:
        audit = Audit(
            cast(Store, moving), cast(Partitions, moving), PARTITIONS, owner, world.quiet_after, kept, lambda what, done, of: None
        )
        limits, jobs = asyncio.run(audit.read())
        assert jobs == {"sent": 1}
        audit.judge(limits)
        assert len(kept.differences) == len(list(kept.differences))
        return audit.sums, list(kept.differences)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])  # where the machine is busy
@given(streams(), st.data())
def test_whatever_happens_between_two_looks_nothing_is_called_wrong(records: list[Record], data: st.DataObject) -> None:
    world, unsent = World(), list(records)
    drawn = st.tuples(st.sampled_from("swwwca"), st.sampled_from([0, 0, 1]), st.integers(1, 6))
    actions = iter(data.draw(st.lists(drawn, min_size=40, max_size=60)))  # about as many as there are looks

    def move() -> None:
        for _ in range(2):  # at each look
            action, number, count = next(actions, ("", 0, 0))
            match action:
                case "s":
                    world.send(0, *unsent[: 3 * count])
                    del unsent[: 3 * count]
                case "w":
                    world.work(number, count)
                case "c":
                    world.crash(number, count, count - 1, written=True)
                case "a":
                    world.archive(number)

    for _ in range(data.draw(st.integers(0, 8))):
        move()
    sums, differences = audited(world, move)
    assert differences == []
    assert all(one.read == one.ended for one in sums)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(streams())
def test_it_counts_as_the_rules_alone_do(records: list[Record]) -> None:
    world = World()
    world.send(0, *records)
    world.work(0, 20)
    world.archive(0)
    sums, differences = world.audit()
    assert audited(world) == (sums, differences)


def test_what_was_deleted_before_it_was_read_is_lost() -> None:
    world = World()
    world.send(0, *(record(number) for number in range(1, 6)))
    world.work(0, 1)
    world.archive(0)
    world.begin[names.EVENTS] = [3, 0]
    [difference] = audited(world)[1]
    assert named([difference]) == [("lost", names.EVENTS, 0, 1)]
    assert difference.problem.startswith("2 records")


def test_a_row_of_a_partition_that_there_is_not_is_named() -> None:
    world = World()
    world.send(0, record(1))
    world.settle()
    row = world.store["u-1", 1]
    world.store["u-1", 1] = type(row)(row.user, row.position, 7, row.offset, row.event)
    sums, differences = audited(world)
    assert named(differences) == [("not-stored", names.LOG, 0, 0), ("not-on-log", names.LOG, 7, 0)]
    assert total(sums).stored == 0
