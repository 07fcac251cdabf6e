"""Which exchange hands on to which queue, and what differs from what Chopar declares. Pure.

Only bindings from Chopar's own exchanges count. Whoever listens to `LISTENED` binds a queue of its own, which is neither declared
nor strange: those are only counted.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Literal

import msgspec

from rabbit.topology import EXCHANGES, LISTENED, QUEUES, Queue

Where = Literal["both", "declared", "broker"]
"""Who has a binding: `declared`: it is missing on the broker. `broker`: Chopar knows nothing of it."""


class Binding(msgspec.Struct, frozen=True, order=True):
    """From an exchange to a queue, or to an exchange; `match` are its arguments, sorted."""

    exchange: str
    destination: str
    key: str = ""
    match: tuple[tuple[str, str], ...] = ()

    @property
    def label(self) -> str:
        """What a message has to have to go this way."""
        return self.key or ", ".join(f"{name} = {value}" for name, value in self.match if name != "x-match")


class Wiring(msgspec.Struct, frozen=True):
    """As a broker has it: its exchanges of our names with their types, and the bindings from them."""

    exchanges: Mapping[str, str]
    bindings: Sequence[Binding]

    def listeners(self, exchange: str) -> int:
        """How many listen to an exchange of `LISTENED`."""
        return sum(one.exchange == exchange for one in self.bindings)


class Line(msgspec.Struct, frozen=True):
    """A binding, and who has it."""

    binding: Binding
    where: Where


def bound(exchange: str, destination: str, key: str, arguments: Mapping[str, object]) -> Binding:
    """A binding; arguments that are equal are equal here, in whatever order they came."""
    return Binding(exchange, destination, key, tuple(sorted((name, str(value)) for name, value in arguments.items())))


def compare(live: Wiring) -> list[Line]:
    """All that are declared, in their order, then those that only the broker has."""
    there = {one for one in live.bindings if one.exchange not in LISTENED}
    lines = [Line(one, "both" if one in there else "declared") for one in DECLARED.bindings]
    return lines + [Line(one, "broker") for one in sorted(there.difference(DECLARED.bindings))]


def missing(live: Wiring) -> Iterator[str]:
    """What has to be there and is not, each in a few words."""
    for name, kind in EXCHANGES.items():
        found = live.exchanges.get(name)
        if found != kind:
            yield f"exchange {name}" if found is None else f"exchange {name} of type {kind} (it is {found})"
    for line in compare(live):
        if line.where == "declared":
            yield f"binding {line.binding.exchange} to {line.binding.destination}"


def _declared(queue: Queue) -> Binding:
    return bound(queue.exchange, queue.name, queue.key, queue.match)


DECLARED: Final = Wiring(EXCHANGES, [_declared(queue) for queue in QUEUES])
