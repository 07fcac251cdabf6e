"""Endless traffic from a seed: users' events, mostly in order, with all that goes wrong on a sender's side."""

import heapq
import random
from collections import deque
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import msgspec


class Sent(NamedTuple):
    """A record to be sent; `partition` None: where its key belongs."""

    key: bytes | None
    value: bytes
    partition: int | None = None


MISSING: Final = 0.0005
LATE: Final = 0.001
SWAPPED: Final = 0.02
REPEATED: Final = 0.05
WITHOUT_SEQUENCE: Final = 0.05
SPOILT: Final = 0.002
CONTRADICTING: Final = 0.001
MISPLACED: Final = 0.005
SIGNED_UP: Final = 0.02


class Traffic:
    """Iterate over it. `late` is how many records later an event comes that is to miss its gap's timeout."""

    def __init__(self, seed: int, users: int, partitions: int, late: int) -> None:
        self._rng = random.Random(seed)
        self._users = [f"u-{number}" for number in range(users)]
        self._partitions, self._late = partitions, late
        self._sequences: dict[tuple[str, str], int] = {}
        self._held: list[tuple[int, int, Sent]] = []
        self._recent: deque[dict[str, Any]] = deque(maxlen=1000)
        self._step = 0

    def __iter__(self) -> Iterator[Sent]:
        while True:
            self._step += 1
            while self._held and self._held[0][0] <= self._step:
                yield heapq.heappop(self._held)[2]
            yield from self._next()

    def _next(self) -> Iterator[Sent]:
        rng = self._rng
        kind = rng.random()
        if self._recent and kind < REPEATED:
            yield self._place(rng.choice(self._recent))
        elif self._recent and kind < REPEATED + CONTRADICTING:
            yield self._place({**rng.choice(self._recent), "id": f"other-{self._step}"})
        elif kind < REPEATED + CONTRADICTING + SPOILT:
            yield self._spoilt()
        else:
            event = self._event()
            sent = self._place(event)
            held = self._hold() if "sequence" in event else 0
            if held is None:
                return
            if held:
                heapq.heappush(self._held, (self._step + held, self._step, sent))
                return
            self._recent.append(event)
            yield sent

    def _hold(self) -> int | None:
        """How many records later an event comes; None: never."""
        kind = self._rng.random()
        if kind < MISSING:
            return None
        if kind < MISSING + LATE:
            return self._late
        return self._rng.randrange(1, 200) if kind < MISSING + LATE + SWAPPED else 0

    def _event(self) -> dict[str, Any]:
        rng = self._rng
        user = rng.choice(self._users)
        source = "/free" if rng.random() < WITHOUT_SEQUENCE else rng.choice(("/web", "/web", "/web", "/app"))
        number = self._sequences[user, source] = self._sequences.get((user, source), 0) + 1
        event = {
            "specversion": "1.0", "id": f"{number}", "source": source, "type": "page.viewed", "subject": user,
            "data": {"email": f"{user}@shop.example", "name": "Ann", "path": f"/p/{rng.randrange(10**6)}"},
        }  # fmt: skip
        if source != "/free":
            event["sequence"] = str(number)
        if rng.random() < SIGNED_UP:
            event["type"] = "user.signed_up"
        return event

    def _place(self, event: dict[str, Any]) -> Sent:
        key, value = event["subject"].encode(), msgspec.json.encode(event)
        if self._rng.random() < MISPLACED:
            return Sent(self._rng.choice((None, key)), value, self._rng.randrange(self._partitions))
        return Sent(key, value)

    def _spoilt(self) -> Sent:
        user = self._rng.choice(self._users)
        values = (
            b'{"specversion": "1.0", "id"',
            b"[1]",
            b'{"specversion":"1.0","id":"1","source":"/web","type":"t","subject":"x"}',
        )
        return Sent(user.encode(), self._rng.choice(values))
