"""How fast mail may go to each domain: how many at once, and how many in a time. Pure: `now` is an argument.

A job over its domain's limit gets an appointment and waits elsewhere until then. Appointments of a domain lie as far
apart as its limit asks for, so that of a hundred thousand jobs that wait each comes back when it is its turn and not
again and again. An urgent job makes none: it goes as soon as the limit allows, before all that wait.
"""

import re
from collections.abc import Mapping
from typing import Final

import msgspec

from activity.hostnames import a_labels

REMEMBERED: Final = 10_000
"""Domains of which it is known when they last had mail; beyond it, who had none for longest is forgotten."""
OTHERS: Final = "*"
_SOON: Final = 0.001
_FULL: Final = 0.05
"""Seconds until it is worth asking again where none may begin before another ends, however short they were so far."""
_SECONDS: Final = {"s": 1.0, "m": 60.0, "h": 3600.0}
_EXPECTED: Final = "expected limits like `gmail.com=2,10/s; *=4` (at once, and in a second s, minute m or hour h)"


class Limit(msgspec.Struct, frozen=True):
    """At most `at_once` at a time (0: any number), begun at least `apart` seconds after one another."""

    at_once: int = 0
    apart: float = 0.0


class DomainLimits(msgspec.Struct, frozen=True):
    """The limits of domains; that of `*` is each other domain's own. `text` is what they were read from."""

    text: str = ""
    by_domain: Mapping[str, Limit] = {}

    def __str__(self) -> str:
        return self.text


def parse_limits(text: str) -> DomainLimits:
    """Reads `gmail.com=2,10/s; *=4`. Raises ValueError that says what was expected."""
    found: dict[str, Limit] = {}
    for entry in filter(None, (part.strip() for part in text.split(";"))):
        name, equals, values = entry.partition("=")
        domain = domain_of(name)
        if not equals or not re.fullmatch(r"\*|[a-z0-9_-]+(\.[a-z0-9_-]+)*", domain):
            raise ValueError(f"{_EXPECTED}, not {entry[:60]!r}")
        if domain in found:
            raise ValueError(f"expected each domain once, {domain} stands there twice")
        found[domain] = _limit(entry, [value.strip() for value in values.split(",")])
    return DomainLimits(text, found)


def _limit(entry: str, values: list[str]) -> Limit:
    at_once, apart = 0, 0.0
    for value in values:
        match = re.fullmatch(r"([1-9]\d{0,5})(?:\s*/\s*([smh]))?", value, re.ASCII)
        if match is None or (apart if match[2] else at_once):
            raise ValueError(f"{_EXPECTED}, not {entry[:60]!r}")
        if match[2]:
            apart = _SECONDS[match[2]] / int(match[1])
        else:
            at_once = int(match[1])
    return Limit(at_once, apart)


def domain_of(to: str) -> str:
    """The domain of an address, in lower case and A-labels; of something else, something that has no limit of its own."""
    return (a_labels(to.rpartition("@")[2].strip(" <>.")) or "").lower()


class _State(msgspec.Struct, eq=False):
    """Of a domain: jobs under way, when the next may begin, the last appointment, how long a job takes."""

    busy: int = 0
    free: float = 0.0
    booked: float = 0.0
    takes: float = 0.0


class Domains:
    """Who may begin now. Whoever may begins, and says so when it is `done`."""

    def __init__(self, limits: Mapping[str, Limit]) -> None:
        self._limits = limits
        self._states: dict[str, _State] = {}

    def ask(self, domain: str, now: float, *, urgent: bool, due: float | None = None) -> float | None:
        """None: it may begin. Else when it shall ask again, with that time as `due`."""
        limit = self._limits.get(domain) or self._limits.get(OTHERS)
        if limit is None:
            return None
        state = self._state(domain)
        state.free = min(state.free, now + limit.apart)  # else a clock set back would hold the domain up
        full = 0 < limit.at_once <= state.busy
        first = urgent or (state.booked <= now if due is None else due <= now)
        if first and not full and state.free <= now:
            state.busy += 1
            state.free = now + limit.apart
            return None
        if due is not None and due > now:
            return due
        each = max(limit.apart, state.takes / (limit.at_once or 1), _SOON)
        if urgent or due is not None:
            return max(state.free, now + max(each, _FULL) if full else now + _SOON)
        state.booked = max(state.booked, now) + each
        return state.booked

    def set_back(self, seconds: float) -> None:
        """The clock that gives `now` was set back by so much: what was booked by it lies as far ahead as before."""
        for state in self._states.values():
            state.booked -= seconds
            state.free -= seconds

    def done(self, domain: str, took: float) -> None:
        """One that might begin has ended, after `took` seconds."""
        if (state := self._states.get(domain)) is not None and state.busy:
            state.busy -= 1
            state.takes = 0.8 * state.takes + 0.2 * took if state.takes else took

    def _state(self, domain: str) -> _State:
        state = self._states.pop(domain, None) or _State()
        self._states[domain] = state  # the one asked for last stands last
        if len(self._states) > REMEMBERED:
            idle = next((name for name, other in self._states.items() if not other.busy), domain)
            if idle != domain:
                del self._states[idle]
        return state
