"""Which emails the traffic has to lead to, by the rules. Pure."""

from collections.abc import Callable, Iterable
from typing import Literal

import msgspec

from activity.events import decode_log, log_value
from activity.rules import Rules
from chopar.demo.traffic import Planned
from chopar.inbox.server import REFUSED, RETRY

Ending = Literal["first try", "later try", "refused", "bad address"]


class ExpectedMail(msgspec.Struct, frozen=True):
    """A job and how it has to end."""

    user: str
    rule: str
    ending: Ending


class Mailing(msgspec.Struct, frozen=True):
    """The jobs by their ids, and how many events a rule matches that can't be made a job of."""

    jobs: dict[str, ExpectedMail]
    unfit: int


def mailing(events: Iterable[Planned], rules: Rules, is_bad: Callable[[str], bool]) -> Mailing:
    """What `rules` make of the good ones among `events`. `is_bad`: whether an address can't be sent to."""
    jobs: dict[str, ExpectedMail] = {}
    unfit = 0
    for event in events:
        if event.fate in ("logged", "late") and event.value is not None:
            made, refused = rules.jobs(decode_log(log_value(event.value, 1, "logged", 0)))
            unfit += len(refused)
            for job in made:
                jobs[job.id] = ExpectedMail(job.user, job.rule, _ending(job.to, is_bad))
    return Mailing(jobs, unfit)


def _ending(to: str, is_bad: Callable[[str], bool]) -> Ending:
    if is_bad(to):
        return "bad address"
    if to.startswith(REFUSED):
        return "refused"
    return "later try" if to.startswith(RETRY) else "first try"
