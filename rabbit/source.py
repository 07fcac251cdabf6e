"""Where the pool gets its jobs: the interface. `rabbit.consumer` is RabbitMQ behind it, `rabbit.channel` a queue in memory."""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from activity.names import BULK_QUEUE


class Delivery(msgspec.Struct, eq=False):
    """One message in hand: its bytes, its routing key, which attempt it asks for, and the source's own mark.

    `lost`: how often it was handed out before and came back without a word, its taker's connection or process gone.
    `due`: the appointment it has, in Unix seconds (see `activity.domains`). `before`: how many attempts it had before it was
    replayed; they count no more. `traceparent`: the span that published it; while it is tried, that of the attempt.
    """

    body: bytes
    key: str
    attempt: int
    mark: object = None
    lost: int = 0
    due: float | None = None
    before: int = 0
    traceparent: str | None = None

    @property
    def bulk(self) -> bool:
        """Whether others go before it."""
        return self.key.startswith(BULK_QUEUE)


class Source(Protocol):
    """Jobs one at a time. A delivery that is never acknowledged is delivered again, to whoever then takes."""

    async def take(self, *, urgent: bool = False) -> Delivery:
        """The next delivery, transactional ones before bulk ones (but see `rabbit.lane`); with `urgent` never a bulk one.

        Waits as long as there is none, outages included. A cancelled call has taken nothing.
        """

    def put_back(self, delivery: Delivery) -> None:
        """To be taken again, before all others of its class."""

    async def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        """Never to be delivered again. Never raises: one whose connection is gone is passed over and comes again."""

    async def pause(self) -> Sequence[Delivery]:
        """Takes nothing more from the queue until `resume`. Returns those in hand that nobody has taken yet: they are the
        caller's now, to send elsewhere and acknowledge."""

    async def resume(self) -> None:
        """Takes from the queue again."""

    async def expect(self, workers: int) -> None:
        """So many take from it from now on: enough is in hand for them."""
