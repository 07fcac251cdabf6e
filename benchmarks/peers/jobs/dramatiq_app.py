"""The peer on Dramatiq: deliveries confirmed, acknowledged when done (as it always does), on quorum queues."""

import smtplib
import threading
from typing import Any

import dramatiq
from dramatiq.brokers.rabbitmq import RabbitmqBroker

from benchmarks.peers.jobs.work import QUEUE, Marks, Renderer, number_of, order, place, publish_all, publishes

THREADS = 8


class QuorumBroker(RabbitmqBroker):
    """Dramatiq makes classic queues; its users make quorum queues so."""

    def _build_queue_arguments(self, queue_name: str) -> dict[str, Any]:
        return {**super()._build_queue_arguments(queue_name), "x-queue-type": "quorum"}


where = place()
broker = QuorumBroker(url=where.rabbit, confirm_delivery=True)
dramatiq.set_broker(broker)
kept = threading.local()
"""Of each thread: its connection to the mail server."""
marks = Marks(where.folder)
renderer = Renderer()


@dramatiq.actor(queue_name=QUEUE)
def confirm(data: dict[str, Any]) -> None:
    """A job."""
    if not where.smtp:
        marks.note(number_of(data))
        return
    if not hasattr(kept, "smtp"):
        host, _, port = where.smtp.removeprefix("smtp://").partition(":")
        kept.smtp = smtplib.SMTP(host, int(port))
    kept.smtp.send_message(renderer.mail(data))


if __name__ == "__main__" and publishes():
    publish_all(lambda number: confirm.send(order(number)), THREADS)
