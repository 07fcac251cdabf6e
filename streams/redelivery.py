"""Replaying dead letters from within a worker, by its own producer."""

from typing import TYPE_CHECKING, Any

from aiokafka.errors import KafkaError

from activity import names
from activity.errors import Unreachable
from activity.redelivery import Again
from activity.settings import PREFIX, Settings
from rabbit.mail import Writer
from rabbit.redelivery import Parts, Redelivery, Send
from rabbit.templates import Templates
from rabbit.tracing import Tracing
from store.opening import Store
from streams.parts import CurrentRules
from streams.topics import kafka_address, partition_of
from streams.tracing import traced_replay

if TYPE_CHECKING:
    from streams.producer import Producer


def redelivery_parts(settings: Settings, store: Store, send: Send) -> Parts:
    """What replays over a store, by the rules and templates as they are when they are asked for."""
    return Parts(store.letters, store.log, store.jobs, CurrentRules(settings).read, CurrentWriter(settings).read, send)


def worker_redelivery(app: Any, settings: Settings, store: Store, tracing: Tracing) -> Redelivery:
    """Replays for the web server of a worker; `app` is the `streams.app.App`."""

    async def send(again: Again) -> None:
        producer: Producer = app.producer
        partition = partition_of(again.key, settings.partitions)
        try:
            for delivery in await producer.send_pairs(names.EVENTS, partition, [(again.key, again.value, again.headers)]):
                await delivery
        except KafkaError as error:
            problem, remedy = str(error) or type(error).__name__, "the letter is open still; replay it when Kafka is back"
            raise Unreachable(f"{PREFIX}KAFKA_URL", kafka_address(settings), problem, remedy) from None

    return Redelivery(redelivery_parts(settings, store, traced_replay(send, tracing)))


class CurrentWriter:
    """Writes mails by the templates as their files are now; they are compiled again when one has changed."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._read: tuple[list[tuple[str, int]], Writer] | None = None

    def read(self) -> Writer:
        """Raises SettingError that names file and line of what is wrong."""
        folder = self._settings.templates
        files = sorted((file.name, file.stat().st_mtime_ns) for file in folder.iterdir()) if folder.is_dir() else []
        if self._read is None or self._read[0] != files:
            self._read = files, Writer(Templates(folder), self._settings.mail_from)
        return self._read[1]
