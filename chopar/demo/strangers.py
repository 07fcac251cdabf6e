"""Whether somebody else's agents read from the Kafka that the demo is to use: they would take part of its events."""

import asyncio
from time import monotonic
from typing import Final

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError, for_code

from activity.errors import ChoparError, Unreachable
from activity.names import APP, NOTIFY_APP
from activity.settings import PREFIX, Settings
from chopar.partitions import BUSY
from streams.topics import kafka_address

PATIENCE: Final = 15.0
"""Seconds after which a member that was killed is no longer in its group."""
IDLE: Final = ("Empty", "Dead", "")


async def none_reads(settings: Settings, patience: float = PATIENCE) -> None:
    """Returns once nobody reads. Raises ChoparError if somebody still does after `patience` seconds."""
    end = monotonic() + patience
    while True:
        try:
            groups = await _active(settings)
        except BUSY as error:
            if monotonic() > end:
                raise _unreachable(settings, error) from None
            groups = []
        else:
            if not groups:
                return
        if groups and monotonic() > end:
            raise ChoparError(
                f"{PREFIX}KAFKA_URL: {' and '.join(groups)} read from {kafka_address(settings)} already; "
                "stop them, or leave it out: the demo then starts a Kafka of its own"
            )
        await asyncio.sleep(0.5)


async def _active(settings: Settings) -> list[str]:
    """The groups that have members. Raises one of BUSY when Kafka can't say it just now."""
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka_address(settings))
    try:
        await admin.start()
    except KafkaError as error:
        await admin.close()
        raise _unreachable(settings, error) from None
    try:
        # One at a time: aiokafka reads the answer by an older version's schema, which misplaces all groups after the first.
        answers = [answer for group in (APP, NOTIFY_APP) for answer in await admin.describe_consumer_groups([group])]
    except KafkaError as error:
        if isinstance(error, BUSY):
            raise
        raise _unreachable(settings, error) from None
    finally:
        await admin.close()
    groups = [group for answer in answers for group in answer.groups]
    for code, *_ in groups:
        if issubclass(kind := for_code(code), BUSY):
            raise kind
    return [name for _, name, state, *_ in groups if state not in IDLE]


def _unreachable(settings: Settings, error: Exception) -> Unreachable:
    return Unreachable(f"{PREFIX}KAFKA_URL", kafka_address(settings), str(error) or type(error).__name__, "is Kafka up?")
