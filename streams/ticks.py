"""Ticks: while an event waits for a missing one, its partition gets a record that lets the sequencer see the time pass."""

import logging
import time

from aiokafka.errors import KafkaError

from activity import names
from activity.sequencing import Pair
from activity.ticks import tick_value
from streams.producer import Producer
from tables.users import Users

log = logging.getLogger(__name__)


async def send_ticks(users: Users, producer: Producer, gap_timeout: float) -> int:
    """Send a tick to each partition of this worker where an event has waited for `gap_timeout` seconds; gives how many.

    A tick that does not arrive is no loss: the next one does.
    """
    before = time.time() - gap_timeout
    due = [number for number, waiting in users.waiting.items() if waiting and min(waiting.values()) <= before]
    tick: Pair = (None, tick_value(gap_timeout), [(names.KIND_HEADER, names.TICK)])
    for partition in due:
        try:
            await producer.send_pairs(names.EVENTS, partition, [tick])
        except KafkaError as error:
            log.debug("tick for partition %d not sent: %r", partition, error)
    return len(due)
