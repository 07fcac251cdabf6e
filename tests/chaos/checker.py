"""Whether promises 1 to 3 hold, told from what a run left behind and from the contract's words alone.

Of Chopar only the event's type is imported (`test_checker.py` holds that): the rules here are a second writing of the
contract. They look at everything at the end and at once, where the sequencer decides a record at a time.
"""

from collections import defaultdict
from datetime import datetime
from typing import Any, Final

import msgspec
from aiokafka.partitioner import murmur2

from activity.events import LogRecord
from tests.chaos.evidence import Evidence, Row, Seen
from tests.chaos.findings import Findings

RULES: Final = {"user.signed_up": "welcome"}
"""The event types of the run's traffic that a rule of `rules.toml` names, and the rule."""
WINDOW: Final = 256
Place = tuple[int, int]
Identity = tuple[str, str, str]


class Logged(msgspec.Struct):
    """A user's log as it is read from `activity.log`: what stands at each position, first readings only."""

    records: list[tuple[LogRecord, bytes]] = []
    places: list[set[Place]] = []


def check(evidence: Evidence, partitions: int, gap_timeout: float) -> Findings:
    """Look at all of it."""
    findings = Findings()
    logs = _read_log(evidence.log, findings)
    standing: dict[Identity, str] = {}
    for user, log in logs.items():
        _check_user(user, log, gap_timeout, standing, findings)
    _check_input(evidence, partitions, standing, findings)
    _check_store(evidence.rows, logs, findings)
    if evidence.jobs is not None:
        _check_jobs(evidence.jobs, logs, findings)
    return findings


# -- activity.log ------------------------------------------------------------------------------------------------------


def _read_log(records: list[Seen], findings: Findings) -> dict[str, Logged]:
    """Each user's log. A reader meets no hole, and a position that comes again is the same byte for byte."""
    logs: defaultdict[str, Logged] = defaultdict(Logged)
    for seen in records:
        assert seen.value is not None
        found = msgspec.json.decode(seen.value, type=LogRecord)
        log, where = logs[found.subject], f"log/{seen.partition}/{seen.offset} {found.subject} position {found.position}"
        if seen.key != found.subject.encode():
            findings.breaks("order", f"{where}: under another key, {seen.key!r}")
        if found.position == len(log.records) + 1:
            log.records.append((found, seen.value))
            log.places.append({(seen.partition, seen.offset)})
            findings.count(found.verdict)
        elif 1 <= found.position <= len(log.records):
            findings.count("repeated")
            log.places[found.position - 1].add((seen.partition, seen.offset))
            before = log.records[found.position - 1][1]
            if before != seen.value:
                findings.breaks("once", f"{where}: {seen.value.decode()} where {before.decode()} stood")
        else:
            findings.breaks("holes", f"{where}: after {len(log.records)}")
    return logs


def _check_user(user: str, log: Logged, gap_timeout: float, standing: dict[Identity, str], findings: Findings) -> None:
    """One position for one event; sequences ascend but for late ones, which came after their gap was over."""
    highest: dict[str, int] = {}
    reached: defaultdict[str, list[tuple[int, float]]] = defaultdict(list)
    for record, _ in log.records:
        where = f"{user} position {record.position} ({record.source} {record.id})"
        identity = user, record.source, record.id
        if identity in standing:
            findings.breaks("once", f"{where}: stands twice")
        standing[identity] = record.verdict
        if record.sequence is None:
            continue
        sequence, received = int(record.sequence), datetime.fromisoformat(record.received).timestamp()
        if record.verdict == "logged":
            if sequence <= highest.get(record.source, 0):
                findings.breaks("order", f"{where}: sequence {sequence} after {highest[record.source]}")
            highest[record.source] = sequence
        else:
            greater = [time for other, time in reached[record.source] if other > sequence]
            if not greater or (len(greater) < WINDOW and received < min(greater) + gap_timeout - 0.01):
                findings.breaks("order", f"{where}: late, though its gap was not over")
        reached[record.source].append((sequence, received))


# -- activity.events ---------------------------------------------------------------------------------------------------


def _check_input(evidence: Evidence, partitions: int, standing: dict[Identity, str], findings: Findings) -> None:
    """Each record ended somewhere: on the log, among the dead with a reason that is true, or moved to its partition."""
    dead = _by_origin(evidence.dead, "__streams.errors.", findings)
    moved = {seen.headers["chopar-moved"].decode() for seen in evidence.events if "chopar-moved" in seen.headers}
    known: set[Identity] = set()
    refusals = _Refusals()
    for seen in sorted(evidence.events, key=lambda seen: (seen.partition, seen.offset)):
        where, reason = f"events/{seen.partition}/{seen.offset}", dead.pop((seen.partition, seen.offset), None)
        kind, event = _kind(seen, partitions, reason)
        findings.count(kind)
        if kind == "moved" and f"activity.{where}" not in moved:
            findings.breaks("lost", f"{where}: on the wrong partition, and not moved")
        elif kind == "junk" and reason is None:
            findings.breaks("lost", f"{where}: no event, and not among the dead")
        elif kind == "refused" and not refusals.is_right(reason, event):
            findings.breaks("lost", f"{where}: refused as {reason!r} without cause")
        elif kind == "events":
            refusals.learn(event)
            identity = event["subject"], event["source"], event["id"]
            if identity not in standing:
                findings.breaks("lost", f"{where}: {identity} is nowhere")
            findings.count("duplicate", identity in known)
            known.add(identity)
    for identity in standing.keys() - known:
        findings.breaks("once", f"{identity} was never sent")
    for place in dead:
        findings.breaks("lost", f"{place} is among the dead, and never was on activity.events")


def _kind(seen: Seen, partitions: int, reason: bytes | None) -> tuple[str, dict[str, Any]]:
    """What a record of `activity.events` is, and its attributes if it is an event."""
    if seen.headers.get("chopar-kind") == b"tick" and seen.key is None:
        return "ticks", {}
    event = _event_of(seen)
    if event is None:
        return "junk", {}
    if seen.key is None or (murmur2(seen.key) & 0x7FFFFFFF) % partitions != seen.partition:
        return "moved", event
    return "refused" if reason is not None else "events", event


class _Refusals:
    """Which events may be refused, by those that came before them on their partition."""

    def __init__(self) -> None:
        self._claims: dict[tuple[str, str, int], str] = {}
        self._highest: dict[tuple[str, str], int] = {}

    def learn(self, event: dict[str, Any]) -> None:
        if "sequence" in event:
            source, sequence = (event["subject"], event["source"]), int(event["sequence"])
            self._claims.setdefault((*source, sequence), event["id"])
            self._highest[source] = max(sequence, self._highest.get(source, 0))

    def is_right(self, reason: bytes | None, event: dict[str, Any]) -> bool:
        """`conflict`: its sequence is another event's; `too-old`: that of its source is more than the window ahead."""
        source, sequence = (event["subject"], event["source"]), int(event.get("sequence", 0))
        if reason == b"conflict":
            return self._claims.get((*source, sequence)) not in (None, event["id"])
        return reason == b"too-old" and 0 < sequence <= self._highest.get(source, 0) - WINDOW


def _by_origin(dead: list[Seen], prefix: str, findings: Findings) -> dict[Place, bytes]:
    """The reasons of the dead of `activity.events` by where they came from. Others should not be there."""
    found: dict[Place, bytes] = {}
    for seen in dead:
        if seen.headers[f"{prefix}topic"] != b"activity.events":
            findings.breaks("lost", f"dead/{seen.partition}/{seen.offset}: {seen.headers}")
            continue
        place = int(seen.headers[f"{prefix}partition"]), int(seen.headers[f"{prefix}offset"])
        if found.setdefault(place, seen.headers["chopar-reason"]) != seen.headers["chopar-reason"]:
            findings.breaks("once", f"dead/{seen.partition}/{seen.offset}: refused again, for another reason")
    return found


def _event_of(seen: Seen) -> dict[str, Any] | None:
    """The attributes, if it is an event as the contract says."""
    try:
        found = msgspec.json.decode(seen.value or b"")
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    texts = ("id", "source", "type", "subject")
    if not isinstance(found, dict) or found.get("specversion") != "1.0" or not all(found.get(name) for name in texts):
        return None
    return found if seen.key in (None, found["subject"].encode()) else None


# -- the far ends ------------------------------------------------------------------------------------------------------


def _check_store(rows: list[Row], logs: dict[str, Logged], findings: Findings) -> None:
    """The store holds `activity.log`, all of it and nothing else."""
    findings.count("stored", len(rows))
    missing = {(user, number) for user, log in logs.items() for number in range(1, len(log.records) + 1)}
    for row in rows:
        where = f"store {row.user} position {row.position}"
        if (row.user, row.position) not in missing:
            findings.breaks("store", f"{where}: not on activity.log")
            continue
        missing.remove((row.user, row.position))
        log = logs[row.user]
        record, value = log.records[row.position - 1]
        if row.event != value or (row.source, row.id, row.verdict) != (record.source, record.id, record.verdict):
            findings.breaks("store", f"{where}: {row.source} {row.id} where {record.source} {record.id} should be")
        if (row.partition, row.offset) not in log.places[row.position - 1] or row.repeats is not None:
            findings.breaks("store", f"{where}: said to come from {row.partition}/{row.offset}, repeating {row.repeats}")
    for user, position in sorted(missing):
        findings.breaks("lost", f"{user} position {position} is not in the store")


def _check_jobs(jobs: list[dict[str, Any]], logs: dict[str, Logged], findings: Findings) -> None:
    """Each event that a rule names made its job; repeats of it have one id."""
    wanted = {
        (user, record.source, record.id, RULES[record.type])
        for user, log in logs.items()
        for record, _ in log.records
        if record.type in RULES
    }
    ids: dict[tuple[str, str, str, str], str] = {}
    for job in jobs:
        key = job["user"], job["event"]["source"], job["event"]["id"], job["rule"]
        findings.count("jobs repeated" if key in ids else "jobs")
        if key not in wanted or ids.setdefault(key, job["id"]) != job["id"]:
            findings.breaks("once", f"job {job['id']} of {key} should not be")
    for key in sorted(wanted - ids.keys()):
        findings.breaks("lost", f"no job for {key}")
