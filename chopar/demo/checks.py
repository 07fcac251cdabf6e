"""Whether what came of a run is what had to come of it. Pure: plan and evidence in, what differs out."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, TypeVar

from activity.ledger import JobRow
from chopar.demo.evidence import DeadRecord, Evidence, Row
from chopar.demo.mails import ExpectedMail, Mailing
from chopar.demo.traffic import Identity, Planned, Traffic

T = TypeVar("T")

NAMED: Final = 5
"""So many of a kind are named, the others counted."""


def differences(traffic: Traffic, mailing: Mailing, found: Evidence) -> list[str]:
    """Everything that is not as it has to be, one sentence each. Empty: all sums add up and all promises hold."""
    return [
        *_sums(traffic, found),
        *_each_once(traffic, found.stored, "the store"),
        *_each_once(traffic, list(dict.fromkeys(found.log)), "activity.log"),
        *_positions(found.stored),
        *_sequences(found.stored),
        *_verdicts(traffic, found.stored),
        *_same_places(found),
        *_refusals(traffic, found.dead),
        *_jobs(mailing, found),
        *_inbox(mailing, found),
    ]


def _sums(traffic: Traffic, found: Evidence) -> Iterator[str]:
    sent = len(traffic.all)
    if found.read != sent:
        yield f"{sent:,} records were sent, {found.read:,} are on activity.events"
    if found.waiting:
        yield f"{found.waiting:,} events still wait for their predecessors"
    total = len(found.stored) + found.duplicates + len(found.dead) + found.waiting
    if total != sent:
        yield f"logged + late + duplicate + dead + waiting is {total:,}; {sent:,} records were sent"
    repeats = sum(record.fate == "duplicate" for record in traffic.all)
    if found.duplicates != repeats:
        yield f"{repeats:,} repeats were sent, {found.duplicates:,} were dropped as duplicates"


def _each_once(traffic: Traffic, rows: Sequence[Row], where: str) -> Iterator[str]:
    standing = Counter(row.identity for row in rows)
    wanted = {record.identity for record in traffic.good if record.identity is not None}
    yield from _named(f"events are not in {where}", wanted - standing.keys())
    yield from _named(f"events are in {where} that should not be", standing.keys() - wanted)
    yield from _named(f"events are in {where} more than once", (identity for identity, count in standing.items() if count > 1))


def _positions(stored: Sequence[Row]) -> Iterator[str]:
    positions: defaultdict[str, list[int]] = defaultdict(list)
    for row in stored:
        positions[row.identity.user].append(row.position)
    broken = [user for user, found in positions.items() if sorted(found) != list(range(1, len(found) + 1))]
    yield from _named("users have positions that are not 1, 2, 3, …", broken)


def _sequences(stored: Sequence[Row]) -> Iterator[str]:
    """Those that were logged in time stand in the order of their sequences."""
    last: dict[tuple[str, str], int] = {}
    broken = []
    for row in sorted(stored, key=lambda row: row.position):
        stream = row.identity.user, row.identity.source
        if row.identity.sequence is not None and row.verdict == "logged":
            if row.identity.sequence <= last.get(stream, 0):
                broken.append(row.identity)
            last[stream] = row.identity.sequence
    yield from _named("events stand before their predecessors", broken)


def _verdicts(traffic: Traffic, stored: Sequence[Row]) -> Iterator[str]:
    plans = {record.identity: record for record in traffic.good}
    wrong = [row.identity for row in stored if row.identity in plans and not _fits(plans[row.identity], row.verdict)]
    yield from _named("events have another verdict than planned", wrong)


def _fits(plan: Planned, verdict: str) -> bool:
    return verdict == plan.fate or (plan.swapped and verdict == "late")


def _same_places(found: Evidence) -> Iterator[str]:
    stored = {(row.identity, row.position, row.verdict) for row in found.stored}
    log = {(row.identity, row.position, row.verdict) for row in found.log}
    yield from _named("events differ between activity.log and the store", {identity for identity, *_ in stored ^ log})


def _refusals(traffic: Traffic, dead: Sequence[DeadRecord]) -> Iterator[str]:
    planned = Counter(DeadRecord(record.key, record.value, record.reason) for record in traffic.all if record.fate == "dead")
    found = Counter(dead)
    yield from _named("records are missing on activity.dead", [record.reason for record in (planned - found).elements()])
    yield from _named("records are on activity.dead unplanned", [record.reason for record in (found - planned).elements()])


def _jobs(mailing: Mailing, found: Evidence) -> Iterator[str]:
    yield from _named("emails are not in the ledger", mailing.jobs.keys() - found.jobs.keys())
    yield from _named("emails are in the ledger that no rule asks for", found.jobs.keys() - mailing.jobs.keys())
    both = mailing.jobs.keys() & found.jobs.keys()
    yield from _named("emails ended otherwise", [id for id in both if not ended_so(found.jobs[id], mailing.jobs[id])])
    if len(found.unfit) != mailing.unfit:
        yield f"{mailing.unfit} events lack what their rule needs, {len(found.unfit)} are on activity.dead for it"


def ended_so(job: JobRow, expected: ExpectedMail) -> bool:
    """Whether the job ended as it has to."""
    match expected.ending:
        case "first try":
            return job.state == "sent"
        case "later try":
            return job.state == "sent" and job.attempt > 1
        case "refused":
            return job.state == "dead" and job.reason.startswith("refused")
        case "bad address":
            return job.state == "dead" and job.reason.startswith("bad-address")


def _inbox(mailing: Mailing, found: Evidence) -> Iterator[str]:
    sent = {id for id, mail in mailing.jobs.items() if mail.ending in ("first try", "later try")}
    arrived = {id: count for id, count in found.mails.items() if id in mailing.jobs}
    yield from _named("emails did not arrive", sent - arrived.keys())
    yield from _named("emails arrived that should not", arrived.keys() - sent)
    doubtful = {id for id, job in found.jobs.items() if job.doubtful}
    yield from _named("emails arrived more than once", [id for id, count in arrived.items() if count > 1 and id not in doubtful])


def _named(what: str, cases: Iterable[T]) -> Iterator[str]:
    shown = sorted(map(_name, cases))
    if shown:
        more = f" and {len(shown) - NAMED} more" if len(shown) > NAMED else ""
        yield f"{len(shown)} {what}: {', '.join(shown[:NAMED])}{more}"


def _name(case: object) -> str:
    if isinstance(case, Identity):
        return f"{case.user} {case.source.rpartition('/')[2]} {case.sequence or case.id}"
    return str(case)
