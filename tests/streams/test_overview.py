"""The overview over two workers: what waits is added up, each is named with its partitions, and one that is away is called so."""

from collections.abc import Sequence

import pytest

from console.pages.overview import _values
from console.pages.rendering import render
from console.pages.snapshot import Snapshot
from console.peers import open_peers
from console.problems import Problem, later
from console.tables import Share
from console.waiting import waiting_routes
from streams.overview import Group, _group
from tables.states import States
from tests.console.serving import TOKEN, serving

HERE = "http://here:6066"


class Two:
    """A `Membership` of this worker and another."""

    def __init__(self, other: str) -> None:
        self._other = other

    def shares(self) -> Sequence[Share]:
        return [Share(HERE, (0, 1, 2, 3), here=True), Share(self._other, (4, 5, 6, 7), here=False)]

    def partition_of(self, user: bytes) -> int:
        raise AssertionError(user)

    def states(self, partition: int) -> States | None:
        raise AssertionError(partition)


async def ask(other: str, token: str = TOKEN) -> Group:
    async with open_peers(token) as peers:
        return await _group(Two(other), peers, lambda: 3)


def told(group: Group) -> str:
    return render("overview_live.html", **_values(Snapshot(0.0, shares=group.shares, waiting=group.waiting, away=group.away)))


async def test_what_waits_at_both_is_added_up_and_both_are_named() -> None:
    async with serving(waiting_routes(lambda: 4), TOKEN) as client:
        other = str(client.make_url("")).rstrip("/")
        group = await ask(other)
    assert (group.waiting, group.away) == (7, {})
    text = told(group)
    assert "7 wait in a gap" in text
    for words in (HERE, other, "<td>0-3</td>", "<td>4-7</td>", "this one", "answers"):
        assert words in text, words
    assert "away" not in text


async def test_one_that_was_killed_is_named_as_away_with_what_it_has() -> None:
    other = "http://127.0.0.1:1"
    group = await ask(other)
    assert (group.waiting, set(group.away)) == (None, {other})
    text = told(group)
    assert f"worker {other} is away" in text
    assert "has partitions 4-7; ClientConnectorError" in text
    assert "- wait in a gap" in text, "what is not known is no number"
    assert HERE in text


async def test_one_with_another_token_or_version_is_named_too() -> None:
    async with serving([], TOKEN) as client:
        other = str(client.make_url("")).rstrip("/")
        assert (await ask(other)).away == {other: "it is of another version"}


async def test_while_partitions_move_at_the_other_nothing_is_told() -> None:
    def moving() -> int:
        raise later("partitions are moving")

    async with serving(waiting_routes(moving), TOKEN) as client:
        with pytest.raises(Problem, match="partitions are moving"):
            await ask(str(client.make_url("")).rstrip("/"))
