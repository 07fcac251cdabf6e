"""The ledger's rules, as a machine that claims, settles, dies and comes back in every order hypothesis can think of."""

from datetime import UTC, datetime
from typing import Literal

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from activity.claims import (
    KILLS_WORKER,
    Again,
    Answer,
    Busy,
    Claim,
    Go,
    JobRecord,
    Later,
    Over,
    Policy,
    answer,
    decided,
    is_suspect,
    keeps_from_cancelling,
    keeps_from_deciding,
    keeps_from_moving,
    keeps_from_replaying,
    may_settle,
    next_attempt,
    outlived,
    state_after,
)
from activity.jobs import Job
from activity.outcomes import Dead, Outcome, Retry, Sent, Unknown

JOB = Job(id="j", rule="r", job_class="bulk", user="u", to="a@b.example", template="t", event={})
LEASE = 10.0
LAST = 6
"""The number of the last attempt: one that is to be repeated after it makes the job dead."""

outcomes = st.sampled_from([Sent(), Retry("later"), Dead("refused"), Unknown("lost")])


class Holder(msgspec.Struct):
    """A mailer that got a Go and lives: with which message, for which attempt, until when."""

    message: int
    owner: str
    attempt: int
    until: float


class Mailers(RuleBasedStateMachine):
    """One job, its messages on the broker, and what mailers do with them; any of them may die at any line.

    A message is its attempt number. It is delivered again until it is acknowledged. While the job waits for its time the ledger
    has it: `shelf` is the attempt that it then asks for. A person may cancel it, give it another time, or replay its dead letter.
    """

    @initialize(policy=st.sampled_from(["resend", "hold"]), send_at=st.sampled_from([None, 5, 40]))
    def begin(self, policy: Policy, send_at: int | None) -> None:
        self.policy: Policy = policy
        self.job = msgspec.structs.replace(JOB, send_at=None if send_at is None else datetime.fromtimestamp(send_at, UTC))
        self.due = send_at or 0.0
        self.shelf: int | None = None
        self.now = 0.0
        self.record: JobRecord | None = None
        self.messages = [1]
        self.holders: list[Holder] = []
        self.highest = 0
        self.owners = 0
        self.letters = 0
        self.ended = False

    # -- what the ledger does: one transaction each --------------------------------------------------------------------

    def claim(self, message: int, owner: str, *, asks: bool = False) -> Answer:
        before = self.record
        claim = Claim(self.job, message, owner, self.now + LEASE, asks, suspect=asks)
        got = answer(before, claim, self.now, self.policy)
        if isinstance(got, Go) and asks:
            if is_suspect(before, claim, got):
                begun = before or JobRecord(JOB.id, "waiting", 0, "", 0.0)
                self.record = msgspec.structs.replace(begun, suspected=begun.suspected + 1)
        elif isinstance(got, Go):
            assert self.now >= self.due, "a job got a Go before its time"
            repeated = before is not None and before.state == "sending" and before.owner == owner
            assert not self.ended, "an ended job got a Go"
            assert got.attempt > self.highest or (repeated and got.attempt == self.highest)
            assert repeated or not any(holder.until > self.now for holder in self.holders)
            self.highest = got.attempt
            abandoned = 0 if before is None else before.abandoned + (before.state == "sending" and not repeated)
            self.record = JobRecord(JOB.id, "sending", got.attempt, owner, claim.until, abandoned=abandoned)
            self.shelf = None
        elif isinstance(got, Later):
            self.shelf = self.shelf or next_attempt(before, claim)
            self.record = before or JobRecord(JOB.id, "scheduled", 0, "", 0.0, due=got.due)
        elif isinstance(got, Again) and isinstance(got.outcome, Dead) and before is not None and before.state != "dead":
            assert got.outcome.reason == KILLS_WORKER
            self.highest = max(self.highest, got.attempt)
            self.record = JobRecord(JOB.id, "dead", got.attempt, owner, 0.0, got.outcome)
            self.ended = True
        elif isinstance(got, Over):
            if got.state == "unknown" and before is not None:
                self.record = msgspec.structs.replace(before, state=got.state)
            self.ended = self.record is not None and self.record.state == got.state
        return got

    def settle(self, attempt: int, owner: str, outcome: Outcome) -> bool:
        if not may_settle(self.record, attempt, owner):
            return False
        if (
            isinstance(outcome, Retry | Unknown)
            and attempt >= LAST
            and not (outcome == Unknown("lost") and self.policy == "hold")
        ):
            outcome = Dead("spent")
        self.highest = max(self.highest, attempt)
        self.record = JobRecord(JOB.id, state_after(outcome, self.policy), attempt, owner, 0.0, outcome)
        self.ended = self.record.state in ("sent", "dead", "unknown")
        self.shelf = None
        return True

    # -- what a mailer does --------------------------------------------------------------------------------------------

    def follow_up(self, message: int, dies: Literal["before", "between", "no"]) -> None:
        """Publishes what follows from the newest outcome, then acknowledges."""
        assert self.record is not None
        if dies == "before":
            return
        if isinstance(self.record.outcome, Dead):
            self.letters += 1
        elif self.record.state in ("waiting", "scheduled"):  # moved before it was published
            self.messages.append(self.record.attempt + 1)
        if dies == "no":
            self.messages.remove(message)

    def deliver(
        self, message: int, lost_answer: bool, dies: Literal["before", "between", "no"], came_back: bool = False
    ) -> Holder | None:
        self.owners += 1
        owner = f"o{self.owners}"
        if came_back and isinstance(self.claim(message, owner, asks=True), Go) and dies == "before":
            return None
        got = self.claim(message, owner)
        if lost_answer:
            got = self.claim(message, owner)
        match got:
            case Go(attempt):
                return Holder(message, owner, attempt, self.now + LEASE)
            case Busy():
                pass  # it comes again
            case Again(outcome, attempt):
                assert self.record is not None
                assert (outcome, attempt) == (self.record.outcome, self.record.attempt)
                self.follow_up(message, dies)
            case Over():
                self.messages.remove(message)
            case Later():
                if dies != "before":
                    self.messages.remove(message)
        return None

    @precondition(lambda self: self.messages)
    @rule(data=st.data(), lost_answer=st.booleans(), dies=st.sampled_from(["before", "between", "no"]), came_back=st.booleans())
    def a_message_comes(
        self, data: st.DataObject, lost_answer: bool, dies: Literal["before", "between", "no"], came_back: bool
    ) -> None:
        held = {holder.message for holder in self.holders}
        free = [message for message in self.messages if message not in held]
        if free and (holder := self.deliver(data.draw(st.sampled_from(free)), lost_answer, dies, came_back)):
            self.holders.append(holder)

    def is_due(self) -> bool:
        return self.shelf is not None and self.record is not None and self.record.state == "scheduled" and self.due <= self.now

    @precondition(is_due)
    @rule(dies=st.booleans())
    def the_scheduler_publishes(self, dies: bool) -> None:
        assert self.shelf is not None
        self.messages.append(self.shelf)
        if not dies:
            assert self.record is not None
            self.record, self.shelf = msgspec.structs.replace(self.record, state="waiting"), None

    @rule()
    def a_person_cancels(self) -> None:
        if keeps_from_cancelling(self.record, self.now) is None:
            self.record = JobRecord(JOB.id, "cancelled", 0 if self.record is None else self.record.attempt, "", 0.0)
            self.ended, self.shelf = True, None

    @rule(seconds=st.sampled_from([0.0, LEASE, 3 * LEASE]))
    def a_person_moves_it(self, seconds: float) -> None:
        if self.record is not None and keeps_from_moving(self.record) is None:
            self.due = self.now + seconds
            self.record = msgspec.structs.replace(self.record, state="scheduled", due=self.due)

    @precondition(lambda self: self.letters)
    @rule()
    def a_person_replays_it(self) -> None:
        if self.record is not None and keeps_from_replaying(self.record, self.now) is None:
            self.due, self.ended, self.shelf = self.now, False, self.record.attempt + 1
            self.record = JobRecord(JOB.id, "scheduled", self.record.attempt, "", 0.0, self.record.outcome, self.due)

    @rule(outcome=st.sampled_from([Sent("it arrived"), Retry("again")]))
    def a_person_decides(self, outcome: Sent | Retry) -> None:
        if self.record is None or keeps_from_deciding(self.record) is not None:
            return
        self.record = decided(self.record, outcome, self.now)
        self.highest = max(self.highest, self.record.attempt)
        self.ended = isinstance(outcome, Sent)
        assert self.ended == (self.record.state == "sent")
        if not self.ended:
            self.due, self.shelf = self.now, self.record.attempt + 1

    @precondition(lambda self: self.holders)
    @rule(data=st.data(), outcome=outcomes, dies=st.sampled_from(["before", "between", "no"]))
    def a_holder_ends(self, data: st.DataObject, outcome: Outcome, dies: Literal["before", "between", "no"]) -> None:
        holder = data.draw(st.sampled_from(self.holders))
        self.holders.remove(holder)
        if self.settle(holder.attempt, holder.owner, outcome):
            assert not self.settle(holder.attempt, holder.owner, outcome), "an outcome was settled twice"
            self.follow_up(holder.message, dies)

    @precondition(lambda self: self.holders)
    @rule(data=st.data())
    def a_holder_dies(self, data: st.DataObject) -> None:
        self.holders.remove(data.draw(st.sampled_from(self.holders)))

    @precondition(lambda self: self.messages and self.now >= self.due)  # it asked whether the job has to wait before it began
    @rule(data=st.data(), outcome=st.sampled_from([Retry("no template"), Dead("bad address")]))
    def a_mailer_fails_before_its_claim(self, data: st.DataObject, outcome: Outcome) -> None:
        message = data.draw(st.sampled_from(self.messages))
        if self.settle(message, "early", outcome):
            self.follow_up(message, "no")

    @rule(seconds=st.sampled_from([1.0, LEASE, 3 * LEASE]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule(policy=st.sampled_from(["resend", "hold"]))
    def the_setting_is_changed(self, policy: Policy) -> None:
        self.policy = policy

    # -- what always holds ---------------------------------------------------------------------------------------------

    @invariant()
    def one_at_a_time(self) -> None:
        assert sum(holder.until > self.now for holder in self.holders) <= 1

    @invariant()
    def the_job_is_not_lost(self) -> None:
        assert self.messages or self.ended or self.shelf is not None

    @invariant()
    def no_one_has_a_cancelled_job(self) -> None:
        if self.record is not None and self.record.state == "cancelled":
            assert not any(holder.until > self.now for holder in self.holders)

    def teardown(self) -> None:
        """Everyone dies once more. Then nobody dies, and the job must come to its end."""
        if not hasattr(self, "messages"):
            return
        self.holders = []
        for _ in range(100):
            self.now += LEASE
            if self.is_due():
                self.the_scheduler_publishes(dies=False)
            if not self.messages:
                if self.shelf is None:
                    break
                continue
            message = self.messages[0]
            holder = self.deliver(message, lost_answer=False, dies="no")
            if holder is not None:
                assert self.settle(holder.attempt, holder.owner, Retry("later"))
                self.follow_up(message, "no")
        assert not self.messages, "a message comes again for ever"
        assert self.record is not None
        assert self.shelf is None
        assert self.record.state in ("sent", "dead", "unknown", "cancelled")
        assert self.letters or self.record.state != "dead", "no dead letter for a dead job"


TestMailers = Mailers.TestCase
TestMailers.settings = settings(max_examples=300, stateful_step_count=30, deadline=None)


def waiting(outcome: Outcome | None, attempt: int = 2) -> JobRecord:
    return JobRecord("j", "waiting", attempt, "a", 0.0, outcome)


def sending(attempt: int = 2) -> JobRecord:
    return JobRecord("j", "sending", attempt, "a", 50.0)


def ended(state: Literal["sent", "dead", "cancelled", "unknown"], outcome: Outcome | None) -> JobRecord:
    return JobRecord("j", state, 2, "a", 0.0, outcome)


RETRY, DEAD, UNKNOWN = Retry("later"), Dead("refused"), Unknown("lost")


@pytest.mark.parametrize(
    ("record", "attempt", "owner", "now", "resend", "hold"),
    [
        (None, 1, "b", 0, Go(1), Go(1)),
        (sending(), 2, "b", 49, Busy(50.0), Busy(50.0)),
        (sending(), 1, "b", 49, Busy(50.0), Busy(50.0)),
        (sending(), 2, "b", 50, Go(3, doubt=True), Over("unknown")),
        (sending(), 1, "b", 50, Go(3, doubt=True), Over("unknown")),
        (sending(), 4, "b", 50, Go(4, doubt=True), Over("unknown")),
        (sending(), 2, "a", 49, Go(2), Go(2)),
        (sending(), 1, "a", 99, Go(2, doubt=True), Go(2, doubt=True)),
        (waiting(RETRY), 3, "b", 0, Go(3), Go(3)),
        (waiting(RETRY), 2, "b", 0, Again(RETRY, 2), Again(RETRY, 2)),
        (waiting(RETRY), 1, "b", 0, Again(RETRY, 2), Again(RETRY, 2)),
        (waiting(UNKNOWN), 2, "b", 0, Again(UNKNOWN, 2), Over("unknown")),
        (waiting(UNKNOWN), 3, "b", 0, Go(3, doubt=True), Over("unknown")),
        (waiting(None), 1, "b", 0, Go(3), Go(3)),
        (ended("dead", DEAD), 1, "b", 0, Again(DEAD, 2), Again(DEAD, 2)),
        (ended("dead", DEAD), 2, "b", 0, Again(DEAD, 2), Again(DEAD, 2)),
        (ended("sent", Sent()), 1, "b", 0, Over("sent"), Over("sent")),
        (ended("sent", Sent()), 9, "b", 0, Over("sent"), Over("sent")),
        (ended("unknown", UNKNOWN), 3, "b", 0, Over("unknown"), Over("unknown")),
        (ended("cancelled", None), 3, "b", 0, Over("cancelled"), Over("cancelled")),
    ],
)
def test_answers(record: JobRecord | None, attempt: int, owner: str, now: float, resend: Answer, hold: Answer) -> None:
    claim = Claim(JOB, attempt, owner, now + LEASE)
    assert answer(record, claim, now, "resend") == resend
    assert answer(record, claim, now, "hold") == hold


def scheduled(due: float, outcome: Outcome | None = None, attempt: int = 0) -> JobRecord:
    return JobRecord("j", "scheduled", attempt, "", 0.0, outcome, due)


SOON = msgspec.structs.replace(JOB, send_at=datetime.fromtimestamp(30, UTC))


@pytest.mark.parametrize(
    ("record", "job", "attempt", "now", "wanted"),
    [
        (None, SOON, 1, 29, Later(30.0)),
        (None, SOON, 1, 30, Go(1)),
        (scheduled(30), SOON, 1, 29, Later(30.0)),
        (scheduled(30), SOON, 1, 30, Go(1)),
        (scheduled(10), SOON, 1, 10, Go(1)),  # moved
        (scheduled(99), SOON, 1, 98, Later(99.0)),
        (scheduled(99), JOB, 1, 98, Later(99.0)),
        (scheduled(9, RETRY, 2), JOB, 3, 9, Go(3)),
        (scheduled(9, RETRY, 2), JOB, 2, 9, Again(RETRY, 2)),
        (scheduled(9, UNKNOWN, 2), JOB, 3, 9, Go(3, doubt=True)),
        (sending(), SOON, 2, 0, Busy(50.0)),  # it has begun, so it was due
        (ended("cancelled", None), SOON, 1, 0, Over("cancelled")),
    ],
)
def test_nobody_gets_a_job_before_it_is_due(record: JobRecord | None, job: Job, attempt: int, now: float, wanted: Answer) -> None:
    for asks in (False, True):
        assert answer(record, Claim(job, attempt, "b", now + LEASE, asks), now, "resend") == wanted


def suspected(times: int) -> JobRecord:
    return JobRecord("j", "waiting", 0, "", 0.0, suspected=times)


@pytest.mark.parametrize(
    ("record", "suspect", "wanted"),
    [
        (None, True, "go"),
        (suspected(1), True, "go"),
        (suspected(2), True, KILLS_WORKER),
        (suspected(2), False, "go"),
        (msgspec.structs.replace(sending(), abandoned=1), True, "go"),
        (msgspec.structs.replace(sending(), abandoned=2), True, KILLS_WORKER),
        (msgspec.structs.replace(sending(), abandoned=2), False, KILLS_WORKER),
        (msgspec.structs.replace(sending(), suspected=2), True, "go"),  # its claim speaks for itself
    ],
)
def test_a_job_that_ended_three_processes_is_dead(record: JobRecord | None, suspect: bool, wanted: str) -> None:
    got = answer(record, Claim(JOB, 1, "b", 100.0, asks=True, suspect=suspect), 60.0, "resend")
    match got:
        case Again(Dead(reason)):
            assert reason == wanted
        case _:
            assert isinstance(got, Go)
            assert wanted == "go"


@pytest.mark.parametrize(
    ("record", "left"),
    [(None, None), (suspected(0), None), (suspected(2), suspected(0)), (msgspec.structs.replace(sending(), suspected=2), None)],
)
def test_who_lives_clears_the_job(record: JobRecord | None, left: JobRecord | None) -> None:
    assert outlived(record) == left


def test_what_is_held_is_never_counted_as_a_killer() -> None:
    record = msgspec.structs.replace(sending(), abandoned=2)
    assert answer(record, Claim(JOB, 1, "b", 100.0), 60.0, "hold") == Over("unknown")


@pytest.mark.parametrize(
    ("record", "now", "cancel", "move", "replay"),
    [
        (None, 0, None, "the ledger has not heard of it", None),
        (scheduled(30), 0, None, None, "it waits for its time"),
        (waiting(RETRY), 0, None, None, None),
        (sending(), 49, "it is being sent", "it is being sent", "it is being sent"),
        (sending(), 50, None, "it is being sent", None),
        (ended("sent", Sent()), 0, "it has ended: sent", "it has ended: sent", "it has ended: sent"),
        (ended("dead", DEAD), 0, "it has ended: dead", "it has ended: dead", None),
        (ended("unknown", UNKNOWN), 0, "it has ended: unknown", "it has ended: unknown", "it has ended: unknown"),
        (ended("cancelled", None), 0, None, "it has ended: cancelled", "it has ended: cancelled"),
    ],
)
def test_what_a_person_may_still_want(
    record: JobRecord | None, now: float, cancel: str | None, move: str | None, replay: str | None
) -> None:
    assert keeps_from_cancelling(record, now) == cancel
    assert keeps_from_moving(record) == move
    assert keeps_from_replaying(record, now) == replay


@pytest.mark.parametrize(
    ("record", "keeps"),
    [
        (None, "the ledger knows of no attempt at it"),
        (waiting(UNKNOWN), "it is waiting"),
        (sending(), "it is sending"),
        (ended("sent", Sent()), "it is sent"),
        (ended("dead", DEAD), "it is dead"),
        (ended("unknown", UNKNOWN), None),
    ],
)
def test_only_what_is_unknown_is_decided(record: JobRecord | None, keeps: str | None) -> None:
    assert keeps_from_deciding(record) == keeps


@pytest.mark.parametrize("policy", ["resend", "hold"])
def test_what_a_person_decides_counts_whatever_messages_are_left(policy: Policy) -> None:
    arrived = decided(ended("unknown", UNKNOWN), Sent("it arrived"), 9.0)
    again = decided(ended("unknown", UNKNOWN), Retry("again"), 9.0)
    for attempt in (1, 2, 3, 4):
        claim = Claim(JOB, attempt, "b", 60.0)
        assert answer(arrived, claim, 9.0, policy) == Over("sent")
        assert answer(again, claim, 8.0, policy) == Later(9.0)
        assert answer(again, claim, 9.0, policy) == (Go(4) if attempt == 4 else Again(Retry("again"), 3))


@pytest.mark.parametrize(("attempt", "wanted"), [(1, Over("dead")), (2, Over("dead")), (3, Go(3)), (7, Go(7))])
def test_a_message_from_before_the_replay_of_a_dead_job_leads_to_nothing(attempt: int, wanted: Answer) -> None:
    assert answer(waiting(DEAD), Claim(JOB, attempt, "b", 60.0), 0.0, "resend") == wanted


@pytest.mark.parametrize(
    ("record", "attempt", "owner", "may"),
    [
        (None, 1, "a", True),
        (sending(), 2, "a", True),
        (sending(), 2, "b", False),
        (sending(), 1, "a", False),
        (waiting(RETRY), 2, "a", False),
        (waiting(RETRY), 3, "b", True),
        (ended("sent", Sent()), 3, "a", False),
        (ended("dead", DEAD), 3, "a", False),
    ],
)
def test_who_may_settle(record: JobRecord | None, attempt: int, owner: str, may: bool) -> None:
    assert may_settle(record, attempt, owner) is may


@pytest.mark.parametrize(
    ("outcome", "resend", "hold"),
    [(Sent(), "sent", "sent"), (RETRY, "waiting", "waiting"), (DEAD, "dead", "dead"), (UNKNOWN, "waiting", "unknown")],
)
def test_states(outcome: Outcome, resend: str, hold: str) -> None:
    assert state_after(outcome, "resend") == resend
    assert state_after(outcome, "hold") == hold
