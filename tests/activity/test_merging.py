"""A timeline's pages: each event and each letter once, in an order that does not depend on where pages end."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from activity.dead import ActionRow, DeskEntry, LetterState
from activity.events import rfc3339
from activity.letters import letter_story
from activity.merging import Place, Stretch, merge
from activity.timeline import EventStory, Logged, stories
from tests.activity.test_timeline import RULES, history, logged

ENTRY = DeskEntry("l-1", "open", "activity.events", 3, 7, "not-json", "byte 0", "", 10.0, [])
times = st.integers(0, 5).map(float)


def received(position: int, at: float) -> Logged:
    one = logged(position)
    return replace(one, record=replace(one.record, received=rfc3339(at)))


@st.composite
def sources(draw: st.DrawFn) -> tuple[list[Logged], list[DeskEntry]]:
    """Events by position, received in any order, and letters by when they died, many at the same moment; newest first."""
    events = [received(position, at) for position, at in enumerate(draw(st.lists(times, max_size=8)), 1)]
    letters = [replace(ENTRY, id=f"l-{n}", first_seen=at) for n, at in enumerate(draw(st.lists(times, max_size=8)))]
    return events[::-1], sorted(letters, key=died, reverse=True)


def died(letter: DeskEntry) -> tuple[float, str]:
    return letter.first_seen, letter.id


def paged(
    events: Sequence[Logged], letters: Sequence[DeskEntry], limit: int, at_once: int
) -> tuple[list[Logged | DeskEntry], list[int]]:
    """All pages, read from where the one before ended, at most `at_once` events a page; and their lengths."""
    place: Place | None = Place()
    found, lengths = list[Logged | DeskEntry](), list[int]()
    while place is not None:
        before, after = place.event, place.letter
        some = [one for one in events if before is None or one.record.position < before]
        dead = [one for one in letters if after is None or died(one) < after]
        first = Stretch(some[: min(at_once, limit)], more=len(some) > min(at_once, limit))
        page, place = merge(first, Stretch(dead[:limit], more=len(dead) >= limit), place, limit)
        assert page or place is None, "a page without anything leads nowhere"
        found += page
        lengths.append(len(page))
    return found, lengths


@given(sources(), st.integers(1, 20), st.integers(1, 20))
def test_no_page_loses_or_repeats_an_entry(given_: tuple[list[Logged], list[DeskEntry]], limit: int, at_once: int) -> None:
    events, letters = given_
    found, lengths = paged(events, letters, limit, at_once)
    assert [one for one in found if isinstance(one, Logged)] == events
    assert [one for one in found if isinstance(one, DeskEntry)] == letters
    assert found == paged(events, letters, 100, 100)[0], "the order depends on where pages end"
    assert max(lengths) <= limit
    if at_once >= limit:
        assert all(length == limit for length in lengths[:-1])


@given(sources())
def test_where_events_came_in_their_order_all_is_by_time(given_: tuple[list[Logged], list[DeskEntry]]) -> None:
    events, letters = given_
    moments = sorted(one.record.received for one in events)
    ordered = [replace(one, record=replace(one.record, received=at)) for one, at in zip(events, reversed(moments), strict=True)]
    found, _ = paged(ordered, letters, 3, 3)
    shown = [one.record.received if isinstance(one, Logged) else rfc3339(one.first_seen) for one in found]
    assert shown == sorted(shown, reverse=True)


def test_what_died_as_an_event_came_is_newer() -> None:
    event = received(1, 10.0)
    assert merge(Stretch([event], more=False), Stretch([ENTRY], more=False), Place(), 2) == ([ENTRY, event], None)


def test_a_page_is_told_in_its_order_and_a_job_names_its_letter() -> None:
    event = logged()
    job = history(event, "welcome", "dead")
    letter, told, _ = stories([ENTRY, event, replace(ENTRY, id="l-2")], RULES, [job], {job.job.id: "l-9"})
    assert letter == letter_story(ENTRY)
    assert isinstance(told, EventStory)
    assert {rule.job.id: rule.job.letter for rule in told.rules if rule.job} == {job.job.id: "l-9"}


@pytest.mark.parametrize(
    ("origin", "state", "says"),
    [
        (
            "activity.events",
            "open",
            "an event was refused and is not in the log; it waits at the desk for a person",
        ),
        ("activity.log", "discarded", "a record of the log could not be passed on; discarded by bob"),
        ("email.bulk", "replayed", "a mail was given up; replayed by cy"),
        ("activity.dead", "open", "it does not say where it was refused; it waits at the desk for a person"),
    ],
)
def test_a_letter_in_a_sentence(origin: str, state: LetterState, says: str) -> None:
    actions = [
        ActionRow(1, 11.0, "ann", "discarded", ""),
        ActionRow(2, 12.0, "ann", "reopened", ""),
        ActionRow(3, 13.0, "bob", "discarded", ""),
        ActionRow(4, 14.0, "cy", "replayed", ""),
    ]
    assert letter_story(replace(ENTRY, origin=origin, state=state, actions=actions)).says == says
