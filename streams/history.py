"""Whether the states and the events they were made of belong together."""

import logging
from typing import Any

from aiokafka.errors import KafkaError
from faust.types import TP

from activity import names
from activity.errors import Mismatch
from tables.users import Users

log = logging.getLogger(__name__)


async def check_history(consumer: Any, users: Users) -> None:
    """Raises Mismatch when a state knows of more events than there are: `activity.events` was made anew.

    Its offsets begin again then, and every new event would look like one that was read before.
    """
    newest = users.newest_offsets()
    try:
        ends = await consumer.highwaters(*(TP(names.EVENTS, partition) for partition in newest))
    except KafkaError as error:  # raised here it would end the worker; the next rebalance looks again
        log.warning("could not look whether %s is the one that the states know: %r", names.EVENTS, error)
        return
    for tp, end in ends.items():
        if newest[tp.partition] >= (end or 0):
            raise Mismatch(
                f"table {names.USERS} knows of offset {newest[tp.partition]} on {tp.topic}/{tp.partition}, which ends at {end}: "
                f"the topic was made anew; delete {names.USERS_CHANGELOG} as well to begin a new history"
            )
