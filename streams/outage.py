"""Kafka's outages in the log: one line when one begins, one when it ends.

aiokafka and Faust report each failed request, some hundreds a second. Those records are dropped; what they mean is said.
"""

import logging
from time import monotonic
from typing import Final

log = logging.getLogger(__name__)

QUIET: Final = 2.0
"""Seconds without a failed request after which an outage is over; aiokafka tries some times a second."""
NOISY: Final = (
    "aiokafka",
    "aiokafka.admin.client",
    "aiokafka.cluster",
    "aiokafka.conn",
    "aiokafka.consumer.consumer",
    "aiokafka.consumer.fetcher",
    "aiokafka.consumer.group_coordinator",
    "aiokafka.producer.producer",
    "aiokafka.producer.sender",
)


class KafkaOutage(logging.Filter):
    """Attach it to the noisy loggers with `listen()`; call `ended()` whenever Kafka has answered."""

    def __init__(self) -> None:
        super().__init__()
        self._began: float | None = None
        self._met = False
        self._failed = float("-inf")

    def listen(self) -> None:
        """Stand before aiokafka's loggers."""
        for name in NOISY:
            logger = logging.getLogger(name)
            for other in [known for known in logger.filters if isinstance(known, KafkaOutage)]:
                logger.removeFilter(other)
            logger.addFilter(self)

    @property
    def is_on(self) -> bool:
        """Whether Kafka is away at present."""
        return self._began is not None

    def filter(self, record: logging.LogRecord) -> bool:
        """Drops what aiokafka warns of; the first such record is the beginning of an outage if it is about a connection."""
        if record.levelno < logging.WARNING:
            return True
        text = record.getMessage()
        if any(sign in text for sign in _SIGNS):
            self._failed = monotonic()
            if self._met and self._began is None:
                self._began = monotonic()
                log.warning("Kafka is away; the work waits and goes on by itself: %s", text)
            return False
        return self._began is None

    def ended(self) -> None:
        """Kafka has answered. It is back if nothing has failed for a while: one broker of it may be, and another not.

        Before it answered once, whoever starts the worker says what is wrong.
        """
        self._met = True
        if self._began is not None and monotonic() - self._failed > QUIET:
            log.warning("Kafka is back after %.1f s", monotonic() - self._began)
            self._began = None


_SIGNS: Final = ("ConnectionError", "Unable connect", "Unable to request metadata", "Unable to update metadata", "NodeNotReady")
