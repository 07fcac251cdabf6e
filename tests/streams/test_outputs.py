"""Where a chunk's states stand in the changelog, as far as Kafka tells."""

import asyncio
from collections.abc import Iterable, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import MessageSizeTooLargeError, NotEnoughReplicasError

from activity.chunk import Chunk
from streams.outputs import KafkaAway, Outputs
from streams.producer import Delivery


class Landing(Outputs):
    """Kafka put the batches here."""

    def __init__(self, batches: Sequence[tuple[int, int]]) -> None:
        self.batches = list(batches)

    async def _once(self, batches: object) -> list[tuple[int, int]]:
        return self.batches


@pytest.mark.parametrize(
    ("batches", "landed"),
    [
        ([(5, 5)], (5, 5)),
        ([(5, 7), (8, 8), (9, 20)], (5, 20)),
        ([(5, 7), (9, 20)], None),
        ([(8, 8), (5, 7)], None),
        ([(-1, 0)], None),
    ],
)
async def test_states_stand_in_one_piece_or_nobody_knows(batches: list[tuple[int, int]], landed: tuple[int, int] | None) -> None:
    chunk = Chunk("activity.events", 1, [])
    assert await Landing(batches).changelog(chunk, "changelog", {b"u": b"state"}) == landed


class Sending:
    """A producer whose batches of one record each stay on their way until a test settles them."""

    def __init__(self) -> None:
        self.futures: list[asyncio.Future[Any]] = []

    async def send_pairs(self, topic: str, partition: int, pairs: Iterable[Any]) -> list[Delivery]:
        self.futures.append(asyncio.get_running_loop().create_future())
        return [Delivery(self.futures[-1], len(list(pairs)))]


async def begun() -> tuple[Sending, "asyncio.Task[Any]"]:
    producer = Sending()
    outputs = Outputs(SimpleNamespace(producer=producer))
    batches = {("log", 1): [(b"k", b"1"), (b"k", b"2")], ("dead", 1): [(b"k", b"3")]}
    task = asyncio.create_task(outputs._once(batches))
    for _ in range(10):
        await asyncio.sleep(0)
    return producer, task


async def test_each_batch_is_waited_for_and_its_place_is_told() -> None:
    producer, task = await begun()
    producer.futures[1].set_result(SimpleNamespace(offset=7))
    for _ in range(10):
        await asyncio.sleep(0)
    assert not task.done()
    producer.futures[0].set_result(SimpleNamespace(offset=40))
    assert await task == [(40, 41), (7, 7)]


@pytest.mark.parametrize(("error", "raised"), [(NotEnoughReplicasError(), KafkaAway), (MessageSizeTooLargeError(), None)])
async def test_one_that_fails_is_raised_when_all_have_ended(error: Exception, raised: type[Exception] | None) -> None:
    producer, task = await begun()
    producer.futures[0].set_exception(error)
    for _ in range(10):
        await asyncio.sleep(0)
    assert not task.done()
    producer.futures[1].set_result(SimpleNamespace(offset=7))
    with pytest.raises(raised or type(error)):
        await task


async def test_who_is_let_go_leaves_what_was_sent_on_its_way() -> None:
    producer, task = await begun()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert task.cancelled()
    assert not any(future.cancelled() for future in producer.futures)
