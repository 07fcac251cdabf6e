"""Who has which partition of the table. Faust's group protocol tells each worker, with each rebalance, the addresses of all."""

import socket
from collections.abc import Sequence
from typing import Any, Final

from faust.types import TP

from activity import names
from activity.settings import PREFIX, Settings
from console.problems import later
from console.tables import Share
from streams.topics import partition_of
from tables.states import States
from tables.users import Users

EVERYWHERE: Final = ("0.0.0.0", "::")  # noqa: S104  (compared with, not bound to)


class UsersMembership:
    """See `console.tables.Membership`, for the table `users`. `app` is the `streams.app.App`."""

    def __init__(self, app: Any, users: Users, settings: Settings) -> None:
        self._app, self._users, self._settings = app, users, settings

    def shares(self) -> Sequence[Share]:
        """The last word of the group, as long as it counts: nothing moves, and the group has lately heard of this worker."""
        if (problem := self.problem()) is not None:
            raise later(problem)
        assignor, mine = self._app.assignor, str(self._app.conf.canonical_url)
        ours = {tp.partition for tp in assignor.assigned_actives() if tp.topic == names.EVENTS}
        shares = []
        for worker, topics in sorted(assignor.changelog_distribution.items()):
            partitions = tuple(sorted(topics.get(names.USERS_CHANGELOG, ())))
            here = worker == mine
            if here and set(partitions) != ours:
                raise later(f"two workers have the address {mine}; set {PREFIX}WEB_URL so that each has its own", 60)
            shares.append(Share(worker, partitions, here))
        if sorted(number for share in shares for number in share.partitions) != list(range(self._settings.partitions)):
            raise later("the group does not say who has each partition")
        return shares

    def problem(self) -> str | None:
        """Why nobody can be told; None: they can."""
        recovery = self._app.tables.recovery
        if recovery.in_recovery:
            return f"recovering, {recovery.active_remaining_total():,} records to go"
        if self._app.rebalancing or not recovery.completed.is_set():
            return "partitions are moving between the workers"
        if self._app.consumer.out_of_touch > self._app.conf.broker_session_timeout:
            return "the group has not heard of this worker for too long"
        return None

    def partition_of(self, user: bytes) -> int:
        return partition_of(user, self._settings.partitions)

    def states(self, partition: int) -> States | None:
        """Nothing of a partition that is not in the assignment: `users` may still hold it for a moment."""
        if TP(names.EVENTS, partition) not in self._app.assignor.assigned_actives() or self.problem() is not None:
            return None
        return self._users.partition(partition)


def web_url(settings: Settings) -> str:
    """The address at which other workers reach this one."""
    if settings.web_url is not None:
        return settings.web_url
    host = socket.gethostname() if settings.web_host in EVERYWHERE else settings.web_host
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.web_port}"
