"""The dead-letter desk in memory, for tests of what uses it. Passes the tests that the real one passes."""

from collections.abc import Sequence
from typing import Any

from msgspec.structs import asdict, replace

from activity.dead import ActionRow, DeadLetter, DeskEntry, LetterState, What
from activity.jobs import Job
from store.deadletters import MISSING, LetterGroup, LetterHistory, LetterRow, LetterSummary, Wanted
from tests.store.fakes import MemoryLedger


class MemoryLetters:
    """See `Intake`, `LetterList`, `UserLetters` and `Desk` in `store.interfaces`."""

    def __init__(self, ledger: MemoryLedger) -> None:
        self._ledger = ledger
        self._letters: dict[str, LetterRow] = {}
        self._actions: dict[str, list[ActionRow]] = {}

    async def take(self, letters: Sequence[DeadLetter]) -> None:
        for letter in letters:
            self._letters.setdefault(letter.id, LetterRow(**asdict(letter), changed=letter.first_seen))
            self._actions.setdefault(letter.id, [])

    async def letter(self, id: str) -> LetterHistory | None:
        found = self._letters.get(id)
        return None if found is None else LetterHistory(found, list(self._actions[id]))

    async def letters(
        self, wanted: Wanted, *, limit: int = 100, after: str | None = None, oldest_first: bool = False
    ) -> list[LetterSummary]:
        found = sorted(self._wanted(wanted), key=_place, reverse=not oldest_first)
        if after is not None:
            last = _place(self._letters[after])
            found = [one for one in found if (_place(one) > last if oldest_first else _place(one) < last)]
        return [_summary(one) for one in found[:limit]]

    async def groups(self, wanted: Wanted) -> list[LetterGroup]:
        found: dict[tuple[str, str], list[LetterRow]] = {}
        for letter in self._wanted(wanted):
            found.setdefault((letter.reason, letter.origin), []).append(letter)
        return [_group(*group, of_group) for group, of_group in sorted(found.items())]

    async def of_user(
        self,
        user: str,
        *,
        limit: int = 100,
        after: tuple[float, str] | None = None,
        since: float | None = None,
        until: float | None = None,
    ) -> list[DeskEntry]:
        mine = sorted(self._wanted(Wanted(user=user, since=since)), key=_place, reverse=True)
        found = [one for one in mine if (after is None or _place(one) < after) and (until is None or one.first_seen < until)]
        names = [name for name in DeskEntry.__struct_fields__ if name != "actions"]
        return [
            DeskEntry(**{name: getattr(one, name) for name in names}, actions=list(self._actions[one.id]))
            for one in found[:limit]
        ]

    async def of_jobs(self, user: str, jobs: Sequence[str]) -> dict[str, str]:
        mine = sorted(self._wanted(Wanted(user=user)), key=_place)
        return {one.job: one.id for one in mine if one.job in jobs}

    async def edit(self, id: str, payload: bytes | None, by: str, note: str, now: float, seen: int | None = None) -> str | None:
        return self._act(id, "edited", by, note, now, seen=seen, edited=payload)

    async def discard(self, id: str, by: str, note: str, now: float) -> str | None:
        return self._act(id, "discarded", by, note, now, state="discarded")

    async def undo(self, id: str, by: str, note: str, now: float) -> str | None:
        return self._act(id, "reopened", by, note, now, only="discarded", state="open")

    async def replayed(self, id: str, by: str, note: str, now: float, seen: int | None = None) -> str | None:
        return self._act(id, "replayed", by, note, now, seen=seen, state="replayed")

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
        problem = self._keeps(id, "replayed", "open", seen) or self._ledger.reopen(jobs, due, now, new=new)
        return problem or self._act(id, "replayed", by, note, now, state="replayed")

    def _wanted(self, wanted: Wanted) -> list[LetterRow]:
        return [
            letter
            for letter in self._letters.values()
            if wanted.state in (None, letter.state)
            and wanted.reason in (None, letter.reason)
            and wanted.origin in (None, letter.origin)
            and wanted.user in (None, letter.user)
            and (wanted.since or 0.0) <= letter.first_seen
            and _has(letter, wanted.text or "")
        ]

    def _keeps(self, id: str, what: What, only: LetterState, seen: int | None) -> str | None:
        if id not in self._letters:
            return MISSING
        found = LetterHistory(self._letters[id], self._actions[id])
        if found.letter.state != only:
            return "it is not discarded" if what == "reopened" else found.closed
        if seen in (None, found.newest):
            return None
        return f"it was {found.actions[-1].what} by {found.actions[-1].by} meanwhile: look again"

    def _act(
        self,
        id: str,
        what: What,
        by: str,
        note: str,
        now: float,
        *,
        only: LetterState = "open",
        seen: int | None = None,
        **values: Any,
    ) -> str | None:
        if (problem := self._keeps(id, what, only, seen)) is not None:
            return problem
        self._letters[id] = replace(self._letters[id], **values, changed=now)
        self._actions[id].append(ActionRow(len(self._actions[id]) + 1, now, by, what, note))
        return None


def _group(reason: str, origin: str, letters: Sequence[LetterRow]) -> LetterGroup:
    states = [letter.state for letter in letters]
    times = [letter.first_seen for letter in letters]
    counts = states.count("open"), states.count("replayed"), states.count("discarded")
    return LetterGroup(reason, origin, *counts, min(times), max(times))


def _summary(letter: LetterRow) -> LetterSummary:
    values = {name: getattr(letter, name) for name in LetterSummary.__struct_fields__}
    return LetterSummary(**{**values, "edited": letter.edited is not None})


def _place(letter: LetterRow) -> tuple[float, str]:
    return letter.first_seen, letter.id


def _has(letter: LetterRow, text: str) -> bool:
    return text.encode() in (letter.payload or b"") + b"\0" + (letter.edited or b"") or text in letter.problem
