"""Endless jobs from a seed, and what the mail server says to each: some can't succeed, some are no jobs at all."""

import random
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

from msgspec.structs import replace

from activity.jobs import encode_job
from activity.names import JOBS_EXCHANGE
from rabbit.letters import Letter, first_letter
from tests.chaos.mail.evidence import Given
from tests.rabbit.orders import make_job

BULK: Final = 0.2
SPOILT: Final = 0.002
WRONG: Final = 0.002
HOPELESS: Final = 0.002
REFUSED: Final = 0.01
DELAYED: Final = 0.03
REPEATED: Final = 0.03
PUT_OFF: Final = 0.1
DROPPED: Final = 0.01
_JUNK: Final = (b'{"id": "%d"', b"[%d]", b'{"version": 9, "id": "%d"}')
_DROPS: Final = ("drop", "drop-after", "drop-before")


class Traffic:
    """Iterate over it: the letters to be published. `given` and `junk` have what was handed out so far."""

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(seed)
        self.given: dict[str, Given] = {}
        self.junk: list[bytes] = []

    def __iter__(self) -> Iterator[Letter]:
        number, recent = 0, []
        while True:
            number += 1
            if self._rng.random() < SPOILT:
                yield self._spoilt(number)
            letter = self._job(number)
            yield letter
            if self._rng.random() < REPEATED:
                recent.append(letter)
            if len(recent) > 20:
                yield recent.pop(self._rng.randrange(len(recent)))

    def _job(self, number: int) -> Letter:
        kind, to, hopeless = self._rng.random(), f"some-{number}@shop.example", False
        for share, name in (
            (WRONG, "no address at all"),
            (HOPELESS, f"later-{number}@shop.example"),
            (REFUSED, f"never-{number}@shop.example"),
        ):
            if 0 <= kind < share:
                to, hopeless = name, True
            kind -= share
        job = make_job(number, job_class="bulk" if self._rng.random() < BULK else "transactional", to=to)
        due = 0.0
        if self._rng.random() < DELAYED:
            at = datetime.now(UTC) + timedelta(seconds=self._rng.uniform(1.0, 10.0))
            job, due = replace(job, send_at=at), at.timestamp()
        self.given[job.id] = Given(encode_job(job), hopeless, due)
        return first_letter(job)

    def _spoilt(self, number: int) -> Letter:
        body = self._rng.choice(_JUNK) % number
        self.junk.append(body)
        return Letter(JOBS_EXCHANGE, "email.bulk.junk", body, {})


def answer(seed: int, recipient: str, number: int) -> str:
    """What the mail server says to a recipient's mail number `number` (see `tests.chaos.mail.sink.Answer`)."""
    if recipient.startswith("never"):
        return "550 5.1.1 no such user"
    if recipient.startswith("later"):
        return "451 4.2.0 not now"
    roll = zlib.crc32(f"{seed} {recipient} {number}".encode())
    share = roll / 2**32
    if share < PUT_OFF:
        return "450 4.2.1 mailbox busy"
    return _DROPS[roll % 3] if share < PUT_OFF + DROPPED else ""
