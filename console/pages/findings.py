"""Whether all is well, and if not, where. Pure: a snapshot in, what a person has to know out, the worst first."""

from collections.abc import Iterator, Sequence
from math import isinf
from typing import Final, Literal

import msgspec

from activity.events import rfc3339
from activity.names import DEAD_QUEUE
from activity.pace import Reader
from console.pages.rendering import clock, plural, runs
from console.pages.snapshot import Snapshot
from rabbit.wiring import Wiring, missing

Level = Literal["bad", "warn"]
UNASKED: Final = ("kafka", "rabbitmq", "mailers", "store", "workers")
"""The names of those that are asked, as `Snapshot.problems` has them."""


class Finding(msgspec.Struct, frozen=True):
    """`bad`: something does not work. `warn`: a person should look. `link`: the page that says more."""

    level: Level
    what: str
    detail: str
    link: str


class Verdict(msgspec.Struct, frozen=True):
    """The one line on top. `level`: `ok`, the worst finding's, or `unknown` while not all have answered."""

    level: Literal["ok", "warn", "bad", "unknown"]
    words: str
    findings: Sequence[Finding]


def verdict(snapshot: Snapshot) -> Verdict:
    """What to say of it all."""
    found = sorted(findings(snapshot), key=lambda one: one.level)  # "bad" < "warn"
    if found:
        words = "Something is broken" if found[0].level == "bad" else "It runs; somebody should look"
        return Verdict(found[0].level, f"{words}: {found[0].what}", found)
    known = (snapshot.readers, snapshot.queues, snapshot.mailers, snapshot.books, snapshot.shares)
    if any(one is None for one in known):
        return Verdict("unknown", "Asking everybody", [])
    return Verdict("ok", "All is well", [])


def findings(snapshot: Snapshot) -> Iterator[Finding]:
    """All of them, in the order of the flow."""
    for name, problem in sorted(snapshot.problems.items()):
        if name == "workers":  # it is so for a moment with each start and end of one
            yield Finding("warn", "partitions are moving between the workers", problem, "/#workers")
        else:
            yield Finding("bad", f"{name} can't be asked", problem, "/brokers")
    for share in snapshot.shares or ():
        if share.worker in snapshot.away:
            has = f"has partitions {runs(share.partitions)}; {snapshot.away[share.worker]}"
            yield Finding("bad", f"worker {share.worker} is away", has, "/#workers")
    for reader in snapshot.readers or ():
        yield from _reader(reader)
    yield from _mail(snapshot)
    yield from _books(snapshot)


def _reader(reader: Reader) -> Iterator[Finding]:
    pace, who = reader.all, f"the {reader.agent}"
    if not reader.members:
        yield Finding("bad", f"no worker runs {who}", f"{plural(pace.lag, 'record')} of {reader.topic} wait", "/brokers")
    elif any(one.owner is None for one in reader.partitions):
        yield Finding("warn", f"partitions of {who} are nobody's", f"group {reader.group} is {reader.state}", "/brokers")
    elif isinf(pace.catch_up):
        detail = f"{plural(pace.lag, 'record')} behind, reads {pace.rate:,.0f}/s while {pace.arrival:,.0f}/s come"
        yield Finding("warn", f"{who} falls behind", detail, "/brokers")
    if pace.expired:
        yield Finding("bad", f"records were deleted before {who} read them", plural(pace.expired, "record"), "/brokers")


def _mail(snapshot: Snapshot) -> Iterator[Finding]:
    if snapshot.mailers is not None and not snapshot.mailers:
        yield Finding("bad", "no mailer runs", "no mail goes out; `chopar mailer` starts one", "/jobs?state=waiting")
    for one in snapshot.mailers or ():
        if one.away_since is not None:
            since = clock(rfc3339(one.away_since))
            yield Finding("bad", "the mail server is away", f"{one.mailer} says so since {since}", "/jobs?state=waiting")
        elif one.paused:
            yield Finding("warn", "mail is paused", f"{one.mailer}; `chopar jobs resume` goes on", "/jobs?state=waiting")
        elif one.at_most < one.workers:
            detail = f"{one.mailer} sends {one.at_most} at once instead of {one.workers}"
            yield Finding("warn", "the mail server has too much to do", detail, "/jobs?state=waiting")
    if isinstance(snapshot.wiring, Wiring) and (gone := list(missing(snapshot.wiring))):
        yield Finding("bad", "RabbitMQ lacks what Chopar declares", ", ".join(gone[:5]), "/brokers")
    dead = (snapshot.queues or {}).get(DEAD_QUEUE)
    if dead is not None and dead.messages and not dead.consumers:
        yield Finding("warn", f"nobody takes in {DEAD_QUEUE}", f"{plural(dead.messages, 'message')} wait", "/brokers")


def _books(snapshot: Snapshot) -> Iterator[Finding]:
    books = snapshot.books
    if books is None:
        return
    if books.audit is not None and not books.audit.ok:
        detail = f"{plural(books.audit.differences, 'record')} differ, said {clock(rfc3339(books.audit.at))}"
        yield Finding("bad", "the audit does not add up", detail, "/#audit")
    if books.open_letters:
        noun = plural(books.open_letters, "dead letter")
        reasons = ", ".join(sorted({group.reason for group in books.groups if group.open}))
        yield Finding("warn", f"{noun} wait for a person", reasons, "/dead-letters?state=open")
    if unknown := books.jobs.get("unknown", 0):
        yield Finding(
            "warn",
            f"of {plural(unknown, 'mail')} nobody knows whether it was sent",
            "the mail server's log tells",
            "/jobs?state=unknown",
        )
