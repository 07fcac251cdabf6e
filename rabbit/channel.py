"""A source without a broker: jobs in memory, for one process that can afford to lose them when it dies, and for tests."""

import asyncio
from collections.abc import Sequence
from typing import Final

from activity.jobs import Job
from activity.names import (
    ATTEMPT_HEADER,
    BEFORE_HEADER,
    DEAD_EXCHANGE,
    DELAY_HEADER,
    DUE_HEADER,
    LOST_HEADER,
    RETRY_EXCHANGE,
    TRACE_HEADER,
)
from rabbit.lane import Lane
from rabbit.letters import Letter, first_letter
from rabbit.source import Delivery

CAPACITY: Final = 10_000


class ChannelSource:
    """A `Source`, an `Outbox` and a `JobPublisher` in one. Dead letters are kept in `dead`; `scale` shortens the delays.

    It holds `capacity` jobs that are not done, those that wait for a retry included; who publishes more waits.
    """

    def __init__(self, scale: float = 1.0, capacity: int = CAPACITY) -> None:
        self.dead: list[Letter] = []
        self._scale = scale
        self._capacity = capacity
        self._lane = Lane()
        self._in_hand: set[Delivery] = set()
        self._delayed: set[asyncio.Task[None]] = set()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._idle = asyncio.Condition()

    async def ready(self) -> None:
        """At once."""

    async def publish(self, jobs: Sequence[Job]) -> None:
        """See `rabbit.publisher.JobPublisher`: safe as long as the process lives."""
        await self.deliver([first_letter(job) for job in jobs])

    async def deliver(self, letters: Sequence[Letter]) -> None:
        """See `rabbit.publisher.Outbox`."""
        for letter in letters:
            if letter.exchange == DEAD_EXCHANGE:
                self.dead.append(letter)
            elif letter.exchange == RETRY_EXCHANGE:
                task = asyncio.create_task(self._later(letter))
                self._delayed.add(task)
                task.add_done_callback(self._delayed.discard)
            else:
                await self._room()
                self._arrive(letter)

    async def take(self, *, urgent: bool = False) -> Delivery:
        """See `Source.take`."""
        while True:
            await self._flowing.wait()
            delivery = await self._lane.get(urgent=urgent)
            if self._flowing.is_set():
                return delivery
            self._lane.put_back(delivery)

    def put_back(self, delivery: Delivery) -> None:
        """See `Source.put_back`."""
        self._lane.put_back(delivery)

    async def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        """See `Source.acknowledge`."""
        async with self._idle:
            self._in_hand.difference_update(deliveries)
            self._idle.notify_all()

    async def pause(self) -> Sequence[Delivery]:
        """See `Source.pause`. What nobody has taken is not in hand but on the queue, so it stays there."""
        self._flowing.clear()
        return ()

    async def resume(self) -> None:
        """See `Source.resume`."""
        self._flowing.set()

    async def expect(self, workers: int) -> None:
        """See `Source.expect`: all is in hand anyway."""

    async def drained(self) -> None:
        """Returns once every job has been acknowledged and none waits for its delay."""
        async with self._idle:
            await self._idle.wait_for(lambda: not self._in_hand and not self._delayed)

    async def close(self) -> None:
        """Forgets everything."""
        for task in self._delayed:
            task.cancel()
        await asyncio.gather(*self._delayed, return_exceptions=True)

    async def _room(self) -> None:
        """Returns once there is room. A retry needs none: its job has had a place all the time."""
        async with self._idle:
            await self._idle.wait_for(lambda: len(self._in_hand) + len(self._delayed) < self._capacity)

    async def _later(self, letter: Letter) -> None:
        await asyncio.sleep(float(letter.headers[DELAY_HEADER]) * self._scale)
        self._arrive(letter)

    def _arrive(self, letter: Letter) -> None:
        due = letter.headers.get(DUE_HEADER)
        appointment = due / 1000 if isinstance(due, int) else None
        trace = letter.headers.get(TRACE_HEADER)
        delivery = Delivery(
            letter.body,
            letter.key,
            int(letter.headers[ATTEMPT_HEADER]),
            due=appointment,
            lost=int(letter.headers.get(LOST_HEADER, 0)),
            before=int(letter.headers.get(BEFORE_HEADER, 0)),
            traceparent=trace if isinstance(trace, str) else None,
        )
        self._in_hand.add(delivery)
        self._lane.put(delivery)
