"""The flow as a picture: boxes and arrows of an SVG with live numbers on them. Pure.

apps ─▶ sequencer ─▶ archiver ─▶ store
           │  └────▶ notifier ─▶ mailers ─▶ mail server
           ▼                       │ ⇅
      dead letters ◀───────────────┘ delay queues
"""

from collections.abc import Sequence
from math import isinf
from typing import Final, Literal

import msgspec

from activity.names import BULK_QUEUE, DEAD_QUEUE, TRANSACTIONAL_QUEUE
from activity.pace import Reader
from console.pages.rendering import NOTHING, number, plural, rate
from console.pages.snapshot import Snapshot
from rabbit.depths import waiting

Level = Literal["ok", "warn", "bad", "unknown"]
WIDTH: Final = 1180
HEIGHT: Final = 372
BOX: Final = (150, 54)


class Box(msgspec.Struct, frozen=True):
    """A process or a place; `says` is its second line."""

    x: int
    y: int
    name: str
    says: str
    level: Level = "ok"
    link: str = ""


class Arrow(msgspec.Struct, frozen=True):
    """`path` as in SVG. `over` and `under` are the lines of its label, which begins (or is centred) at `x`, `y`."""

    path: str
    over: str
    under: str
    x: int
    y: int
    centred: bool = True
    level: Level = "ok"


class Flow(msgspec.Struct, frozen=True):
    """The picture. `words`: the same for who does not see it."""

    boxes: Sequence[Box]
    arrows: Sequence[Arrow]
    words: str
    width: int = WIDTH
    height: int = HEIGHT


def flow(snapshot: Snapshot) -> Flow:
    """The picture of a snapshot."""
    arrows = _arrows(snapshot)
    words = "; ".join(f"{one.over} {one.under}".strip() for one in arrows)
    return Flow(_boxes(snapshot), arrows, words)


def _boxes(snapshot: Snapshot) -> list[Box]:
    books, mailers = snapshot.books, snapshot.mailers
    away = any(one.away_since is not None for one in mailers or ())
    waits = NOTHING if snapshot.waiting is None else number(snapshot.waiting)
    letters = None if books is None else books.open_letters
    sent = None if books is None else books.jobs.get("sent", 0)
    return [
        Box(15, 40, "applications", "send events"),
        Box(250, 40, "sequencer", f"{waits} wait in a gap", _level(snapshot.reader("sequencer")), "/brokers"),
        Box(520, 40, "archiver", _members(snapshot.reader("archiver")), _level(snapshot.reader("archiver")), "/brokers"),
        Box(790, 40, "store", f"{number(sent)} mails sent", "bad" if "store" in snapshot.problems else "ok", "/jobs"),
        Box(520, 168, "notifier", _members(snapshot.reader("notifier")), _level(snapshot.reader("notifier")), "/brokers"),
        Box(790, 168, "mailers", _pool(snapshot), _pool_level(snapshot), "/jobs"),
        Box(1020, 168, "mail server", _circuit(snapshot), "bad" if away else "ok" if mailers else "unknown"),
        Box(250, 300, "dead letters", f"{number(letters)} open", "warn" if letters else "ok", "/dead-letters"),
        Box(790, 300, "delay queues", f"{_delayed(snapshot)} wait", link="/jobs?state=waiting"),
    ]


def _arrows(snapshot: Snapshot) -> list[Arrow]:
    sequencer, archiver, notifier, desk = (snapshot.reader(name) for name in ("sequencer", "archiver", "notifier", "desk"))
    busy = None if snapshot.mailers is None else sum(one.busy for one in snapshot.mailers)
    urgent, bulk = (_queued(snapshot, queue) for queue in (TRANSACTIONAL_QUEUE, BULK_QUEUE))
    return [
        Arrow("M165 67H246", _comes(sequencer), _lag(sequencer), 207, 58, level=_level(sequencer)),
        Arrow("M400 67H516", _comes(archiver), _lag(archiver), 458, 58, level=_level(archiver)),
        Arrow("M670 67H786", _reads(archiver), "rows", 728, 58),
        Arrow("M425 67V195H516", "", _lag(notifier), 436, 150, centred=False, level=_level(notifier)),
        Arrow("M670 195H786", f"urgent {urgent}", f"bulk {bulk}", 728, 186),
        Arrow("M940 195H1016", plural(busy, "mail") if busy is not None else NOTHING, "in hand", 978, 186),
        Arrow("M325 94V296", "activity.dead", _lag(desk), 336, 226, centred=False, level=_level(desk)),
        Arrow("M815 222V262H425V327H404", f"{DEAD_QUEUE} {_queued(snapshot, DEAD_QUEUE)}", "", 560, 254),
        Arrow("M850 222V296", "", "", 0, 0),
        Arrow("M890 300V226", "try later", "", 900, 266, centred=False),
    ]


def _comes(reader: Reader | None) -> str:
    return NOTHING if reader is None else rate(reader.all.arrival)


def _reads(reader: Reader | None) -> str:
    return NOTHING if reader is None else rate(reader.all.rate)


def _lag(reader: Reader | None) -> str:
    return f"lag {number(None if reader is None else reader.all.lag)}"


def _members(reader: Reader | None) -> str:
    return NOTHING if reader is None else plural(reader.members, "worker")


def _level(reader: Reader | None) -> Level:
    if reader is None:
        return "unknown"
    if not reader.members:
        return "bad"
    return "warn" if isinf(reader.all.catch_up) else "ok"


def _pool(snapshot: Snapshot) -> str:
    """What fits into a box: that the mail server is away stands in its own."""
    if snapshot.mailers is None:
        return NOTHING
    if len(snapshot.mailers) != 1:
        return f"{len(snapshot.mailers)} processes"
    (one,) = snapshot.mailers
    return "waiting" if one.away_since is not None else one.state


def _pool_level(snapshot: Snapshot) -> Level:
    if snapshot.mailers is None:
        return "unknown"
    if not snapshot.mailers:
        return "bad"
    return "ok" if all(one.state == "running" for one in snapshot.mailers) else "warn"


def _circuit(snapshot: Snapshot) -> str:
    if not snapshot.mailers:
        return NOTHING
    return "circuit open" if any(one.away_since is not None for one in snapshot.mailers) else "circuit closed"


def _queued(snapshot: Snapshot, queue: str) -> str:
    found = None if snapshot.queues is None else snapshot.queues.get(queue)
    return number(None if found is None else found.messages)


def _delayed(snapshot: Snapshot) -> str:
    return number(None if snapshot.queues is None else waiting(dict(snapshot.queues)))
