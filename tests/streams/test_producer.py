"""The producer on a real Kafka: what was handed to it is known until Kafka has it, whoever waits for it; and its fences."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiokafka.errors import NodeNotReadyError
from aiokafka.protocol.produce import ProduceRequest

from activity.chunk import Chunk
from streams import producer as producers
from streams.consumer import Consumer
from streams.exits import TEMPFAIL
from streams.producer import Producer
from tests.streams.lab import Lab


async def nothing(chunk: Chunk) -> None:
    chunk.done()


async def test_what_nobody_waits_for_any_more_is_still_waited_for_before_partitions_move(kafka_url: str) -> None:
    """A chunk that is let go leaves its batches behind; they go out whenever Kafka takes them."""
    lab = await Lab(kafka_url).create()
    async with lab.running(nothing) as app:
        producer = cast(Producer, app.producer)
        client: Any = producer._ensure_producer().client
        reachable, send = asyncio.Event(), client.send

        async def held(node: Any, request: Any, **options: Any) -> Any:
            if isinstance(request, ProduceRequest) and not reachable.is_set():
                raise NodeNotReadyError("in a test")
            return await send(node, request, **options)

        client.send = held
        waiting = asyncio.gather(*await producer.send_pairs(lab.changelog, 0, [(b"k", b"1", [])]))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        emptied = asyncio.ensure_future(producer.emptied())
        await asyncio.wait({emptied}, timeout=0.5)
        was_done = emptied.done()
        reachable.set()  # first, or the app would not stop
        assert not was_done
        await asyncio.wait_for(emptied, 30)


@pytest.mark.parametrize(("unheard", "assigned", "out"), [(8.1, {"t"}, True), (7.9, {"t"}, False), (8.1, set[str](), False)])
def test_who_has_not_heard_from_its_group_for_almost_a_session_is_out_of_touch(
    unheard: float, assigned: set[str], out: bool
) -> None:
    """Without partitions there is nothing that another could own by now."""
    consumer = SimpleNamespace(out_of_touch=unheard, assignment=lambda: assigned)
    producer = SimpleNamespace(app=SimpleNamespace(consumer=consumer), _touch_limit=8.0)
    assert Producer._is_out_of_touch(cast(Any, producer)) is out


async def test_who_is_out_of_touch_keeps_its_batches_back(kafka_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another worker may own the partitions by now; a late write would go over its newer states."""
    lab = await Lab(kafka_url).create()
    unheard = [0.0]
    monkeypatch.setattr(Consumer, "out_of_touch", property(lambda _: unheard[0]))
    async with lab.running(nothing) as app:
        producer = cast(Producer, app.producer)
        unheard[0] = 60.0
        (delivery,) = await producer.send_pairs(lab.changelog, 0, [(b"k", b"1", [])])
        emptied = asyncio.ensure_future(producer.emptied())
        await asyncio.wait({emptied}, timeout=1.0)
        went_out = emptied.done()
        unheard[0] = 0.0  # first, or the app would not stop
        assert not went_out
        await asyncio.wait_for(emptied, 30)
        assert await delivery == 0


def test_a_process_that_was_stopped_for_almost_a_session_leaves_before_any_request(monkeypatch: pytest.MonkeyPatch) -> None:
    now, left = [100.0], list[int]()
    monkeypatch.setattr(producers, "monotonic", lambda: now[0])
    monkeypatch.setattr(producers, "leave", lambda code, why: left.append(code))
    producer: Any = SimpleNamespace(_beat=100.0, _pause_limit=7.0)
    for now[0] in (100.1, 107.0):
        Producer._check_pause(producer)
    assert left == []
    now[0] = 107.1
    Producer._check_pause(producer)
    assert left == [TEMPFAIL]
