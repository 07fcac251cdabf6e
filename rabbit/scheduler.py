"""Publishes the jobs whose time has come. Each mailer has one; what one of them takes no other gets until its lease is over.

    take (commit) ──▶ publish (confirmed) ──▶ published (commit)

A crash after the first step: another takes the job when the lease is over. After the second: it is published twice, and the
ledger gives it out once. Nothing is lost, since the job leaves the store only with the third.
"""

import asyncio
import os
import random
import socket
import time
from collections.abc import Callable, Sequence
from typing import Final

from activity.errors import Unreachable
from activity.names import routing_key
from rabbit.failpoints import failpoint
from rabbit.letters import due_letter
from rabbit.lifecycle import Change, Listener
from rabbit.link import problem
from rabbit.outage import Outage, wait
from rabbit.publisher import Outbox
from store.interfaces import Schedule
from store.schedule import Due

GLANCE: Final = 1.0
"""Seconds between two looks: so late a job may be."""
LEASE: Final = 60.0
"""Seconds until another mailer publishes what this one has taken."""
BATCH: Final = 100
"""Jobs in hand at once."""


class Scheduler:
    """See above. `run` goes on until it is cancelled, and waits out outages."""

    def __init__(
        self,
        schedule: Schedule,
        outbox: Outbox,
        listener: Listener,
        outage: Outage | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._schedule, self._outbox, self._listener, self._now = schedule, outbox, listener, now
        self._outage = outage or Outage("the store")
        self._owner = f"{socket.gethostname()}:{os.getpid()}:{random.getrandbits(32):08x}"

    async def run(self) -> None:
        """Looks again and again; several mailers don't look at the same moment."""
        failures = 0
        while True:
            try:
                published = await self.publish_due()
            except Unreachable as error:
                failures += 1
                self._outage.begin(self, problem(error))
                await wait(failures)
                continue
            failures = 0
            self._outage.end(self)
            if published < BATCH:
                await asyncio.sleep(GLANCE * (0.5 + random.random() / 2))  # noqa: S311 - it spreads load, it guards nothing

    async def publish_due(self) -> int:
        """Publishes at most `BATCH` of the jobs that are due; how many."""
        now = self._now()
        found = await self._schedule.take(self._owner, now + LEASE, now, BATCH)
        if found:
            failpoint("scheduler.taken")
            await self._publish(found)
        return len(found)

    async def _publish(self, found: Sequence[Due]) -> None:
        """As they are, unread: what this version can't read is for whoever takes it to say."""
        await self._outbox.deliver(
            [due_letter(due.id, routing_key(due.job_class, due.rule), due.body, due.attempt, due.before) for due in found]
        )
        by_id = {due.id: due for due in found}
        failpoint("scheduler.published")
        marked = await self._schedule.published(list(by_id), self._owner, self._now())
        failpoint("scheduler.marked")
        for id in marked:
            due = by_id[id]
            self._listener.tell(Change(id, due.rule, due.user, "waiting", due.attempt, self._now(), "due"))
