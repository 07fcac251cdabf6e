"""Finding the users that are quiet: a few states at a time, round after round, so that nobody waits for it."""

from collections.abc import Iterator
from itertools import islice
from typing import Final

from activity.order import is_quiet
from tables.states import States
from tables.users import Users

LOOKED: Final = 250
"""How many states of a partition are looked at in one go: a tick can name them all, and a second has time for it."""
PAUSE: Final = 60.0


class Sweep:
    """Call `look` every second or so. It only proposes: who is quiet is decided where the tick that names them is read."""

    def __init__(self, users: Users, quiet_after: float) -> None:
        self._users, self._quiet_after = users, quiet_after
        self._pause = min(PAUSE, quiet_after / 10)
        self._rounds: dict[int, tuple[States, Iterator[tuple[bytes, bytes]]]] = {}
        self._next: dict[int, float] = {}

    def look(self, now: float) -> dict[int, list[bytes]]:
        """The users found quiet at `now` (Unix seconds), by partition."""
        found: dict[int, list[bytes]] = {}
        before = now - self._quiet_after
        for number, states in self._users.partitions_here.items():
            known, left = self._rounds.get(number, (None, iter(())))
            seen = list(islice(left, LOOKED)) if known is states else []
            if not seen and (known is not states or now >= self._next[number]):
                left = states.each()
                self._rounds[number], self._next[number] = (states, left), now + self._pause
                seen = list(islice(left, LOOKED))
            if quiet := [user for user, value in seen if is_quiet(value, before)]:
                found[number] = quiet
        return found
