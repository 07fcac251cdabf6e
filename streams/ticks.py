"""The clock: while an event waits for a missing one, or users are long quiet, their partition gets a record that says so."""

import logging
import time
from collections.abc import Mapping

from aiokafka.errors import KafkaError

from activity import names
from activity.settings import Settings
from activity.ticks import tick_value
from streams.producer import Producer
from tables.sweep import Sweep
from tables.users import Users

log = logging.getLogger(__name__)


class Ticks:
    """Sends a tick to each partition of this worker that needs one; call `send` every second or so."""

    def __init__(self, users: Users, settings: Settings) -> None:
        self._users, self._settings = users, settings
        self._sweep = Sweep(users, settings.quiet_after)

    async def send(self, producer: Producer) -> int:
        """Gives how many were sent. A tick that does not arrive is no loss: a later one does."""
        now = time.time()
        gap_timeout, quiet_after = self._settings.gap_timeout, self._settings.quiet_after
        quiet = self._sweep.look(now)
        due = [number for number, states in self._users.partitions_here.items() if _is_due(states.waiting, now - gap_timeout)]
        ticks = {number: tick_value(gap_timeout) for number in due}
        ticks |= {number: tick_value(gap_timeout, quiet_after, users) for number, users in quiet.items()}
        for number, value in ticks.items():
            try:
                await producer.send_pairs(names.EVENTS, number, [(None, value, [(names.KIND_HEADER, names.TICK)])])
            except KafkaError as error:
                log.debug("tick for partition %d not sent: %r", number, error)
        return len(ticks)


def _is_due(waiting: Mapping[bytes, float], before: float) -> bool:
    return bool(waiting) and min(waiting.values()) <= before
