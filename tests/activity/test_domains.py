"""How fast mail may go to each domain: the limit holds whatever comes, and all come through."""

import heapq
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from activity import domains
from activity.domains import DomainLimits, Domains, Limit, domain_of, parse_limits
from activity.retry import tier_within

SLOW = {"a.example": Limit(apart=1.0)}
NARROW = {"a.example": Limit(at_once=1)}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("gmail.com=2", {"gmail.com": Limit(2)}),
        (" GMAIL.com = 10/s ; *=4,30/m;", {"gmail.com": Limit(0, 0.1), "*": Limit(4, 2.0)}),
        ("bücher.example=1/h,3", {"xn--bcher-kva.example": Limit(3, 3600.0)}),
    ],
)
def test_limits_are_read(text: str, expected: dict[str, Limit]) -> None:
    assert parse_limits(text) == DomainLimits(text, expected)
    assert str(parse_limits(text)) == text


@pytest.mark.parametrize(
    ("to", "domain"),
    [
        ("ann@Shop.Example", "shop.example"),
        ("Ann <ann@shop.example>", "shop.example"),
        ('"a@b" <ann@shop.example.>', "shop.example"),
        ("ann@bücher.example", "xn--bcher-kva.example"),
        ("ann@faß.example", "xn--fa-hia.example"),  # not fass.example, which is another's
        ("ann@" + "ü" * 100, ""),
        ("ann@" + "a" * 300, ""),
        ("nobody", "nobody"),
    ],
)
def test_the_domain_of_an_address(to: str, domain: str) -> None:
    assert domain_of(to) == domain


def test_without_a_limit_all_may_begin() -> None:
    assert [Domains(SLOW).ask("b.example", 0.0, urgent=False) for _ in range(5)] == [None] * 5


def test_at_once() -> None:
    rule = Domains({"*": Limit(at_once=2)})
    assert [rule.ask("a.example", 0.0, urgent=True) for _ in range(2)] == [None, None]
    assert rule.ask("a.example", 0.0, urgent=True) is not None
    assert rule.ask("b.example", 0.0, urgent=True) is None, "each domain has its own"
    rule.done("a.example", 0.5)
    assert rule.ask("a.example", 0.1, urgent=True) is None


def test_appointments_lie_as_far_apart_as_the_limit_asks_for() -> None:
    rule = Domains(SLOW)
    assert [rule.ask("a.example", 0.0, urgent=False) for _ in range(4)] == [None, 1.0, 2.0, 3.0]
    assert rule.ask("a.example", 2.0, urgent=False) == 4.0, "who comes later does not go before them"
    assert rule.ask("a.example", 1.5, urgent=False, due=3.0) == 3.0, "too early: the appointment stands"
    assert rule.ask("a.example", 3.0, urgent=False, due=3.0) is None
    assert rule.ask("a.example", 3.2, urgent=False, due=2.0) == 4.0, "missed: as soon as possible"


def test_where_only_so_many_go_at_once_they_lie_as_far_apart_as_one_takes() -> None:
    rule = Domains(NARROW)
    assert rule.ask("a.example", 0.0, urgent=False) is None
    rule.done("a.example", 10.0)
    assert rule.ask("a.example", 10.0, urgent=False) is None
    assert [rule.ask("a.example", 10.0, urgent=False) for _ in range(2)] == [20.0, 30.0]
    rule.done("a.example", 20.0)
    assert rule.ask("a.example", 30.0, urgent=False, due=20.0) is None
    assert rule.ask("a.example", 30.0, urgent=True) == 42.0


def test_an_urgent_one_goes_before_all_that_wait() -> None:
    rule = Domains(SLOW)
    for _ in range(1000):
        rule.ask("a.example", 0.0, urgent=False)
    assert rule.ask("a.example", 0.5, urgent=True) == 1.0
    assert rule.ask("a.example", 1.0, urgent=True) is None


def test_a_clock_set_back_holds_nobody_up() -> None:
    rule = Domains(SLOW)
    assert rule.ask("a.example", 5000.0, urgent=True) is None
    assert rule.ask("a.example", 0.0, urgent=True) == 1.0


def test_an_end_that_nobody_began_changes_nothing() -> None:
    rule = Domains(NARROW)
    rule.done("a.example", 1.0)
    assert rule.ask("a.example", 0.0, urgent=True) is None
    rule.done("a.example", 1.0)
    rule.done("a.example", 1.0)
    assert rule.ask("a.example", 0.0, urgent=True) is None
    assert rule.ask("a.example", 0.0, urgent=True) is not None


def test_only_so_many_domains_are_remembered_and_those_under_way_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(domains, "REMEMBERED", 3)
    rule = Domains({"*": Limit(at_once=1)})
    assert rule.ask("busy.example", 0.0, urgent=True) is None
    for number in range(100):
        assert rule.ask(f"d{number}.example", 0.0, urgent=True) is None
        rule.done(f"d{number}.example", 1.0)
    assert len(rule._states) == 3
    assert rule.ask("busy.example", 0.0, urgent=True) is not None
    for number in range(3):
        assert rule.ask(f"e{number}.example", 0.0, urgent=True) is None
    assert len(rule._states) == 4, "none that is under way is forgotten"


@example([(0.0, True, 1e-6), (0.001, True, 5.0), *[(0.002, True, 0.0)] * 58], 1, 0.0, False)  # a long one after a short one
@given(
    st.lists(st.tuples(st.floats(0, 50), st.booleans(), st.floats(0, 5)), min_size=1, max_size=60),
    st.integers(0, 3),
    st.sampled_from([0.0, 0.1, 1.0, 7.0]),
    st.booleans(),
)
def test_the_limit_holds_and_all_come_through(
    jobs: list[tuple[float, bool, float]], at_once: int, apart: float, by_queue: bool
) -> None:
    """Jobs come, are sent away and come again when they were told to, or sooner, as delay queues bring them."""
    rule = Domains({"*": Limit(at_once, apart)})
    agenda: list[tuple[float, int, str, float | None]] = [(at, number, "comes", None) for number, (at, _, _) in enumerate(jobs)]
    heapq.heapify(agenda)
    begun: list[float] = []
    asked, under_way = 0, 0
    while agenda:
        now, number, what, due = heapq.heappop(agenda)
        _, urgent, takes = jobs[number]
        if what == "ends":
            rule.done("a.example", takes)
            under_way -= 1
            continue
        asked += 1
        again = rule.ask("a.example", now, urgent=urgent, due=due)
        if again is None:
            begun.append(now)
            under_way += 1
            heapq.heappush(agenda, (now + takes, number, "ends", None))
        else:
            assert again > now
            wait = tier_within(again - now) if by_queue and again - now > 1 else again - now
            heapq.heappush(agenda, (now + wait, number, "comes", None if urgent else again))
        assert not at_once or under_way <= at_once
        assert asked < 20_000
    assert len(begun) == len(jobs)
    assert all(later - earlier >= apart - 1e-6 for earlier, later in pairwise(begun))


def test_a_large_mailing_comes_back_a_few_times_only() -> None:
    """Twenty thousand jobs at ten a second, all at once, by way of delay queues: each is asked for a few times, and there is
    never a second in which none goes."""
    rule, count = Domains({"*": Limit(apart=0.1)}), 20_000
    agenda: list[tuple[float, int, float | None]] = [(0.0, number, None) for number in range(count)]
    begun: list[float] = []
    asked = 0
    while agenda:
        now, number, due = heapq.heappop(agenda)
        asked += 1
        again = rule.ask("a.example", now, urgent=False, due=due)
        if again is None:
            begun.append(now)
            rule.done("a.example", 0.01)
        else:
            heapq.heappush(agenda, (now + tier_within(again - now) if again - now > 4 else again, number, again))
    assert len(begun) == count
    assert asked / count < 16
    assert max(later - earlier for earlier, later in pairwise(begun)) < 1.0
    assert begun[-1] < 1.1 * count / 10
