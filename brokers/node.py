"""A private broker that can be stopped, killed and started again: for tests of outages, and for benchmarks."""

from pathlib import Path
from typing import Generic, Protocol, TypeVar

from brokers.child import Child
from brokers.supervisor import Supervisor


class Broker(Protocol):
    """A broker that can be started: Kafka or RabbitMQ."""

    @property
    def url(self) -> str:
        """Where it listens; known once `children` was called."""

    async def children(self) -> list[Child]:
        """Prepares the first start, and tells what to start, in this order."""


B = TypeVar("B", bound=Broker)


class Node(Generic[B]):
    """A broker with a supervisor of its own. After `stop` or `kill`, `start` brings it back: same URL, same data.

    Not bound to an event loop: it may be started in one and stopped in another.
    """

    def __init__(self, broker: B, record: Path) -> None:
        self.broker = broker
        self._supervisor = Supervisor(record)

    @property
    def url(self) -> str:
        return self.broker.url

    @property
    def pids(self) -> dict[str, int]:
        """Its processes while it runs, by name."""
        return self._supervisor.pids()

    async def start(self) -> None:
        """Returns when it is ready. Raises ChoparError, with nothing left running."""
        try:
            await start(self.broker, self._supervisor)
        except BaseException:
            await self._supervisor.stop()
            raise

    async def stop(self) -> None:
        """As on a planned restart."""
        await self._supervisor.stop()

    async def kill(self) -> None:
        """SIGKILL, as in a power cut."""
        await self._supervisor.kill()


async def start(broker: Broker, supervisor: Supervisor) -> None:
    """Starts a broker's processes under `supervisor`; it is ready when this returns."""
    for child in await broker.children():
        await supervisor.start(child)
