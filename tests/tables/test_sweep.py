"""Who is proposed as quiet, and how little is looked at in one go."""

import math
from typing import cast

import faust
import pytest

from activity.order import State, encode
from tables import sweep
from tables.sweep import LOOKED, Sweep
from tables.users import Users

WEEK = 7 * 86_400.0


@pytest.fixture
def users() -> Users:
    app = faust.App("test", Table=Users, store="memory://", autodiscover=False, key_serializer="raw", value_serializer="raw")
    app.finalize()
    return cast(Users, app.Table("users", partitions=4, key_type=bytes, value_type=bytes))


def fill(users: Users, partition: int, count: int, touched: float = 0.0, first: int = 0) -> None:
    states = users.partition(partition)
    states.put({b"u%d" % n: encode(State(), 0, touched) for n in range(first, first + count)}, None)


def test_only_the_quiet_are_found(users: Users) -> None:
    fill(users, 1, 2, touched=100.0)
    fill(users, 1, 1, touched=math.inf, first=5)
    fill(users, 1, 1, touched=101.0, first=7)
    fill(users, 2, 1, touched=101.0)
    assert Sweep(users, WEEK).look(100.0 + WEEK) == {1: [b"u0", b"u1"]}


def test_a_round_takes_a_few_states_at_a_time_and_rests_before_the_next(users: Users) -> None:
    fill(users, 1, 2 * LOOKED + 10)
    looking, now = Sweep(users, WEEK), WEEK
    found = []
    for size in (LOOKED, LOOKED, 10, 0):
        quiet = looking.look(now).get(1, [])
        assert len(quiet) == size
        found += quiet
    assert len(set(found)) == 2 * LOOKED + 10, "each once"
    assert looking.look(now + sweep.PAUSE - 1) == {}
    assert len(looking.look(now + sweep.PAUSE)[1]) == LOOKED


def test_a_partition_that_comes_back_is_looked_at_from_its_beginning(users: Users) -> None:
    fill(users, 1, LOOKED + 3)
    looking = Sweep(users, WEEK)
    assert len(looking.look(WEEK)[1]) == LOOKED
    users._partitions.clear()
    users._shelf.drop(1)
    assert looking.look(WEEK) == {}, "it is another worker's"
    fill(users, 1, 1, first=1000)
    assert looking.look(WEEK) == {1: [b"u1000"]}
