"""A user's state while a chunk is worked on. `activity/_hand.pyx` is its compiled twin."""

from collections.abc import Callable
from typing import Final, Literal, Optional, Self

from activity import order
from activity.chunk import Record
from activity.events import Event, log_ending, read_usual, with_ending
from activity.order import State, checks_of, extended

_NOT_IN_TURN: Final = -1


class Hand:
    """A state in hand. Events that come in turn are taken in place, at a fraction of what `order.advance` costs.

    What the state becomes is the same as by `advance`, event by event; what is not in turn is left to `advance`.
    `known`: the offset of the last record that the state knew of when it was taken up. `changed`: that of the last record which
    was decided by it since, or None; `touched`: when that reached Kafka (`order.encode`).
    """

    __slots__ = ("_changed", "_due", "_expected", "_ids", "_last", "_position", "_source", "_state", "_touched", "_user", "known")

    def __init__(self, state: State, known: int) -> None:
        self.known = known
        self._changed: int | None = None
        self._touched = 0.0
        self._last: Record | None = None
        self._state, self._position = state, state.position
        self._user = self._source = self._expected = ""
        self._due = _NOT_IN_TURN
        self._ids: list[str] = []

    @classmethod
    def opened(cls, value: bytes | None) -> Self:
        """The state that `value` holds (`order.encode`), or that of a new user. Raises ValueError if another version wrote it."""
        return cls(State(), -1) if value is None else cls(order.decode(value), order.peek(value)[0])

    @staticmethod
    def take_all(
        records: list[Record],
        at: int,
        hands: dict[bytes, "Hand"],
        take_up: Callable[[bytes], Optional["Hand"]],
        log: list[tuple[bytes, bytes]],
        counts: dict[str, int],
    ) -> int:
        """Decide the records from `at` on that are as records mostly are, up to one that is not; gives where that is.

        What is accepted goes to the end of `log`, how many ended how into `counts`. `hands` has those that are in use; `take_up`
        gives and puts there another user's. (This one does not need it: what is a user's first in a chunk is not usual enough.)
        """
        begin, stamp, ending = at, -1, b""
        for at in range(begin, len(records)):
            record = records[at]
            user, value = record.key, record.value
            hand = hands.get(user)  # type: ignore[arg-type]  # None is no one's key
            if hand is None or record.headers or not (position := hand.take(record, value)):
                break
            if record.timestamp != stamp:
                stamp = record.timestamp
                ending = log_ending("logged", stamp / 1000)
            log.append((user, with_ending(value, position, ending)))  # type: ignore[arg-type]  # neither is None
        else:
            at = len(records)
        if at > begin:
            counts["logged"] = counts.get("logged", 0) + at - begin
        return at

    def take(self, record: Record, value: bytes | None) -> int:
        """The position of the event that `record` holds as its `value`, if a glance tells it; else 0, and nothing has changed.

        That is: it follows on one of the same source that `in_turn` or this has taken, and is as events mostly are.
        `record` has no headers, and `known` is less than its offset.
        """
        found = read_usual(value)
        if found is None or found.sequence != self._expected or found.source != self._source or found.subject != self._user:
            return 0
        self._last = record
        self._ids.append(found.id)
        self._due = due = self._due + 1
        self._expected = str(due)
        self._position = position = self._position + 1
        return position

    def in_turn(self, event: Event) -> int:
        """The position of `event`, if it is the one that is due and nothing waits behind it; else 0, and nothing has changed."""
        if event.source != self._source or event.user != self._user:
            self._follow(event.user, event.source)
        if event.sequence != self._due:
            return 0
        self._ids.append(event.id)
        self._due += 1
        self._expected = str(self._due)
        self._position += 1
        return self._position

    @property
    def state(self) -> State:
        """The state by now."""
        if self._ids:
            self._state = extended(self._state, self._source, checks_of(self._ids))
            self._ids = []
        return self._state

    def put(self, state: State) -> None:
        """Go on with `state`, which `advance` or `expire` made of the one in hand."""
        self._state, self._position = state, state.position
        self._follow(self._user, self._source)

    def encoded(self) -> bytes | None:
        """The state as a table's value, if a record was decided by it."""
        changed = self.changed
        return None if changed is None else order.encode(self.state, changed, self.touched)

    def touch(self, offset: int, at: float) -> None:
        """The record at `offset` was decided by it; it reached Kafka `at` Unix seconds."""
        self._changed, self._touched, self._last = offset, at, None

    @property
    def changed(self) -> int | None:
        """The offset of the last record that was decided by it, or None."""
        return self._changed if self._last is None else self._last.offset

    @property
    def touched(self) -> float:
        """When that record reached Kafka."""
        return self._touched if self._last is None else self._last.timestamp / 1000

    def _follow(self, user: str, source: str) -> None:
        """Look out for the event of `source` that is due."""
        known = self.state.sources.get(source)
        self._user, self._source = user, source
        self._due = _NOT_IN_TURN if known is None or known.waiting else known.due
        self._expected = str(self._due)


COMPILED: type[Hand] | None
"""The compiled twin; None: it was not built here."""
try:
    from activity import _hand
except ImportError:
    COMPILED = None
else:
    COMPILED = _hand.Hand
QUICKEST: Final = COMPILED or Hand


def hand_for(core: Literal["auto", "python"]) -> type[Hand]:
    """What the setting CHOPAR_CORE asks for."""
    return QUICKEST if core == "auto" else Hand


def core_of(hand: type[Hand]) -> str:
    """Its name for people."""
    return "compiled" if hand is COMPILED else "python"
