"""The traffic of a small shop, with everything that goes wrong in one, and what is to become of each record. Pure: the same
seed gives the same traffic; the run's name only keeps its users and sources apart from those of other runs.
"""

import random
from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise
from typing import Final

import msgspec

from chopar.demo.customers import IMPORTS, Customer
from chopar.demo.poison import KINDS
from chopar.demo.traffic import Planned, Traffic, user_prefix

FEWEST: Final = 100
"""The fewest records that have some of everything."""
REPEATED, SWAPPED, MISSING, POISONED = 0.05, 0.02, 0.012, 0.01
LATE_SHARE: Final = 0.25
"""Of the missing events, those that come after all."""
IMPORTED: Final = (1, 400, 100)
"""The numbers of a source that jumps: after the 400th the 100th is too old to tell whether it came before."""
NO_ADDRESS: Final = 2
TYPING_ERROR: Final = "anna(at)@example.com"


def traffic(seed: int, run: str, events: int = 2000) -> Traffic:
    """`events` records in all. Raises ValueError for fewer than `FEWEST`."""
    if events < FEWEST:
        raise ValueError(f"at least {FEWEST} events are needed to have some of everything")
    source = random.Random(f"shop {seed}")  # noqa: S311 - traffic that can be repeated, no secrets
    repeats, poisoned = round(REPEATED * events), max(len(KINDS), round(POISONED * events))
    missing = max(4, round(MISSING * events))
    late = max(1, round(LATE_SHARE * missing))
    customers = _customers(source, run, max(5, min(100, events // 10)))
    wanted = events - repeats - poisoned - 1 + (missing - late)
    good = _lives(source, customers, wanted)
    sent, latecomers = _take_out(source, good, missing, late)
    _swap(source, sent, max(2, round(SWAPPED * events)))
    sent = _insert(source, sent, _repeats(source, sent, repeats))
    sent = _insert(source, sent, _poison(source, sent, poisoned))
    return Traffic(run, sent, [*latecomers, customers[0].imported(IMPORTED[2], "too-old")])


def _customers(source: random.Random, run: str, count: int) -> list[Customer]:
    """Each tenth has a mail server that refuses first tries, each 25th one that refuses all; one made a typing error."""
    made = []
    for number in range(count):
        mailbox = "refused." if number % 25 == 3 else "retry." if number % 10 == 4 else TYPING_ERROR if number == 1 else ""
        made.append(Customer(source, run, f"{user_prefix(run)}{number:03d}", mailbox))
    return made


def _lives(source: random.Random, customers: list[Customer], wanted: int) -> list[Planned]:
    """What the customers do, interleaved. A few things happen for certain, so that the demo always shows them."""
    events = [customer.next() for customer in customers]
    events += [customers[0].imported(IMPORTED[0]), customers[0].imported(IMPORTED[1])]
    events += [source.choice(customers).subscribe({"list": "new arrivals"}) for _ in range(NO_ADDRESS)]
    while len(events) < wanted:
        events.append(source.choice(customers).next())
    return events


def _take_out(source: random.Random, good: list[Planned], missing: int, late: int) -> tuple[list[Planned], list[Planned]]:
    """The events without those that never come in time, and the ones of those that come late.

    A missing one has a successor that comes: without it nobody could tell that it is missing.
    """
    candidates = [index for index, successor in _successors(good) if good[successor].identity]
    source.shuffle(candidates)
    successor_of = dict(_successors(good))
    chosen: list[int] = []
    kept: set[int] = set()
    for index in candidates:
        if len(chosen) == missing:
            break
        if index not in kept and successor_of[index] not in chosen and _is_page_view(good[index]):
            chosen.append(index)
            kept.add(successor_of[index])
    gone = set(chosen)
    latecomers = [msgspec.structs.replace(good[index], fate="late") for index in sorted(chosen[:late])]
    return [event for index, event in enumerate(good) if index not in gone], latecomers


def _swap(source: random.Random, sent: list[Planned], count: int) -> None:
    """Lets `count` events change places with their successors."""
    pairs = list(_successors(sent))
    source.shuffle(pairs)
    used: set[int] = set()
    for index, successor in pairs:
        if count == 0:
            return
        if index in used or successor in used or _source(sent[index]) == IMPORTS:
            continue
        used |= {index, successor}
        sent[index], sent[successor] = sent[successor], msgspec.structs.replace(sent[index], swapped=True)
        count -= 1


def _repeats(source: random.Random, sent: list[Planned], count: int) -> list[tuple[int, Planned]]:
    """Records that are sent again, each with the place of the first one."""
    places = source.sample([place for place, event in enumerate(sent) if _source(event) != IMPORTS], count)
    return [(place, msgspec.structs.replace(sent[place], fate="duplicate", swapped=False)) for place in places]


def _poison(source: random.Random, sent: list[Planned], count: int) -> list[tuple[int, Planned]]:
    """Records that are no events, each with the place of the event that it was made from."""
    made = []
    places = {place for pair in _successors(sent) for place in pair if sent[place].fate == "logged"}
    chosen = source.sample([place for place in sorted(places) if _source(sent[place]) != IMPORTS], count)
    for number, place in enumerate(chosen):
        reason = list(KINDS)[number % len(KINDS)]
        value = KINDS[reason](msgspec.json.decode(sent[place].value or b""))
        made.append((place, Planned(sent[place].key, value, "dead", None, reason)))
    return made


def _insert(source: random.Random, sent: list[Planned], more: list[tuple[int, Planned]]) -> list[Planned]:
    """`sent` with each of `more` at some place after its own."""
    places = [(float(place), record) for place, record in enumerate(sent)]
    places += [(min(place + source.randrange(1, 200), len(sent)) + 0.5, record) for place, record in more]
    return [record for _, record in sorted(places, key=lambda placed: placed[0])]


def _successors(events: list[Planned]) -> Iterator[tuple[int, int]]:
    """The places of each counted event and of the next one of the same user and source."""
    places: defaultdict[tuple[bytes, str], list[int]] = defaultdict(list)
    for place, event in enumerate(events):
        if event.identity is not None and event.identity.sequence is not None:
            places[event.key, event.identity.source].append(place)
    for stream in places.values():
        yield from pairwise(stream)


def _source(event: Planned) -> str:
    return event.identity.source.rpartition("/")[2] if event.identity else ""


def _is_page_view(event: Planned) -> bool:
    return _source(event) == "web" and b'"page.viewed"' in (event.value or b"")
