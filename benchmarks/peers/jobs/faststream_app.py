"""The peer on FastStream: acknowledged when done and requeued on an error, publishes confirmed, a quorum queue."""

from typing import Any

import uvloop
from faststream import AckPolicy, FastStream
from faststream.rabbit import Channel, QueueType, RabbitBroker, RabbitQueue

from benchmarks.peers.jobs.work import QUEUE, Marks, Sender, number_of, order, place, publish_window, publishes

where = place()
broker = RabbitBroker(where.rabbit, default_channel=Channel(prefetch_count=100, publisher_confirms=True, on_return_raises=True))
app = FastStream(broker)
queue = RabbitQueue(QUEUE, queue_type=QueueType.QUORUM, durable=True)
kept: dict[str, Any] = {}


@app.on_startup
async def start() -> None:
    """Of each process: what it marks in, or its connections to the mail server."""
    kept["marks"] = Marks(where.folder)
    kept["sender"] = Sender(where.smtp) if where.smtp else None


@broker.subscriber(queue, ack_policy=AckPolicy.NACK_ON_ERROR)
async def confirm(data: dict[str, Any]) -> None:
    """A job."""
    if kept["sender"] is not None:
        await kept["sender"].send(data)
    else:
        kept["marks"].note(number_of(data))


async def publish() -> None:
    async with broker:
        await broker.declare_queue(queue)
        await publish_window(
            lambda number: broker.publish(order(number), QUEUE, persist=True, mandatory=True, message_id=str(number))
        )


if __name__ == "__main__" and publishes():
    uvloop.run(publish())
