"""Which partitions get a tick, and what it says."""

import time
from collections.abc import Iterable
from typing import Any, cast

import faust
import pytest
from aiokafka.errors import KafkaTimeoutError

from activity import names
from activity.order import State, advance, encode
from activity.settings import parse_settings
from activity.ticks import Tick, tick_of
from streams.producer import Producer
from streams.ticks import Ticks
from tables.users import Users
from tests.activity.examples import Record, event

SETTINGS = parse_settings({"CHOPAR_GAP_TIMEOUT": "5s", "CHOPAR_QUIET_AFTER": "1h"})


class FakeProducer:
    """Notes the ticks by partition; `away` ones raise."""

    def __init__(self, *away: int) -> None:
        self.sent: dict[int, Tick | None] = {}
        self.away = away

    async def send_pairs(self, topic: str, partition: int, pairs: Iterable[Any]) -> None:
        if partition in self.away:
            raise KafkaTimeoutError
        [(key, value, headers)] = pairs
        assert topic == names.EVENTS
        self.sent[partition] = tick_of(Record(key, value, headers=headers))


@pytest.fixture
def users(monkeypatch: pytest.MonkeyPatch) -> Users:
    """At 10,000 s: in partition 1 an event waits since 9,995; in 2 one since 9,996, and a user is quiet since 6,400."""
    monkeypatch.setattr(time, "time", lambda: 10_000.0)
    app = faust.App("test", Table=Users, store="memory://", autodiscover=False, key_serializer="raw", value_serializer="raw")
    app.finalize()
    users = cast(Users, app.Table("users", partitions=4, key_type=bytes, value_type=bytes))
    for partition, since in ((1, 9_995.0), (2, 9_996.0)):
        state, _ = advance(State(), event(2), since)
        users.partition(partition).put({b"w": encode(state, 0, since)}, None)
    users.partition(2).put({"Ğ".encode(): encode(State(), 0, 6_400.0)}, None)
    users.partition(3)
    return users


async def test_a_tick_goes_where_a_gap_is_old_or_users_are_quiet(users: Users) -> None:
    producer = FakeProducer()
    assert await Ticks(users, SETTINGS).send(cast(Producer, producer)) == 2
    assert producer.sent == {1: Tick(5.0), 2: Tick(5.0, 3600.0, ("Ğ",))}


async def test_a_partition_that_cannot_be_reached_does_not_keep_the_others_from_theirs(users: Users) -> None:
    producer = FakeProducer(1)
    await Ticks(users, SETTINGS).send(cast(Producer, producer))
    assert set(producer.sent) == {2}
