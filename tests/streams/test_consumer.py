"""The consumer on a real Kafka: what is not done is not committed, and nothing is stepped over."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest
from faust.types import TP, StreamT

from activity.chunk import Chunk
from streams.consumer import Consumer
from tests.streams.lab import Lab


async def eventually(true: Callable[[], bool], within: float = 60.0) -> None:
    async with asyncio.timeout(within):
        while not true():  # noqa: ASYNC110  (what is waited for is plain state)
            await asyncio.sleep(0.02)


def values(first: int, last: int) -> list[bytes]:
    return [b"%d" % number for number in range(first, last + 1)]


class Reader:
    """Notes what it reads; `done` says of which chunks (counted from 0) the offsets may go."""

    def __init__(self, done: Callable[[int], bool] = lambda _: True, pause: float = 0.0) -> None:
        self.done, self.pause, self.chunks = done, pause, list[Chunk]()
        self.values: list[int] = []
        self.pairs: set[tuple[int, int]] = set()

    def has(self, value: int) -> Callable[[], bool]:
        """Whether `value` was read."""
        return lambda: value in self.values[-1:]

    async def work(self, chunk: Chunk) -> None:
        number = len(self.chunks)
        self.chunks.append(chunk)
        found = [int(record.value or b"") for record in chunk]
        self.values += found
        self.pairs |= {(chunk.partition, value) for value in found}
        await asyncio.sleep(self.pause)
        if self.done(number):
            chunk.done()


async def test_a_chunk_that_is_not_done_is_not_committed_nor_what_follows_it(kafka_url: str) -> None:
    """Faults B and D: Faust would commit both, since its iterator acknowledged them."""
    lab = await Lab(kafka_url).create()
    await lab.send(values(1, 10))
    first = Reader(done=lambda number: number == 0)
    async with lab.running(first.work):
        await eventually(lambda: len(first.values) == 10)
        await lab.send(values(11, 20))
        await eventually(lambda: len(first.values) == 20)
        await lab.send(values(21, 30))
        await eventually(lambda: len(first.values) == 30)
        await asyncio.sleep(1.0)  # five commit intervals
    assert await lab.committed() == 10
    again = Reader()
    async with lab.running(again.work):
        await eventually(lambda: len(again.values) == 20)
    assert again.values == list(range(11, 31))


async def test_what_is_done_is_committed_at_the_end(kafka_url: str) -> None:
    lab = await Lab(kafka_url).create()
    await lab.send(values(1, 100))
    reader = Reader()
    async with lab.running(reader.work):
        await eventually(lambda: len(reader.values) == 100)
    assert await lab.committed() == 100
    assert reader.values == list(range(1, 101))


async def test_before_partitions_move_what_is_in_hand_is_waited_for(kafka_url: str) -> None:
    """Else its states would be written when another worker has the partition. Faust sees nothing of it: it has acknowledged."""
    lab = await Lab(kafka_url).create()
    begun, may_end = asyncio.Event(), asyncio.Event()

    async def held(chunk: Chunk) -> None:
        begun.set()
        await may_end.wait()
        chunk.done()

    async with lab.running(held) as app:
        await lab.send(values(1, 1))
        await asyncio.wait_for(begun.wait(), 60)
        waiting = asyncio.create_task(app.consumer.wait_empty())
        done, _ = await asyncio.wait({waiting}, timeout=1.0)
        may_end.set()
        await waiting
        assert not done, "it did not wait"
    assert await lab.committed() == 1


async def test_what_waits_for_an_agent_waits_as_one_chunk(kafka_url: str) -> None:
    """A worker that fell behind with chunks of one record each would else never catch up."""
    lab = await Lab(kafka_url).create()
    reader, hold = Reader(), asyncio.Event()

    async def held(chunk: Chunk) -> None:
        await hold.wait()
        await reader.work(chunk)

    async with lab.running(held) as app:
        for number in range(1, 31):
            await lab.send(values(number, number))
        inflight = cast(Consumer, app.consumer)._inflight[TP(lab.topic, 0)]
        await eventually(lambda: sum(len(message.chunk) for message in inflight) == 30)
        assert len(inflight) <= 3, "the one in the agent's hands, the one it has not asked for yet, and the one that grows"
        hold.set()
        await eventually(lambda: len(reader.values) == 30)
    assert reader.values == list(range(1, 31))
    assert await lab.committed() == 30


async def test_what_comes_while_a_recovery_ends_is_not_lost(kafka_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fault A: Faust fetches while it seeks at the end of a recovery, then clears the queues that this went to."""
    seek = Consumer.seek_to_committed

    async def slow_seek(self: Consumer) -> Any:
        found = await seek(self)
        await asyncio.sleep(2.0)  # the gap in which records came in
        return found

    def one_at_a_time(work: Callable[[Chunk], Awaitable[None]]) -> Callable[[StreamT[Chunk]], Awaitable[None]]:
        """An agent that leaves in the queue what it does not work on; `each_chunk` takes it out, mostly before the clearing."""

        async def agent(stream: StreamT[Chunk]) -> None:
            async for chunk in stream:
                if not chunk.lost:
                    chunk.started = True
                    await work(chunk)

        return agent

    monkeypatch.setattr(Consumer, "seek_to_committed", slow_seek)
    monkeypatch.setattr("tests.streams.lab.each_chunk", one_at_a_time)
    lab = await Lab(kafka_url).create()
    await lab.send(values(1, 500))
    await lab.send(values(1, 200), topic=lab.changelog)
    reader, recovered = Reader(), asyncio.Event()

    async def held(chunk: Chunk) -> None:
        await recovered.wait()  # so that something is in the queue when it is cleared
        await reader.work(chunk)

    async with lab.running(held):
        recovered.set()
        await lab.send(values(501, 600))
        await eventually(reader.has(600))
    assert reader.values == list(range(1, 601))


async def test_a_partition_without_a_committed_offset_is_read_from_its_beginning(kafka_url: str) -> None:
    """Fault G: what a rebalance puts away has to be read again, also if nothing was committed before."""
    lab = await Lab(kafka_url).create()
    await lab.send(values(1, 20))
    reader = Reader(done=lambda _: False)
    async with lab.running(reader.work) as app:
        await eventually(reader.has(20))
        await app.consumer.perform_seek()  # as at the end of each rebalance
        app.flow_control.resume()
        app.consumer.resume_flow()
        await eventually(lambda: len(reader.values) == 40)
    assert reader.values == 2 * list(range(1, 21))


async def test_a_fetch_takes_nothing_that_it_was_not_asked_for_or_that_is_not_wanted_any_more(kafka_url: str) -> None:
    """Fault C: in a rebalance Faust empties the set that a fetch looks at; a recovery's records were taken and dropped."""
    lab = await Lab(kafka_url).create()
    await lab.send(values(1, 20), topic=lab.changelog)
    async with lab.running(Reader().work) as app:
        faust_consumer: Any = app.consumer
        faust_consumer.stop_flow()  # its own fetcher rests
        thread = faust_consumer._thread
        consumer = thread._ensure_consumer()
        ours, changelog = TP(lab.topic, 0), TP(lab.changelog, 0)

        async def fetch(active: set[TP], empty: bool) -> tuple[Any, int, int]:
            """What it gives, and where the next one begins."""
            consumer.seek(changelog, 0)
            fetching = asyncio.ensure_future(thread._fetch_records(consumer, active, timeout=5.0, max_records=100))
            await asyncio.sleep(0.5)  # the changelog's records are there by now
            if empty:
                active.clear()
            await lab.send(values(1, 1))
            return await fetching, await consumer.position(ours), await consumer.position(changelog)

        await asyncio.sleep(1.5)  # until its last fetch is over
        faust_consumer.flow_active = True
        given, _, in_changelog = await thread.call_thread(fetch, {ours}, False)
        assert [record.value for record in given[ours]] == [b"1"]
        assert in_changelog == 0
        assert await thread.call_thread(fetch, {ours}, True) == ({}, 1, 0)


async def test_two_workers_share_the_partitions_and_hand_over_without_loss(kafka_url: str) -> None:
    lab = await Lab(kafka_url, partitions=4).create()
    one, two = Reader(), Reader()
    async with lab.running(one.work):
        for partition in range(4):
            await lab.send(values(1, 50), partition)
        async with lab.running(two.work) as app:
            for partition in range(4):
                await lab.send(values(51, 100), partition)
            await eventually(lambda: len(one.pairs | two.pairs) == 400)
            assert {tp.partition for tp in app.consumer.assignment() if tp.topic == lab.topic}
        for partition in range(4):
            await lab.send(values(101, 110), partition)
        await eventually(lambda: len(one.pairs | two.pairs) == 440)
    assert two.pairs, "the second worker got its part"
