"""The peer on Celery: acknowledged late, rejected if its worker is lost, publishes confirmed, a quorum queue."""

import smtplib
from typing import Any

from celery import Celery

from benchmarks.peers.jobs.work import QUEUE, Marks, Renderer, number_of, order, place, publish_all, publishes

THREADS = 8

where = place()
app = Celery("bench", broker=where.rabbit)
app.conf.update(
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    task_ignore_result=True,
    task_default_queue=QUEUE,
    task_default_queue_type="quorum",
    worker_prefetch_multiplier=50,
    broker_transport_options={"confirm_publish": True},
    broker_connection_retry_on_startup=True,
    broker_pool_limit=THREADS,
)
kept: dict[str, Any] = {}
"""Of each process: what it marks in, what it renders with, and its connection to the mail server."""


@app.task(name="bench.confirm")
def confirm(data: dict[str, Any]) -> None:
    """A job."""
    if not where.smtp:
        if "marks" not in kept:
            kept["marks"] = Marks(where.folder)
        kept["marks"].note(number_of(data))
        return
    if "smtp" not in kept:
        host, _, port = where.smtp.removeprefix("smtp://").partition(":")
        kept.update(smtp=smtplib.SMTP(host, int(port)), renderer=Renderer())
    kept["smtp"].send_message(kept["renderer"].mail(data))


if __name__ == "__main__" and publishes():
    publish_all(lambda number: confirm.apply_async((order(number),)), THREADS)
