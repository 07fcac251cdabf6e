"""Exchanges, bindings and queues as a picture: as they are declared, with what the live broker says of each queue. Pure."""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from console.pages.rendering import plural
from rabbit.depths import Depth
from rabbit.topology import EXCHANGES, QUEUES, Queue

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
    level: str
    round: int


class Binding(msgspec.Struct, frozen=True):
    """A line from an exchange to a queue. `label` stands at `x`, `y`."""

    path: str
    label: str
    x: int
    y: int


class Picture(msgspec.Struct, frozen=True):
    """All of it."""

    boxes: Sequence[Box]
    bindings: Sequence[Binding]
    height: int


def picture(depths: Mapping[str, Depth] | None) -> Picture:
    """Queues on the right, each exchange level with the middle of its queues. None: the broker could not be asked."""
    rows = {queue.name: _TOP + number * _STEP for number, queue in enumerate(QUEUES)}
    places: dict[str, int] = {}
    for exchange in EXCHANGES:
        mine = [rows[queue.name] for queue in QUEUES if queue.exchange == exchange]
        places[exchange] = sum(mine) // len(mine) if mine else _TOP + (len(places) + len(QUEUES) - 5) * _STEP
    boxes = [Box(_LEFT, y, 190, name, EXCHANGES[name], "ok", 18) for name, y in places.items()]
    boxes += [Box(_RIGHT, rows[queue.name], 210, queue.name, *_told(queue, depths), 5) for queue in QUEUES]
    bindings = [_binding(queue, places[queue.exchange] + 18, rows[queue.name] + 18) for queue in QUEUES]
    return Picture(boxes, bindings, _TOP + len(QUEUES) * _STEP)


def _told(queue: Queue, depths: Mapping[str, Depth] | None) -> tuple[str, str]:
    if depths is None:
        return "", "unknown"
    found = depths.get(queue.name)
    if found is None:
        return "missing", "bad"
    return f"{plural(found.messages, 'message')}, {plural(found.consumers, 'consumer')}", "ok"


def _binding(queue: Queue, start: int, end: int) -> Binding:
    label = queue.key or ", ".join(f"{name} = {value}" for name, value in queue.match.items() if name != "x-match")
    return Binding(f"M290 {start}C400 {start} 380 {end} {_RIGHT - 4} {end}", label, 500, end - 5)
