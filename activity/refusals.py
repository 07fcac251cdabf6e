"""Whom the far end means when it says "not now" for reasons of its own: everyone, or this one job. Pure.

Who has too much to do, or wants a login, says so to all: that is an outage, and an outage spends no attempt, however long it
lasts. Who says so to one job again and again, and takes others in between, means that job: it is refused like any other,
which counts, and nobody else need wait for it.

    not now ──▶ up to `PATIENCE` times ──▶ others were taken since it last heard so? ── yes ─▶ counts as an attempt
                     does not count                                                 └─ no ──▶ does not count, waits longer
"""

from typing import Final

import msgspec

from activity.outcomes import Dead, Outcome, Retry, Sent, Unknown

PATIENCE: Final = 3
"""So many times a job hears it in any case before one counts: a server that is crowded for a while hits the same one twice."""
WAIT: Final = 4.0
LONGEST: Final = 64.0
"""Bounds of the wait in seconds, which doubles once the patience is over: it is also how late a job may be after an outage."""
REMEMBERED: Final = 10_000
"""Jobs of which it is known how often they heard it; beyond it, who heard it longest ago begins anew."""


class _Heard(msgspec.Struct, frozen=True):
    """How often, and how many jobs had been taken by then."""

    times: int
    taken: int


class Refusals:
    """What one pool has heard."""

    def __init__(self) -> None:
        self._taken = 0
        self._heard: dict[str, _Heard] = {}

    def weigh(self, job: str, outcome: Outcome) -> Outcome:
        """What came of an attempt at `job`, as it counts."""
        before = self._heard.pop(job, None)
        if isinstance(outcome, Sent | Dead):
            self._taken += isinstance(outcome, Sent)
            return outcome
        if isinstance(outcome, Unknown) or not _is_for_all(outcome):
            if before is not None:
                self._heard[job] = before
            return outcome
        times = 1 if before is None else before.times + 1
        self._heard[job] = _Heard(times, self._taken)
        if len(self._heard) > REMEMBERED:
            del self._heard[next(iter(self._heard))]
        if before is None or times <= PATIENCE:
            return outcome
        if before.taken < self._taken:
            return msgspec.structs.replace(outcome, burn=True, slow=False)
        longer = min(WAIT * 2.0 ** min(times - PATIENCE, 60), LONGEST)
        return msgspec.structs.replace(outcome, after=max(outcome.after or 0.0, longer))


def _is_for_all(outcome: Retry) -> bool:
    """Whether the far end spoke, and of itself. Where there is no connection nothing was said about any job."""
    return not outcome.burn and outcome.kind != "connection"
