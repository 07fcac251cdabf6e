"""Where a dead letter may be replayed to, as what, and whether it would be accepted now. Pure.

    came from              goes to
    activity.events        activity.events: the sequencer decides anew, and drops what it has accepted before
    activity.log, `rule`   the rule that could not make its job; the event itself stands in the log already
    activity.log, other    nowhere: the log's order is the sequencer's
    email.*                another round of attempts at the job, given out once by the ledger

What was edited is sent in place of the original: an event in structured mode, with its subject as its key.
"""

import difflib
import re
from collections.abc import Sequence
from typing import Final, Literal, TypeAlias

import msgspec

from activity import names
from activity.dead import DeadLetter
from activity.events import Event, Refused, decode, from_binary_mode, is_binary_mode, log_value
from activity.jobs import Job

Way = Literal["events", "rule", "job"]


class Again(msgspec.Struct, frozen=True):
    """A record for `activity.events`, and the event that the sequencer will find in it."""

    key: bytes
    value: bytes | None
    headers: list[tuple[str, bytes | None]]
    event: Event


class Accepted(msgspec.Struct, frozen=True):
    """It would be accepted now. `notes`: what will come of it, a sentence each."""

    notes: list[str] = []


Trial: TypeAlias = Accepted | Refused
"""What a dry run says."""

STANDS: Final = ("conflict", "too-old")
"""Reasons that stand as long as the event has the same source, id and sequence: the sequencer has no second opinion."""
NOWHERE: Final = "not-replayable"
CUT: Final = "cut"
"""Reasons of ours, which no dead letter has."""

_OURS: Final = (names.ERROR_HEADER, "chopar-")
_RULE: Final = re.compile(r"rule ([a-z0-9][a-z0-9_-]*): ")


def way(letter: DeadLetter) -> Way | Refused:
    """Where it may be replayed to; Refused: nowhere, and why."""
    if letter.broker == "rabbitmq":
        return "job"
    if letter.origin == names.EVENTS:
        return "events"
    if letter.origin == names.LOG and letter.reason == "rule":
        return "rule"
    if letter.origin == names.LOG:
        return Refused(NOWHERE, f"a record of {names.LOG} keeps its place; `chopar replay` compares the log with the store")
    return Refused(NOWHERE, "it does not say where it came from")


def again(letter: DeadLetter, edited: bytes | None) -> Again | Refused:
    """The record that a replay sends to `activity.events`; Refused: the sequencer would not read it."""
    headers = [header for header in letter.headers if not header[0].startswith(_OURS)]
    if edited is None:
        if any(name == names.CUT_HEADER for name, _ in letter.headers):
            return Refused(CUT, "only its beginning was kept; edit it, or take it from where it came")
        key, value = letter.key, letter.payload
    else:
        headers = [header for header in headers if not _is_attribute(header[0])]
        key, value = None, edited
    event = decode(key, value, headers)
    return event if isinstance(event, Refused) else Again(event.user.encode(), value, headers, event)


def stands(letter: DeadLetter, event: Event) -> Refused | None:
    """Why the sequencer would refuse the event again, if that can be told without its state."""
    if letter.reason not in STANDS or _name(event) != _name(decode(None, letter.payload, letter.headers)):
        return None
    return Refused(letter.reason, f"{letter.problem}; give it another sequence or source, or none")


def logged(letter: DeadLetter, edited: bytes | None) -> bytes:
    """The record of `activity.log` from which a rule is to make its job."""
    return (letter.payload if edited is None else edited) or b""


def as_logged(event: Event, now: float) -> bytes:
    """The record of `activity.log` that an event will become, for the rules to be asked; its position is not known yet."""
    return log_value(event.raw, 1, "logged", now)


def refused_rule(letter: DeadLetter) -> str | None:
    """The rule that could not make its job; None: none of them could read the event."""
    found = _RULE.match(letter.problem)
    return found[1] if found else None


def of_rule(jobs: Sequence[Job], rule: str | None) -> list[Job]:
    """Those of the jobs that the letter is about: the others were made when the event was logged."""
    return [job for job in jobs if rule in (None, job.rule)]


# -- what a person reads and edits -------------------------------------------------------------------------------------


def draft(letter: DeadLetter, edited: bytes | None) -> bytes:
    """What an editor is to show: the payload, an event of binary mode as the one JSON object that it stands for."""
    if edited is not None:
        return pretty(edited)
    written = from_binary_mode(letter.payload, letter.headers) if is_binary_mode(letter.headers) else None
    return pretty(written if isinstance(written, bytes) else letter.payload or b"")


def pretty(payload: bytes) -> bytes:
    """JSON with a line for each member, numbers as they came; anything else as it is."""
    return _formatted(payload, 2)


def compact(payload: bytes) -> bytes:
    """JSON without white space; anything else as it is."""
    return _formatted(payload, -1)


def difference(before: bytes, after: bytes) -> list[str]:
    """What was changed, as a unified diff of lines; empty: nothing that means something."""
    return list(difflib.unified_diff(_lines(before), _lines(after), "as it came", "edited", lineterm=""))


def _lines(payload: bytes) -> list[str]:
    return pretty(payload).decode("utf-8", "replace").splitlines()


def _formatted(payload: bytes, indent: int) -> bytes:
    try:
        return msgspec.json.format(payload, indent=indent)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return payload


def _is_attribute(header: str) -> bool:
    return header.startswith("ce_") or header.lower() == "content-type"


def _name(event: Event | Refused) -> tuple[str, str, int | None] | None:
    return None if isinstance(event, Refused) else (event.source, event.id, event.sequence)
