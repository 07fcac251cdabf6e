"""The peer on Taskiq: acknowledged when executed, publishes confirmed (aio-pika's default), a quorum queue."""

from typing import Any

import uvloop
from taskiq import TaskiqEvents, TaskiqState
from taskiq_aio_pika import AioPikaBroker, Queue, QueueType

from benchmarks.peers.jobs.work import QUEUE, Marks, Sender, number_of, order, place, publish_window, publishes

where = place()
broker = AioPikaBroker(where.rabbit, qos=100).with_queue(Queue(name=QUEUE, type=QueueType.QUORUM, durable=True))
kept: dict[str, Any] = {}


@broker.on_event(TaskiqEvents.WORKER_STARTUP)
async def start(_: TaskiqState) -> None:
    """Of each process: what it marks in, or its connections to the mail server."""
    kept["marks"] = Marks(where.folder)
    kept["sender"] = Sender(where.smtp) if where.smtp else None


@broker.task("bench.confirm")
async def confirm(data: dict[str, Any]) -> None:
    """A job."""
    if kept["sender"] is not None:
        await kept["sender"].send(data)
    else:
        kept["marks"].note(number_of(data))


async def publish() -> None:
    await broker.startup()
    await publish_window(lambda number: confirm.kiq(order(number)))
    await broker.shutdown()


if __name__ == "__main__" and publishes():
    uvloop.run(publish())
