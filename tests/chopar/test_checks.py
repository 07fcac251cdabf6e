"""The demo's checker finds what is planted, and nothing where nothing is."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from activity.jobs import JobState
from activity.ledger import JobRow
from chopar.demo.checks import differences
from chopar.demo.evidence import DeadRecord, Evidence, Row
from chopar.demo.mails import ExpectedMail, Mailing
from chopar.demo.shop import traffic

PLAN = traffic(5, "abcd", 200)
MAILING = Mailing(
    jobs={
        "j1": ExpectedMail("u", "welcome", "first try"),
        "j2": ExpectedMail("u", "welcome", "later try"),
        "j3": ExpectedMail("u", "welcome", "refused"),
        "j4": ExpectedMail("u", "welcome", "bad address"),
    },
    unfit=2,
)


def job(id: str, state: JobState, attempt: int = 1, reason: str = "", doubtful: int = 0) -> JobRow:
    return JobRow(
        id=id, user_id="u", rule="welcome", job_class="transactional", task="email", template="welcome", source="s",
        event_id="e", recipient="a@b.example", state=state, attempt=attempt, owner="", until=0, created=0, updated=0,
        reason=reason, doubtful=doubtful,
    )  # fmt: skip


def perfect() -> Evidence:
    """What has to be found after the plan."""
    positions: dict[str, int] = {}
    rows = []
    for record in sorted(
        PLAN.good, key=lambda record: (record.fate == "late", (record.identity and record.identity.sequence) or 0)
    ):
        assert record.identity is not None
        user = record.identity.user
        positions[user] = positions.get(user, 0) + 1
        rows.append(Row(record.identity, positions[user], record.fate))
    jobs = (job("j1", "sent"), job("j2", "sent", 2), job("j3", "dead", 1, "refused"), job("j4", "dead", 1, "bad-address"))
    return Evidence(
        read=len(PLAN.all),
        log=list(rows),
        stored=list(rows),
        dead=[DeadRecord(record.key, record.value, record.reason) for record in PLAN.all if record.fate == "dead"],
        unfit=[DeadRecord(b"u", b"", "rule"), DeadRecord(b"u", b"", "rule")],
        duplicates=sum(record.fate == "duplicate" for record in PLAN.all),
        waiting=0,
        jobs={row.id: row for row in jobs},
        mails={"j1": 1, "j2": 1},
    )


def with_rows(change: Callable[[list[Row]], Any]) -> Evidence:
    """Both logs, changed alike."""
    found = perfect()
    rows = list(found.stored)
    change(rows)
    return msgspec.structs.replace(found, stored=rows, log=list(rows))


def swap_positions(rows: list[Row]) -> None:
    """Two events of one stream in the wrong order, everything else right."""
    for first in rows:
        for second in rows:
            same = (first.identity.user, first.identity.source) == (second.identity.user, second.identity.source)
            if (
                same
                and first.verdict == second.verdict == "logged"
                and first.position < second.position
                and first.identity.sequence
            ):
                rows.remove(first)
                rows.remove(second)
                rows.append(msgspec.structs.replace(first, position=second.position))
                rows.append(msgspec.structs.replace(second, position=first.position))
                return


def hole(rows: list[Row]) -> None:
    last = max((row for row in rows if row.identity.user == PLAN.users[0]), key=lambda row: row.position)
    rows[rows.index(last)] = msgspec.structs.replace(last, position=last.position + 1)


def late(rows: list[Row]) -> None:
    """One that came in order, logged as late."""
    fixed = {record.identity for record in PLAN.good if not record.swapped and record.fate == "logged"}
    place = next(place for place, row in enumerate(rows) if row.identity in fixed)
    rows[place] = msgspec.structs.replace(rows[place], verdict="late")


def test_where_everything_is_right_nothing_differs() -> None:
    assert differences(PLAN, MAILING, perfect()) == []


def test_an_event_that_was_swapped_may_be_late_on_a_slow_machine() -> None:
    swapped = {record.identity for record in PLAN.good if record.swapped}

    def change(rows: list[Row]) -> None:
        rows[:] = [msgspec.structs.replace(row, verdict="late") if row.identity in swapped else row for row in rows]

    assert swapped
    assert differences(PLAN, MAILING, with_rows(change)) == []


def test_a_repeat_on_the_log_with_the_same_position_is_no_difference() -> None:
    found = perfect()
    assert differences(PLAN, MAILING, msgspec.structs.replace(found, log=[*found.log, found.log[0]])) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda rows: rows.pop(), "are not in the store"),
        (lambda rows: rows.append(rows[0]), "more than once"),
        (hole, "positions that are not 1, 2, 3"),
        (swap_positions, "before their predecessors"),
        (late, "another verdict"),
    ],
)
def test_a_planted_fault_of_the_log_is_found(change: Callable[[list[Row]], Any], said: str) -> None:
    assert any(said in sentence for sentence in differences(PLAN, MAILING, with_rows(change)))


def test_an_event_that_the_store_has_at_another_place_than_the_log_is_found() -> None:
    found = perfect()
    moved = [msgspec.structs.replace(row, position=row.position + 1) for row in found.log]
    assert any("differ between" in text for text in differences(PLAN, MAILING, msgspec.structs.replace(found, log=moved)))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"read": len(PLAN.all) - 1}, "on activity.events"),
        ({"duplicates": 0}, "dropped as duplicates"),
        ({"waiting": 1}, "still wait"),
        ({"dead": perfect().dead[1:]}, "missing on activity.dead"),
        ({"dead": [*perfect().dead, DeadRecord(b"k", b"v", "not-json")]}, "on activity.dead unplanned"),
        ({"unfit": []}, "lack what their rule needs"),
        ({"jobs": {id: row for id, row in perfect().jobs.items() if id != "j1"}}, "not in the ledger"),
        ({"jobs": {**perfect().jobs, "j9": job("j9", "sent")}}, "that no rule asks for"),
        ({"jobs": {**perfect().jobs, "j1": job("j1", "waiting")}}, "ended otherwise"),
        ({"jobs": {**perfect().jobs, "j2": job("j2", "sent", attempt=1)}}, "ended otherwise"),
        ({"jobs": {**perfect().jobs, "j3": job("j3", "dead", 8, "spent")}}, "ended otherwise"),
        ({"mails": {"j1": 1}}, "did not arrive"),
        ({"mails": {"j1": 2, "j2": 1}}, "arrived more than once"),
        ({"mails": {"j1": 1, "j2": 1, "j3": 1}}, "arrived that should not"),
    ],
)
def test_a_planted_fault_is_found(changes: dict[str, Any], said: str) -> None:
    found = msgspec.structs.replace(perfect(), **changes)
    assert any(said in sentence for sentence in differences(PLAN, MAILING, found))


def test_an_email_twice_is_allowed_where_the_ledger_says_that_nobody_knows() -> None:
    jobs = {**perfect().jobs, "j1": job("j1", "sent", 2, doubtful=1)}
    found = msgspec.structs.replace(perfect(), jobs=jobs, mails={"j1": 2, "j2": 1})
    assert differences(PLAN, MAILING, found) == []
