"""Dead letters as documents: what the HTTP interface answers, and what `chopar dead --json` prints. Pure."""

import base64
from collections.abc import Sequence

import msgspec

from activity.dead import ActionRow, Broker, LetterState
from activity.events import Refused, rfc3339
from activity.letters import ActionStory, action_story
from activity.redelivery import Trial, difference, draft
from console.masking import mask_problem, mask_text
from store.deadletters import LetterGroup, LetterHistory, LetterSummary


class Content(msgspec.Struct, frozen=True, omit_defaults=True):
    """Bytes: `text` if they are UTF-8, else `base64`."""

    text: str | None = None
    base64: str | None = None


class GroupView(msgspec.Struct, frozen=True):
    """The letters of one reason and origin. `first`, `last`: when they died."""

    reason: str
    origin: str
    open: int
    replayed: int
    discarded: int
    first: str
    last: str


class LetterLine(msgspec.Struct, frozen=True):
    """A letter in a list. `origin`: the topic or queue that it was refused from; `first_seen`: when it died."""

    id: str
    state: LetterState
    reason: str
    problem: str
    origin: str
    user: str
    job: str
    edited: bool
    first_seen: str
    changed: str


class LetterView(msgspec.Struct, frozen=True):
    """A letter and what was done with it, oldest first. `partition` and `offset` say where it stood on a topic; `job` and
    `attempt` which job it is. `edited` is sent in place of `payload`; `difference` is a unified diff, by lines.
    """

    id: str
    state: LetterState
    broker: Broker
    reason: str
    problem: str
    origin: str
    partition: int | None
    offset: int | None
    job: str
    attempt: int
    user: str
    first_seen: str
    changed: str
    actions: list[ActionStory]
    masked: bool
    key: Content | None = None
    headers: list[tuple[str, Content | None]] = []
    payload: Content | None = None
    edited: Content | None = None
    difference: list[str] = []


class Verdict(msgspec.Struct, frozen=True):
    """Whether a replay would be accepted now: `problem` says why not, `notes` what would come of it."""

    accepted: bool
    problem: str | None
    notes: list[str]


def group(found: LetterGroup) -> GroupView:
    """A group as a document."""
    times = rfc3339(found.first), rfc3339(found.last)
    return GroupView(found.reason, found.origin, found.open, found.replayed, found.discarded, *times)


def line(letter: LetterSummary, *, shown: bool = True) -> LetterLine:
    """A letter in a list; who is not shown sees no addresses."""
    return LetterLine(
        letter.id,
        letter.state,
        letter.reason,
        letter.problem if shown else mask_problem(letter.reason, letter.problem),
        letter.origin,
        letter.user,
        letter.job,
        letter.edited,
        rfc3339(letter.first_seen),
        rfc3339(letter.changed),
    )


def letter(found: LetterHistory, *, shown: bool = True) -> LetterView:
    """A letter; `shown`: with key, headers, payload and addresses."""
    row = found.letter
    known = LetterView(
        id=row.id,
        state=row.state,
        broker=row.broker,
        reason=row.reason,
        problem=row.problem if shown else mask_problem(row.reason, row.problem),
        origin=row.origin,
        partition=row.partition,
        offset=row.offset,
        job=row.job,
        attempt=row.attempt,
        user=row.user,
        first_seen=rfc3339(row.first_seen),
        changed=rfc3339(row.changed),
        actions=_actions(found.actions, shown=shown),
        masked=not shown,
    )
    if not shown:
        return known
    return msgspec.structs.replace(
        known,
        key=_content(row.key),
        headers=[(name, _content(value)) for name, value in row.headers],
        payload=_content(row.payload),
        edited=_content(row.edited),
        difference=[] if row.edited is None else difference(draft(row, None), row.edited),
    )


def verdict(trial: Trial) -> Verdict:
    """What a dry run said."""
    if isinstance(trial, Refused):
        return Verdict(accepted=False, problem=f"{trial.reason}: {trial.problem}", notes=[])
    return Verdict(accepted=True, problem=None, notes=trial.notes)


def masked_actions(actions: Sequence[ActionStory]) -> list[ActionStory]:
    """Without addresses in the notes and the names."""
    return [msgspec.structs.replace(one, by=mask_text(one.by), note=mask_text(one.note)) for one in actions]


def _actions(found: Sequence[ActionRow], *, shown: bool) -> list[ActionStory]:
    actions = [action_story(one) for one in found]
    return actions if shown else masked_actions(actions)


def _content(value: bytes | None) -> Content | None:
    if value is None:
        return None
    try:
        return Content(text=value.decode())
    except UnicodeDecodeError:
        return Content(base64=base64.b64encode(value).decode())
