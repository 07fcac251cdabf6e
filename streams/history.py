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
    """Raises Mismatch when the states know of more than Kafka has.

    If `activity.events` was made anew its offsets begin again, and every new event would look like one that was read before. If
    the changelog is shorter than what a disk has of it, Kafka has lost records.
    """
    newest = {TP(names.EVENTS, number): offset for number, offset in users.newest_offsets().items()}
    here = {TP(names.USERS_CHANGELOG, number): states.offset for number, states in users.partitions_here.items()}
    reached = {tp: offset for tp, offset in here.items() if offset is not None}
    try:
        ends = await consumer.highwaters(*newest, *reached)
    except KafkaError as error:  # raised here it would end the worker; the next rebalance looks again
        log.warning("could not look whether %s is the one that the states know: %r", names.EVENTS, error)
        return
    for tp, offset in newest.items():
        if offset >= (ends.get(tp) or 0):
            raise Mismatch(
                f"table {names.USERS} knows of offset {offset} on {tp.topic}/{tp.partition}, which ends at {ends.get(tp)}: "
                f"the topic was made anew; delete {names.USERS_CHANGELOG} as well to begin a new history"
            )
    for tp, offset in reached.items():
        if offset >= (ends.get(tp) or 0):
            raise Mismatch(
                f"the states on disk have {tp.topic}/{tp.partition} up to offset {offset}, but it ends at {ends.get(tp)}: "
                f"Kafka has lost records; delete the folder `{names.APP}/states` in the data folder to go on with what Kafka has"
            )
