"""When the circuit opens."""

from activity.outcomes import Dead, Outcome, Retry, Sent, Unknown
from rabbit.circuit import Circuit

AWAY = Retry("away", burn=False)


def test_opens_at_the_third_in_a_row_and_says_so_once() -> None:
    circuit = Circuit(3)
    assert [circuit.note(AWAY) for _ in range(5)] == [False, False, True, False, False]
    assert circuit.open


def test_any_other_outcome_begins_the_count_anew() -> None:
    others: list[Outcome] = [Sent(), Retry("451"), Dead("refused"), Unknown("lost")]
    for other in others:
        circuit = Circuit(2)
        assert [circuit.note(outcome) for outcome in (AWAY, other, AWAY)] == [False] * 3
        assert not circuit.open


def test_closed_it_counts_from_nothing() -> None:
    circuit = Circuit(2)
    assert [circuit.note(AWAY) for _ in range(2)] == [False, True]
    circuit.close()
    assert not circuit.open
    assert [circuit.note(AWAY) for _ in range(2)] == [False, True]
