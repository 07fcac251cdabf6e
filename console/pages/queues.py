"""Exchanges, bindings and queues as a picture, from the live broker; what differs from what is declared is marked. Pure."""

from collections.abc import Mapping, Sequence
from typing import Final, Literal

import msgspec

from console.pages.rendering import plural
from rabbit.depths import Depth
from rabbit.topology import EXCHANGES, LISTENED, QUEUES
from rabbit.wiring import DECLARED, Line, Wiring, compare

Level = Literal["ok", "warn", "bad", "unknown"]

MOST_STRANGE: Final = 20
"""So many bindings that Chopar knows nothing of are drawn."""
_LEFT: Final = 15
_RIGHT: Final = 600
_STEP: Final = 46
_TOP: Final = 12


class Box(msgspec.Struct, frozen=True):
    """An exchange or a queue; `says`: what the broker says of it."""

    x: int
    y: int
    width: int
    name: str
    says: str
    level: Level
    round: int


class Arrow(msgspec.Struct, frozen=True):
    """A line from an exchange to a queue. `label` ends at `x`, `y`."""

    path: str
    label: str
    x: int
    y: int
    level: Level


class Picture(msgspec.Struct, frozen=True):
    """All of it. `strange`: what differs, in words; `more`: how many strange bindings are neither drawn nor there."""

    boxes: Sequence[Box]
    arrows: Sequence[Arrow]
    height: int
    strange: Sequence[tuple[Level, str]] = ()
    more: int = 0


_LEVELS: Final[Mapping[str, Level]] = {"both": "ok", "declared": "bad", "broker": "warn"}
_MARKS: Final = {"both": "", "declared": " (missing)", "broker": " (not declared)"}


def picture(depths: Mapping[str, Depth] | None, wiring: Wiring | None) -> Picture:
    """Queues on the right, each exchange level with the middle of its queues. None: that could not be asked."""
    lines = compare(wiring or DECLARED)
    strange = [line for line in lines if line.where == "broker"]
    kept = [line for line in lines if line.where != "broker"] + strange[:MOST_STRANGE]
    rows = _rows(kept)
    places = _places()
    boxes = [Box(_LEFT, y, 190, name, *_exchange(name, wiring), 18) for name, y in places.items()]
    boxes += [Box(_RIGHT, y, 210, name, *_queue(name, depths), 5) for name, y in rows.items()]
    words = [(_LEVELS[line.where], _words(line)) for line in kept if line.where != "both"]
    arrows = [_arrow(line, places[line.binding.exchange] + 18, rows[line.binding.destination] + 18) for line in kept]
    return Picture(boxes, arrows, _TOP + len(rows) * _STEP, words, len(strange) - len(strange[:MOST_STRANGE]))


def _rows(lines: Sequence[Line]) -> dict[str, int]:
    """Where each queue stands: first ours, then those that only a strange binding leads to."""
    names = dict.fromkeys([*(queue.name for queue in QUEUES), *(line.binding.destination for line in lines)])
    return {name: _TOP + number * _STEP for number, name in enumerate(names)}


def _places() -> dict[str, int]:
    rows = {queue.name: _TOP + number * _STEP for number, queue in enumerate(QUEUES)}
    places: dict[str, int] = {}
    for exchange in EXCHANGES:
        mine = [rows[queue.name] for queue in QUEUES if queue.exchange == exchange]
        places[exchange] = sum(mine) // len(mine) if mine else _TOP + (len(places) + len(QUEUES) - 5) * _STEP
    return places


def _exchange(name: str, wiring: Wiring | None) -> tuple[str, Level]:
    if wiring is None:
        return EXCHANGES[name], "unknown"
    kind = wiring.exchanges.get(name)
    if kind is None:
        return "missing", "bad"
    listeners = f", {plural(wiring.listeners(name), 'listener')}" if name in LISTENED else ""
    return f"{kind}{listeners}", "ok" if kind == EXCHANGES[name] else "bad"


def _queue(name: str, depths: Mapping[str, Depth] | None) -> tuple[str, Level]:
    if name not in _OURS:
        return "not declared by Chopar", "warn"
    if depths is None:
        return "", "unknown"
    found = depths.get(name)
    if found is None:
        return "missing", "bad"
    return f"{plural(found.messages, 'message')}, {plural(found.consumers, 'consumer')}", "ok"


def _arrow(line: Line, start: int, end: int) -> Arrow:
    if line.where == "broker":  # beside the declared one
        end += 12
    path = f"M290 {start}C400 {start} 380 {end} {_RIGHT - 4} {end}"
    return Arrow(path, line.binding.label + _MARKS[line.where], _RIGHT - 14, end - 5, _LEVELS[line.where])


def _words(line: Line) -> str:
    told = {"declared": "missing on the broker", "broker": "on the broker, not declared by Chopar"}[line.where]
    one = line.binding
    return f"{one.exchange} → {one.destination}{f' ({one.label})' if one.label else ''}: {told}"


_OURS: Final = frozenset(queue.name for queue in QUEUES)
