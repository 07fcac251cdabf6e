"""A user's state while a chunk is worked on."""

from struct import pack
from typing import Final

from activity.events import Event
from activity.order import State, check_of, extended

_NOT_IN_TURN: Final = -1


class Hand:
    """A state in hand. Events that come in turn are taken in place, at a third of what `order.advance` costs.

    What the state becomes is the same as by `advance`, event by event; what is not in turn is left to `advance`.
    `known`: the offset of the last record that the state knew of when it was taken up. `changed`: that of the last record which
    was decided by it since, or None; `touched`: when that reached Kafka (`order.encode`).
    """

    __slots__ = ("_checks", "_due", "_position", "_source", "_state", "changed", "known", "touched")

    def __init__(self, state: State, known: int) -> None:
        self.known = known
        self.changed: int | None = None
        self.touched = 0.0
        self._state, self._position = state, state.position
        self._source, self._due = "", _NOT_IN_TURN
        self._checks: list[int] = []

    def in_turn(self, event: Event) -> int:
        """The position of `event`, if it is the one that is due and nothing waits behind it; else 0, and nothing has changed."""
        if event.source != self._source:
            self._follow(event.source)
        if event.sequence != self._due:
            return 0
        self._checks.append(check_of(event.id))
        self._due += 1
        self._position += 1
        return self._position

    @property
    def state(self) -> State:
        """The state by now."""
        if self._checks:
            checks = pack(f">{len(self._checks)}I", *self._checks)
            self._state, self._checks = extended(self._state, self._source, checks), []
        return self._state

    def put(self, state: State) -> None:
        """Go on with `state`, which `advance` or `expire` made of the one in hand."""
        self._state, self._position = state, state.position
        self._follow(self._source)

    def _follow(self, name: str) -> None:
        """Look out for the event of source `name` that is due."""
        source = self.state.sources.get(name)
        self._source = name
        self._due = _NOT_IN_TURN if source is None or source.waiting else source.due
