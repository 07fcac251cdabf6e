"""What the rest of Chopar may ask of the store. Each has a fake in `tests/store/fakes.py` that passes the same tests."""

from collections.abc import Sequence
from typing import Protocol

from activity.claims import Answer, Claim
from activity.dead import DeadLetter, DeskEntry
from activity.jobs import Job, JobState
from activity.ledger import AttemptRow, JobHistory, JobRow
from activity.outcomes import Outcome, Retry, Sent
from activity.replay import Known
from store.deadletters import LetterGroup, LetterHistory, LetterSummary, Wanted
from store.ledger import Settlement
from store.log import Appended, Difference, Entry
from store.schedule import Due


class Log(Protocol):
    """The activity log: what users did, in each user's order. Raises Unreachable while the store is away."""

    async def append(self, entries: Sequence[Entry]) -> Appended:
        """Returns once all are durable. May be repeated at will: what stands already is passed over.

        An event that stands at another position already is written with `repeats`: positions have no holes, and each event
        stands once without it. An entry whose position is another event's, or that the store can never hold, is left out
        and returned; it keeps none of the others out.
        """

    async def compare(self, entries: Sequence[Entry]) -> Difference:
        """What `append` would do, and does nothing."""

    async def read(
        self,
        user: str,
        *,
        before: int | None = None,
        limit: int = 100,
        type: str | None = None,
        since: float | None = None,
        until: float | None = None,
        as_of: float | None = None,
    ) -> list[Entry]:
        """What `user` did, newest first: at most `limit` entries, with positions below `before`, of one `type`, received from
        `since` on and before `until` (Unix seconds).

        `as_of`: the log as it was then, up to the first event that was received later. An event that waited for a gap until
        it was given up counts from when the one before it had come.
        """

    async def position(self, user: str, source: str, event_id: str) -> int | None:
        """Where the event stands (first, if it came again after it was forgotten); None: nowhere."""

    async def page(self, after: tuple[str, int] | None, limit: int) -> list[Entry]:
        """At most `limit` entries of all users, each user's oldest first, that follow `after`: the last user and position
        of the page before. Users come in an order that stays the same."""

    async def count(self) -> int:
        """How many entries there are."""


class Claims(Protocol):
    """The send ledger: who may do which attempt at a job. Raises Unreachable while the store is away.

    The rules are `activity.claims`; this is where they hold across processes. Each call is one transaction,
    durable when it returns. If the answer is lost (Unreachable after the commit), the same call may be made again.
    """

    async def turn(
        self, settlements: Sequence[Settlement], claims: Sequence[Claim], now: float
    ) -> tuple[list[bool], list[Answer]]:
        """`settle` and then `claim`, in one transaction: who has ended a job and begins the next waits once."""

    async def claim(self, claims: Sequence[Claim], now: float) -> list[Answer]:
        """The answers, in the order of the claims, each as if made after the ones before it.

        A job that gets a `Later` is kept here, byte for byte. A claim of a job that has ended is counted as a repeat of it. A job
        that the store can never hold gets `Again(Dead("unstorable"))`, and keeps none of the others out.
        """

    async def hold(self, jobs: Sequence[Job], reason: str, now: float) -> None:
        """Put down as `unknown`, attempt 0, those jobs that the ledger does not know.

        Their mails may have been sent, and the ledger has lost it. Whoever claims such a job gets what he would get if the
        ledger had not heard of it: a message that still waits for it goes its way.
        """

    async def settle(self, settlements: Sequence[Settlement], now: float) -> list[bool]:
        """Whether each was written down; False if the attempt is settled already or somebody else's by now.

        An attempt that does not count (`Retry(burn=False)`) leaves no trace but that who had begun it lives: see `Claim.suspect`.
        """


class Wishes(Protocol):
    """What a person may want of a job. One transaction each; raises Unreachable while the store is away."""

    async def cancel(self, id: str, now: float) -> str | None:
        """Nobody gets the job from now on: it is `cancelled`, also if the ledger has not heard of it so far.

        Returns why it can't be any more (it is being sent, it has ended), or None.
        """

    async def move(self, id: str, due: float, now: float) -> str | None:
        """Nobody gets the job before `due`. Returns why it can't be given another time, or None.

        A job whose message is on RabbitMQ waits there; only when that comes is it kept here. So it may come later than `due`.
        """


class Decisions(Protocol):
    """What a person finds out of a job that is `unknown`. Raises Unreachable while the store is away."""

    async def decide(self, job: Job, outcome: Sent | Retry, by: str, now: float) -> str | None:
        """`by` says what came of it, as an attempt of its own, once: it is sent, or gets another round of attempts as `job`.

        Of a job that arrived only the id is needed. Returns why it can't be decided (it is not `unknown`), or None.
        """


class Schedule(Protocol):
    """The jobs that wait here for their time. Raises Unreachable while the store is away."""

    async def take(self, owner: str, until: float, now: float, limit: int) -> list[Due]:
        """At most `limit` jobs that are due, longest due first, for `owner` to publish. No one else gets them before `until`."""

    async def published(self, ids: Sequence[str], owner: str, now: float) -> list[str]:
        """They are on their queues: from now on they wait there. Returns those that `owner` still had; the others were moved,
        cancelled, begun by who got the message, or taken by another who will publish them too."""


class JobList(Protocol):
    """Looking into the ledger. Raises Unreachable while the store is away."""

    async def job(self, id: str) -> JobHistory | None:
        """A job and its attempts, oldest first; None if the ledger has not heard of it."""

    async def jobs(
        self, *, state: JobState | None = None, user: str | None = None, limit: int = 100, after: str | None = None
    ) -> list[JobRow]:
        """At most `limit` jobs, newest first; `after` is the id of the last one of the page before."""

    async def of_events(self, user: str, events: Sequence[tuple[str, str]], ids: Sequence[str] = ()) -> list[JobHistory]:
        """The jobs that `user`'s events (source, id) led to, and those with `ids`, each once, with their attempts."""

    async def known(self, ids: Sequence[str]) -> dict[str, Known]:
        """What the ledger knows of those of the jobs that it has heard of."""

    async def scheduled(self, *, user: str | None = None, limit: int = 100, after: str | None = None) -> list[JobRow]:
        """At most `limit` jobs that wait for their time, the next one first; `after` as above."""

    async def counts(self) -> dict[JobState, int]:
        """How many jobs are in each state; every state is there."""

    async def attempts(self, job_id: str) -> list[AttemptRow]:
        """The attempts at a job, oldest first."""


class Outcomes(Protocol):
    """What came of jobs. Raises Unreachable while the store is away."""

    async def outcomes(self, ids: Sequence[str]) -> dict[str, tuple[JobState, int, Outcome | None]]:
        """State, number of the newest attempt and what came of it, for those of `ids` (a few hundred) that have ended."""


class Switches(Protocol):
    """What people set while Chopar runs. Raises Unreachable while the store is away."""

    async def read(self, name: str) -> str | None:
        """What was written last."""

    async def write(self, name: str, value: str | None, now: float) -> None:
        """Durable when it returns; None takes it away."""


class Intake(Protocol):
    """Where dead letters are kept. Raises Unreachable while the store is away."""

    async def take(self, letters: Sequence[DeadLetter]) -> None:
        """Returns once all are durable. May be repeated at will: what stands already stays as it is.

        One that can't be held as it is keeps none of the others out: what can be held of it is (`activity.dead.in_part`).
        """


class LetterList(Protocol):
    """Looking into the desk. Raises Unreachable while the store is away."""

    async def letter(self, id: str) -> LetterHistory | None:
        """A dead letter and what was done with it, oldest first; None if there is none."""

    async def letters(
        self, wanted: Wanted, *, limit: int = 100, after: str | None = None, oldest_first: bool = False
    ) -> list[LetterSummary]:
        """At most `limit` letters, the newest first unless told; `after` is the id of the last one of the page before."""

    async def groups(self, wanted: Wanted) -> list[LetterGroup]:
        """The letters that are wanted, counted by reason, then origin."""


class UserLetters(Protocol):
    """The dead letters of a user, for their timeline. Raises Unreachable while the store is away."""

    async def of_user(
        self,
        user: str,
        *,
        limit: int = 100,
        after: tuple[float, str] | None = None,
        since: float | None = None,
        until: float | None = None,
    ) -> list[DeskEntry]:
        """At most `limit` letters, newest first, that died from `since` on and before `until` (Unix seconds); `after`:
        when the last one of the page before died, and its id."""

    async def of_jobs(self, user: str, jobs: Sequence[str]) -> dict[str, str]:
        """The id of the newest letter of each of `user`'s `jobs` that has one."""


class Desk(Protocol):
    """What a person does with a dead letter: `by` whom and when is kept. One transaction each; raises Unreachable.

    Each returns why it can't be done (there is none, it was replayed or discarded before, and by whom), or None. `seen` is the
    `LetterHistory.newest` that whoever asks has looked at: if anything was done since, it can't be done. None: whatever was.
    """

    async def edit(self, id: str, payload: bytes | None, by: str, note: str, now: float, seen: int | None = None) -> str | None:
        """`payload` is sent when the letter is replayed, in place of the original, which stays; None takes the edit back."""

    async def discard(self, id: str, by: str, note: str, now: float) -> str | None:
        """It will not be replayed."""

    async def undo(self, id: str, by: str, note: str, now: float) -> str | None:
        """A letter that was discarded is open again."""

    async def replayed(self, id: str, by: str, note: str, now: float, seen: int | None = None) -> str | None:
        """It was sent again, confirmed. Whoever is told that it was replayed before has sent it twice."""

    async def replay_jobs(
        self,
        id: str,
        jobs: Sequence[Job],
        by: str,
        note: str,
        *,
        due: float,
        now: float,
        new: bool = False,
        seen: int | None = None,
    ) -> str | None:
        """The jobs get another round of attempts from `due` on, in the same transaction as the letter is `replayed`: once,
        however often and by how many it is asked for. With `new` those that the ledger knows of are passed over.

        A mailer publishes them; see `Schedule`. Returns also why a job can't have another round (it was sent, say).
        """
