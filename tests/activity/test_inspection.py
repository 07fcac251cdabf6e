"""A state in words: what is due, what waits, and why."""

from hypothesis import given
from hypothesis import strategies as st

from activity import order
from activity.inspection import StateView, view
from activity.order import State
from tests.activity.examples import event


def state(*sequences: int | None, sources: tuple[str, ...] = ("/web",)) -> State:
    found = State()
    for number, sequence in enumerate(sequences):
        source = sources[number % len(sources)]
        found, _ = order.advance(found, event(sequence, source=source, id=None if sequence else f"free-{number}"), float(number))
    return found


def seen(of: State, offset: int = 41) -> StateView:
    return view("u-1", 3, order.encode(of, offset, 9.5), 5.0)


def test_what_waits_and_why() -> None:
    found = seen(state(1, 3, 4, 7, 10))
    (source,) = found.sources
    assert (found.next_position, source.next_sequence, source.recent) == (2, 2, 1)
    assert [(held.sequence, held.id, held.why) for held in found.waiting] == [
        (3, "/web-3", "2 has not come"),
        (4, "/web-4", "it follows on 3, which waits too"),
        (7, "/web-7", "5 to 6 have not come"),
        (10, "/web-10", "8 to 9 have not come"),
    ]
    assert (found.waiting[0].since, found.waiting[0].until) == ("1970-01-01T00:00:01.000Z", "1970-01-01T00:00:06.000Z")
    assert found.waiting[0].type == "page.viewed"


def test_the_numbers() -> None:
    found = seen(state(1, 2, 2, None, None))
    assert (found.duplicates, found.recent_ids, found.event_offset, found.last_record) == (1, 2, 41, "1970-01-01T00:00:09.500Z")
    assert (found.user, found.partition, found.quiet, found.bytes) == (
        "u-1",
        3,
        False,
        len(order.encode(state(1, 2, 2, None, None), 41)),
    )


def test_a_gap_that_was_given_up_is_missing_from_what_is_remembered() -> None:
    given_up, _ = order.expire(state(1, 4), 100.0)
    (source,) = seen(given_up).sources
    assert (source.next_sequence, source.recent, source.missing, source.waiting) == (5, 4, 2, [])


def test_a_quiet_user() -> None:
    found = view("u-1", 3, order.encode(order.forget(state(1, 2)), 41, float("inf")), 5.0)
    assert (found.quiet, found.last_record, found.next_position, found.sources[0].recent) == (True, None, 3, 0)


@given(st.lists(st.one_of(st.none(), st.integers(1, 40)), max_size=40))
def test_it_says_what_the_state_says(sequences: list[int | None]) -> None:
    of = state(*sequences, sources=("/web", "/app"))
    found = seen(of)
    assert found.next_position == of.position + 1
    assert {one.source: one.next_sequence for one in found.sources} == {name: one.due for name, one in of.sources.items()}
    assert len(found.waiting) == sum(len(one.waiting) for one in of.sources.values())
    for source in found.sources:
        last = source.next_sequence - 1
        for held in source.waiting:
            missing = held.sequence - last - 1
            assert held.why.startswith("it follows") == (missing == 0)
            last = held.sequence
