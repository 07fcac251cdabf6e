"""A store in memory with a user's story in it, and the routes over it."""

import msgspec

from activity import order
from activity.claims import Claim
from activity.errors import RuleError
from activity.events import decode_log, log_value
from activity.inspection import StateView, view
from activity.jobs import Job
from activity.order import State
from activity.outcomes import Dead, Outcome, Retry, Sent
from activity.rules import Rules
from console.activity import activity_routes
from console.jobs import job_routes
from console.problems import later
from console.routes import Route
from console.timeline import Timelines, timeline_routes
from store.ledger import Settlement
from store.log import Entry
from tests.activity.examples import event, value
from tests.activity.test_rules import bulk, parsed, rule
from tests.store.desk import MemoryLetters
from tests.store.fakes import MemoryLedger, MemoryLog

USER = "u/1 é"
ADDRESS = "ann.secret@shop.example"
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
RULES = parsed(
    rule(to="email"), rule(name="receipt", on="order.*", to="email", template="receipt"), bulk(name="news", on="*", to="address")
)


class World:
    """A log, a ledger, rules, and the state of the one user who has one.

    `broken`: neither rules nor table can be asked. `since`: when his last event began to wait.
    """

    def __init__(self, user: str = USER) -> None:
        self.user = user
        self.log, self.ledger = MemoryLog(), MemoryLedger("resend")
        self.letters = MemoryLetters(self.ledger)
        self.broken, self.since = False, 7.0

    def timelines(self) -> Timelines:
        return Timelines(self.log, self.ledger, self.letters, self._rules, self._state)

    def routes(self) -> list[Route]:
        return [*timeline_routes(self.timelines()), *activity_routes(self.log), *job_routes(self.ledger)]

    async def logged(self, position: int, type: str = "user.signed_up", at: float = 0.0, **more: object) -> Entry:
        """One more event in the log."""
        data = more.pop("data", {"email": ADDRESS, "card": "4111"})
        raw = value(subject=self.user, id=f"e-{position}", type=type, data=data, **more)
        text = log_value(raw, position, "logged", at)
        record = decode_log(text)
        entry = Entry(
            user_id=self.user,
            position=position,
            source=record.source,
            event_id=record.id,
            type=type,
            time=None,
            received=record.received,
            sequence=record.sequence,
            verdict="logged",
            event=text,
            kafka_partition=3,
            kafka_offset=40 + position,
        )
        assert (await self.log.append([entry])).new == 1
        return entry

    async def attempted(self, entry: Entry, *outcomes: Outcome, at: float = 0.0) -> Job:
        """The first job that the rules make of `entry`, attempted so, once a second from `at` on."""
        (job, *_), _ = RULES.jobs(decode_log(entry.event))
        for number, outcome in enumerate(outcomes, 1):
            began = at + number
            await self.ledger.claim([Claim(job, number, "m-1", began + 60.0)], began)
            await self.ledger.settle([Settlement(job, number, "m-1", began, outcome)], began + 0.5)
        return job

    async def told(self) -> Job:
        """Three events: one that led to a mail at the second attempt, one whose mail is dead, one without a mail."""
        job = await self.attempted(
            await self.logged(1, traceparent=TRACE), Retry("451 later"), Sent(f"250 queued for <{ADDRESS}>")
        )
        await self.attempted(await self.logged(2, "order.placed"), Dead("no-such-user", f"550 <{ADDRESS}>: who?"))
        await self.logged(3, "page.viewed")
        return job

    def _rules(self) -> Rules:
        if self.broken:
            raise RuleError("rules.toml", "is no TOML")
        return RULES

    async def _state(self, user: str) -> StateView | None:
        if self.broken:
            raise later("partitions are moving")
        if user != self.user:
            return None
        state = State(3)
        for sequence in (1, 1, 3):
            state, _ = order.advance(state, event(sequence, user=user), self.since)
        return view(user, 3, order.encode(state, 41), 5.0)


def text_of(answer: object) -> str:
    return msgspec.json.encode(answer).decode()
