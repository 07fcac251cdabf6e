"""The demo's traffic is what it says: the pure rules, run over it, give every record the fate that is planned for it."""

from collections import Counter

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from activity import order
from activity.events import Event, Refused, decode
from activity.order import Accepted, Duplicate, State
from chopar.demo.poison import KINDS
from chopar.demo.shop import FEWEST, traffic
from chopar.demo.traffic import Identity, Planned, Traffic, is_of_run

SIZES = st.integers(FEWEST, 700)
SEEDS = st.integers()


class Sequencer:
    """The sequencer's rules over a plan, with nothing around them."""

    def __init__(self) -> None:
        self.states: dict[bytes, State] = {}
        self.verdicts: dict[Identity, str] = {}
        self.duplicates = 0
        self.dead: list[tuple[Planned, str]] = []

    def take(self, record: Planned, now: float) -> None:
        event = decode(record.key, record.value)
        if isinstance(event, Refused):
            self.dead.append((record, event.reason))
            return
        assert isinstance(event, Event)
        state, decisions = order.advance(self.states.get(record.key, State()), event, now)
        self._note(record.key, state, decisions)
        for decision in decisions:
            if isinstance(decision, Refused):
                self.dead.append((record, decision.reason))
            self.duplicates += isinstance(decision, Duplicate)

    def give_up_gaps(self, before: float) -> None:
        for key, state in self.states.items():
            self._note(key, *order.expire(state, before))

    def _note(self, key: bytes, state: State, decisions: list[order.Decision]) -> None:
        self.states[key] = state
        for decision in decisions:
            if isinstance(decision, Accepted):
                event = decode(None, decision.raw)
                assert isinstance(event, Event)
                identity = Identity(event.user, event.source, event.id, event.sequence)
                assert identity not in self.verdicts
                self.verdicts[identity] = decision.verdict


def sequenced(plan: Traffic) -> Sequencer:
    sequencer = Sequencer()
    for record in plan.records:
        sequencer.take(record, now=1.0)
    sequencer.give_up_gaps(before=1.0)
    for record in plan.latecomers:
        sequencer.take(record, now=10.0)
    return sequencer


@settings(max_examples=40, deadline=None)
@given(seed=SEEDS, events=SIZES)
def test_every_record_meets_the_fate_that_is_planned_for_it(seed: int, events: int) -> None:
    plan = traffic(seed, "abcd", events)
    found = sequenced(plan)
    assert found.verdicts == {record.identity: record.fate for record in plan.good}
    assert found.duplicates == sum(record.fate == "duplicate" for record in plan.all)
    assert [(record, record.reason) for record in plan.all if record.fate == "dead"] == found.dead
    assert not any(source.waiting for state in found.states.values() for source in state.sources.values())


@settings(max_examples=40, deadline=None)
@given(seed=SEEDS, events=SIZES)
def test_there_is_some_of_everything(seed: int, events: int) -> None:
    plan = traffic(seed, "abcd", events)
    fates = Counter(record.fate for record in plan.all)
    assert len(plan.all) == events
    assert fates["duplicate"] == round(0.05 * events)
    assert fates["late"] >= 1
    assert sum(record.swapped for record in plan.all) == max(2, round(0.02 * events))
    assert {record.reason for record in plan.all if record.fate == "dead"} == {*KINDS, "too-old"}
    types = {msgspec.json.decode(record.value or b"")["type"] for record in plan.good}
    assert types >= {"user.signed_up", "page.viewed", "newsletter.subscribed"}


@settings(max_examples=20, deadline=None)
@given(seed=SEEDS, events=SIZES)
def test_without_the_gaps_something_would_be_missing(seed: int, events: int) -> None:
    """Before the gaps are given up some events wait: the demo shows what a gap is."""
    sequencer = Sequencer()
    for record in traffic(seed, "abcd", events).records:
        sequencer.take(record, now=1.0)
    assert any(source.waiting for state in sequencer.states.values() for source in state.sources.values())


def test_the_same_seed_makes_the_same_traffic_and_another_run_other_users() -> None:
    first, again, other = traffic(3, "aaaa", 200), traffic(3, "aaaa", 200), traffic(3, "bbbb", 200)
    assert first == again
    assert not set(first.users) & set(other.users)
    assert [record.fate for record in first.all] == [record.fate for record in other.all]
    assert all(is_of_run(record.key, "aaaa") and not is_of_run(record.key, "bbbb") for record in first.all)


def test_a_shop_too_small_for_everything_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 100"):
        traffic(1, "aaaa", FEWEST - 1)


def test_the_default_size_is_as_the_readme_says() -> None:
    plan = traffic(1, "abcd")
    assert (len(plan.all), len(plan.users)) == (2000, 100)
