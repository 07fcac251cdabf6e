"""The limit: aio-pika alone, with the same safety on the broker and no ledger. It acknowledges each job once it is done."""

import asyncio
import signal
from typing import Any

import aio_pika
import msgspec
import uvloop

from benchmarks.peers.jobs.work import QUEUE, Marks, Sender, number_of, order, place, publish_window, publishes

PREFETCH, WORKERS = 200, 8


async def opened(connection: Any) -> Any:
    """The channel, and the queue on it."""
    channel = await connection.channel(publisher_confirms=True, on_return_raises=True)
    await channel.set_qos(prefetch_count=PREFETCH)
    queue = await channel.declare_queue(QUEUE, durable=True, arguments={"x-queue-type": "quorum"})
    return channel, queue


async def publish() -> None:
    async with await aio_pika.connect(place().rabbit) as connection:
        channel, _ = await opened(connection)
        exchange, encode = channel.default_exchange, msgspec.json.Encoder().encode

        async def one(number: int) -> None:
            message = aio_pika.Message(
                encode(order(number)), delivery_mode=aio_pika.DeliveryMode.PERSISTENT, message_id=str(number)
            )
            await exchange.publish(message, QUEUE, mandatory=True)

        await publish_window(one)


async def work() -> None:
    stopped, where = asyncio.Event(), place()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    sender = Sender(where.smtp, WORKERS) if where.smtp else None
    marks, decode = Marks(where.folder), msgspec.json.Decoder().decode
    waiting: asyncio.Queue[Any] = asyncio.Queue()

    async def worker() -> None:
        while True:
            message = await waiting.get()
            data = decode(message.body)
            if sender is not None:
                await sender.send(data)
            else:
                marks.note(number_of(data))
            await message.ack()

    async with await aio_pika.connect(where.rabbit) as connection:
        _, queue = await opened(connection)
        workers = [asyncio.create_task(worker()) for _ in range(WORKERS)]
        await queue.consume(waiting.put)
        await stopped.wait()
        for one in workers:
            one.cancel()


if __name__ == "__main__":
    uvloop.run(publish() if publishes() else work())
