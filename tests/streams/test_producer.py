"""The producer on a real Kafka: what was handed to it is known until Kafka has it, whoever waits for it or not."""

import asyncio
from typing import Any, cast

from aiokafka.errors import NodeNotReadyError
from aiokafka.protocol.produce import ProduceRequest

from activity.chunk import Chunk
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
