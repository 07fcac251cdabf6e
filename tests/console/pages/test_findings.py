"""Is all well, and if not, where: the overview's one line, and the numbers on its arrows."""

from itertools import pairwise
from typing import Any

import pytest
from msgspec.structs import replace

from activity.accounts import Verdict as Audited
from activity.names import APP, BULK_QUEUE, CONTROL_EXCHANGE, DEAD_EXCHANGE, DEAD_QUEUE, EVENTS, JOBS_EXCHANGE
from console.pages.findings import verdict
from console.pages.flow import BOX, HEIGHT, WIDTH, flow
from console.pages.queues import MOST_STRANGE, picture
from console.pages.snapshot import Books, Snapshot
from rabbit.depths import Depth
from rabbit.topology import EXCHANGES, QUEUES
from rabbit.wiring import DECLARED, bound
from store.deadletters import LetterGroup
from tests.console.pages.showing import MAILER, WELL, reader, with_reader

GROUP = LetterGroup("not-json", EVENTS, 21, 1, 0, 1.0, 2.0)
assert WELL.books is not None
assert WELL.queues is not None

DIFFERENT: dict[str, tuple[Snapshot, str, str]] = {
    "no worker": (with_reader(reader("sequencer", APP, EVENTS, members=0, lag=5)), "bad", "no worker runs the sequencer"),
    "falls behind": (with_reader(reader("sequencer", APP, EVENTS, come=200, lag=900)), "warn", "the sequencer falls behind"),
    "no mailer": (replace(WELL, mailers=[]), "bad", "no mailer runs"),
    "circuit": (replace(WELL, mailers=[replace(MAILER, away_since=5.0)]), "bad", "the mail server is away"),
    "paused": (replace(WELL, mailers=[replace(MAILER, paused=True)]), "warn", "mail is paused"),
    "slowed": (replace(WELL, mailers=[replace(MAILER, at_most=2)]), "warn", "the mail server has too much to do"),
    "dead": (replace(WELL, books=replace(WELL.books, groups=[GROUP])), "warn", "21 dead letters wait for a person"),
    "unknown": (replace(WELL, books=Books({"unknown": 1}, [], None)), "warn", "of 1 mail nobody knows whether it was sent"),
    "audit": (
        replace(WELL, books=Books({}, [], Audited(5.0, ok=False, read=9, differences=3))),
        "bad",
        "the audit does not add up",
    ),
    "intake": (replace(WELL, queues={**WELL.queues, DEAD_QUEUE: Depth(2, 0)}), "warn", f"nobody takes in {DEAD_QUEUE}"),
    "worker": (replace(WELL, waiting=None, away={"http://b:6066": "no answer"}), "bad", "worker http://b:6066 is away"),
    "moving": (
        replace(WELL, shares=None, problems={"workers": "recovering, 5 records to go"}),
        "warn",
        "partitions are moving between the workers",
    ),
    "wiring": (
        replace(WELL, wiring=replace(DECLARED, bindings=DECLARED.bindings[1:])),
        "bad",
        "RabbitMQ lacks what Chopar declares",
    ),
    "away": (replace(WELL, readers=None, problems={"kafka": "Kafka: refused"}), "bad", "kafka can't be asked"),
}


def test_all_is_well() -> None:
    assert (verdict(WELL).level, verdict(WELL).words) == ("ok", "All is well")
    audited = replace(WELL, books=Books({}, [], Audited(5.0, ok=True, read=9, differences=0)))
    assert verdict(audited).level == "ok"


@pytest.mark.parametrize("name", DIFFERENT)
def test_whatever_is_wrong_is_named(name: str) -> None:
    snapshot, level, what = DIFFERENT[name]
    found = verdict(snapshot)
    assert found.level == level
    assert [one.what for one in found.findings] == [what]
    assert found.words.endswith(what)


def test_the_worst_comes_first() -> None:
    books = replace(WELL.books, groups=[GROUP]) if WELL.books else None
    found = verdict(replace(WELL, books=books, mailers=[]))
    assert [one.level for one in found.findings] == ["bad", "warn"]


def test_nothing_is_called_well_before_all_have_answered() -> None:
    for part in ("readers", "queues", "mailers", "books", "shares"):
        assert verdict(replace(WELL, **{part: None})).level == "unknown", part


def test_the_arrows_have_the_numbers_of_now() -> None:
    drawn = flow(with_reader(reader("sequencer", APP, EVENTS, come=125, read=125, lag=250)))
    labels = [text for arrow in drawn.arrows for text in (arrow.over, arrow.under)]
    assert "1,000/s" in labels
    assert "lag 2,000" in labels
    assert [(one.over, one.under) for one in drawn.arrows if one.over.startswith("urgent")] == [("urgent 0", "bulk 1,234")]
    assert {box.name: box.says for box in drawn.boxes}["sequencer"] == "12 wait in a gap"
    assert {box.name: box.says for box in drawn.boxes}["store"] == "1,234,567 mails sent"
    assert {box.name: box.level for box in flow(DIFFERENT["circuit"][0]).boxes}["mail server"] == "bad"
    assert {box.name: box.level for box in flow(DIFFERENT["no worker"][0]).boxes}["sequencer"] == "bad"


@pytest.mark.parametrize("snapshot", [Snapshot(0.0), WELL])
def test_the_boxes_stand_in_the_picture_and_not_on_each_other(snapshot: Snapshot) -> None:
    boxes = flow(snapshot).boxes
    for number, one in enumerate(boxes):
        assert one.x >= 0
        assert one.x + BOX[0] <= WIDTH
        assert one.y + BOX[1] <= HEIGHT
        for other in boxes[:number]:
            assert abs(one.x - other.x) >= BOX[0] or abs(one.y - other.y) >= BOX[1], (one.name, other.name)


@pytest.mark.parametrize(("depths", "levels"), [(None, {"unknown"}), ({}, {"bad"}), (WELL.queues, {"ok"})])
def test_each_queue_is_drawn_as_the_broker_has_it(depths: Any, levels: set[str]) -> None:
    drawn = picture(depths, None)
    boxes = {box.name: box for box in drawn.boxes}
    assert {box.level for name, box in boxes.items() if name not in EXCHANGES} == levels
    assert {box.level for name, box in boxes.items() if name in EXCHANGES} == {"unknown"}
    assert len(drawn.arrows) == len(QUEUES)
    assert max(box.y + 36 for box in drawn.boxes) <= drawn.height
    places = sorted(box.y for name, box in boxes.items() if name in EXCHANGES)
    assert all(lower - upper >= 36 for upper, lower in pairwise(places)), "exchanges on each other"


def test_a_binding_that_differs_is_marked_and_told_in_words() -> None:
    audit, again = bound(JOBS_EXCHANGE, "audit", "#", {}), bound(JOBS_EXCHANGE, BULK_QUEUE, "other.#", {})
    mailer = bound(CONTROL_EXCHANGE, "amq.gen-1", "", {})
    live = replace(DECLARED, bindings=[*DECLARED.bindings[1:], audit, again, mailer])
    drawn = picture(WELL.queues, live)
    labels = {arrow.label: arrow.level for arrow in drawn.arrows if arrow.level != "ok"}
    assert labels == {
        "email.transactional.# (missing)": "bad",
        "# (not declared)": "warn",
        "other.# (not declared)": "warn",
    }
    assert [(level, words.partition(": ")[0]) for level, words in drawn.strange] == [
        ("bad", "chopar.jobs → email.transactional (email.transactional.#)"),
        ("warn", "chopar.jobs → audit (#)"),
        ("warn", "chopar.jobs → email.bulk (other.#)"),
    ]
    boxes = {box.name: (box.says, box.level) for box in drawn.boxes}
    assert boxes["audit"] == ("not declared by Chopar", "warn")
    assert boxes[CONTROL_EXCHANGE] == ("fanout, 1 listener", "ok")
    assert boxes[JOBS_EXCHANGE] == ("topic", "ok")
    assert max(box.y + 36 for box in drawn.boxes) <= drawn.height


def test_an_exchange_that_is_gone_or_another_is_marked_with_its_bindings() -> None:
    others = {name: kind for name, kind in DECLARED.exchanges.items() if name != DEAD_EXCHANGE}
    live = replace(DECLARED, exchanges={**others, JOBS_EXCHANGE: "direct"}, bindings=[])
    boxes = {box.name: (box.says, box.level) for box in picture(WELL.queues, live).boxes}
    assert (boxes[DEAD_EXCHANGE], boxes[JOBS_EXCHANGE]) == (("missing", "bad"), ("direct", "bad"))
    found = verdict(replace(WELL, wiring=live)).findings
    assert [one.what for one in found] == ["RabbitMQ lacks what Chopar declares"]


def test_a_broker_full_of_strange_bindings_is_counted_not_drawn() -> None:
    strange = [bound(JOBS_EXCHANGE, f"q{number:03}", "#", {}) for number in range(MOST_STRANGE + 5)]
    drawn = picture(WELL.queues, replace(DECLARED, bindings=[*DECLARED.bindings, *strange]))
    assert (len(drawn.strange), drawn.more) == (MOST_STRANGE, 5)
