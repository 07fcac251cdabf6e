"""The input, the same for every side: events of about 200 bytes, some sent twice, some in the wrong order."""

import random
from collections import Counter, deque
from collections.abc import Iterator
from typing import Final

import msgspec
from aiokafka.partitioner import murmur2

REPEATED: Final = 0.05
SWAPPED: Final = 0.02
RECENT: Final = 1_000
"""How far back a repeat may lie."""


class Sent(msgspec.Struct, frozen=True, gc=False):
    """A record of the input."""

    user: str
    partition: int
    value: bytes


class Input:
    """`records` events of `users` users; the same seed gives the same ones.

    `distinct` fills as they are taken: how many different events each user has, which are numbered from 1 without holes.
    """

    def __init__(self, records: int, users: int, partitions: int = 8, seed: int = 7) -> None:
        self._records, self._partitions = records, partitions
        self._users = [f"u-{number}" for number in range(users)]
        self._random = random.Random(seed)  # noqa: S311  (no secret)
        self.distinct: Counter[str] = Counter()

    def __iter__(self) -> Iterator[Sent]:
        recent: deque[Sent] = deque(maxlen=RECENT)
        held: dict[str, Sent] = {}
        sent = 0
        while sent + len(held) < self._records:
            if recent and self._random.random() < REPEATED:
                yield self._random.choice(recent)
                sent += 1
                continue
            event = self._next(self._random.choice(self._users))
            before = held.pop(event.user, None)
            if before is None and self._random.random() < SWAPPED:
                held[event.user] = event
                continue
            for one in (event, before) if before else (event,):
                recent.append(one)
                yield one
                sent += 1
        yield from held.values()

    def _next(self, user: str) -> Sent:
        self.distinct[user] += 1
        return Sent(user, partition_of(user, self._partitions), event(user, self.distinct[user]))


def event(user: str, number: int) -> bytes:
    """The `number`th event of `user`."""
    return (
        f'{{"specversion":"1.0","id":"{user}-{number}","source":"/web","type":"page.viewed","subject":"{user}",'
        f'"sequence":"{number}","time":"2026-01-31T09:30:00Z","data":{{"page":"/products/{number % 997}","from":"/search"}}}}'
    ).encode()


def partition_of(user: str, partitions: int) -> int:
    """Where Kafka's default partitioner puts the user."""
    number: int = (murmur2(user.encode()) & 0x7FFFFFFF) % partitions
    return number
