"""The two brokers of a machine: those the settings name, else Docker's, else private ones."""

import logging
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Final, Self

import msgspec

from activity.errors import ChoparError
from activity.settings import Settings
from brokers import compose, discovery
from brokers.compose import Compose
from brokers.kafka import local_kafka
from brokers.lock import Lock
from brokers.node import Broker, start
from brokers.rabbitmq import local_rabbitmq
from brokers.supervisor import Supervisor

KAFKA: Final = "CHOPAR_KAFKA_URL"
RABBIT: Final = "CHOPAR_RABBIT_URL"
MANAGEMENT: Final = "CHOPAR_RABBIT_MANAGEMENT_URL"
DOCKER_URLS: Final = {KAFKA: compose.KAFKA_URL, RABBIT: compose.RABBIT_URL}
SERVICES: Final = {KAFKA: "kafka", RABBIT: "rabbitmq"}

logger = logging.getLogger(__name__)


class LocalBrokers:
    """Kafka and RabbitMQ while the `async with` lasts; one at a time in a data folder.

    A URL in the settings wins: nothing is started for it, nor for one that is not `wanted`. The other processes of the
    application may be started under `supervisor` too: they are stopped before the brokers.
    """

    def __init__(self, settings: Settings, *, heap_mb: int = 256, wanted: Collection[str] = (KAFKA, RABBIT)) -> None:
        self._settings = settings
        self._wanted = wanted
        self._heap_mb = heap_mb
        self._lock = Lock(discovery.lock_path(settings))
        self._compose = Compose(settings.data_dir)
        self._urls = dict[str, str]()
        self.supervisor = Supervisor(settings.data_dir / "up.json")

    @property
    def kafka_url(self) -> str:
        return self._urls[KAFKA]

    @property
    def rabbit_url(self) -> str:
        return self._urls[RABBIT]

    @property
    def urls(self) -> dict[str, str]:
        """By the name of their setting, for `discovery.announce` and for the environment of a child.

        A RabbitMQ that was started here has a second one, of its management pages.
        """
        return dict(self._urls)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.stop()

    async def start(self) -> None:
        """Both are ready, and announced to other commands, when this returns.

        Raises AlreadyRunning, or another ChoparError with nothing left running.
        """
        try:
            await self._lock.acquire()
            discovery.withdraw(self._settings)
            given = {KAFKA: self._settings.kafka_url, RABBIT: self._settings.rabbit_url}
            self._urls = {name: url for name, url in given.items() if url is not None}
            missing = [name for name, url in given.items() if url is None and name in self._wanted]
            if missing:
                await self._start(missing)
            discovery.announce(self._settings, self._urls)
        except OSError as error:
            await self.stop()
            raise ChoparError(f"CHOPAR_DATA_DIR: {error.strerror} ({error.filename or self._settings.data_dir})") from None
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Stops what was started and nothing else. May be called again."""
        if not self._lock.is_ours:
            return
        try:
            discovery.withdraw(self._settings)
            await self.supervisor.stop()
            await self._compose.down()
        finally:
            self._lock.release()

    async def _start(self, missing: list[str]) -> None:
        if await self._compose.answers():
            logger.info("starting %s in Docker", " and ".join(SERVICES[name] for name in missing))
            await self._compose.up(tuple(SERVICES[name] for name in missing))
            self._urls |= {name: DOCKER_URLS[name] for name in missing}
            return
        rabbit = local_rabbitmq(self._settings)
        private: dict[str, Broker] = {KAFKA: local_kafka(self._settings, heap_mb=self._heap_mb), RABBIT: rabbit}
        for name in missing:
            await start(private[name], self.supervisor)
            self._urls[name] = private[name].url
        if RABBIT in missing:
            self._urls[MANAGEMENT] = rabbit.management_url


@asynccontextmanager
async def one_broker(name: str, settings: Settings) -> AsyncIterator[str]:
    """The URL of `name` (`KAFKA`, `RABBIT`): the settings', else that of a private one that runs while the `async with` lasts.

    A private one has a folder of its own in the data folder: it is not in the way of `chopar up`.
    """
    url = {KAFKA: settings.kafka_url, RABBIT: settings.rabbit_url}[name]
    if url is not None:
        yield url
        return
    apart = msgspec.structs.replace(settings, data_dir=settings.data_dir / "learn")
    logger.info("starting a private %s in %s", SERVICES[name], apart.data_dir)
    async with LocalBrokers(apart, wanted=(name,)) as local:
        yield local.urls[name]
