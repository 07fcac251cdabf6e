"""Watching table recovery: Faust 0.15.3 sometimes stalls in it after a rebalance (fault C of `docs/faust.md`)."""

import asyncio
import logging
from time import monotonic
from typing import Any, Final

from streams.exits import TEMPFAIL, leave

log = logging.getLogger(__name__)
PATIENCE: Final = 30.0


class RecoveryWatch:
    """Call `look` every second or so; leaves the process when recovery has made no progress for `patience` seconds.

    An outage of Kafka is no stall: the clock begins anew while it does not answer.
    """

    def __init__(self, app: Any, patience: float = PATIENCE) -> None:
        self._app, self._patience = app, patience
        self._seen: tuple[int, int] | None = None
        self._since = monotonic()
        self._nudged = False

    async def look(self) -> None:
        """Compare with the last look."""
        recovery = self._app.tables.recovery
        if not recovery.in_recovery:  # a rebalance may wait for others as long as it likes
            self._seen = None
            return
        seen = (recovery.active_remaining_total(), self._app.consumer_generation_id)
        if seen != self._seen:
            self._seen, self._since, self._nudged = seen, monotonic(), False
        elif not self._nudged and monotonic() - self._since > self._patience / 3:
            self._nudged = True
            await self._nudge(recovery)
        elif monotonic() - self._since > self._patience:
            if await self._kafka_answers():
                leave(TEMPFAIL, f"recovery made no progress for {self._patience:.0f} s ({seen[0]} records to go)")
            self._since = monotonic()

    async def _nudge(self, recovery: Any) -> None:
        """Read the changelogs again from where Faust counts: what it put away on the way comes again."""
        offsets = {tp: recovery.active_offsets[tp] or 0 for tp, left in recovery.active_remaining().items() if left > 0}
        if offsets:
            log.warning("recovery made no progress for %.0f s; reading %d changelogs again", self._patience / 3, len(offsets))
            await self._app.consumer.seek_wait({tp: max(offset, 0) for tp, offset in offsets.items()})

    async def _kafka_answers(self) -> bool:
        try:
            client = self._app.producer._ensure_producer().client
            await asyncio.wait_for(client.fetch_all_metadata(), timeout=5)
        except Exception as error:  # noqa: BLE001  (whatever it is: it did not answer)
            log.debug("Kafka did not answer: %r", error)
            return False
        return True
