"""When to doubt that a queue's consumer is still there: messages lie ready, there is room for them, and none comes. Pure.

RabbitMQ 3.10 does not always tell a consumer that its queue was deleted, if one of the same name is declared at once.
"""

from collections.abc import Collection, Mapping


class Silence:
    """What was seen of the queues between two looks."""

    def __init__(self) -> None:
        self._heard: set[str] = set()
        self._ready: set[str] = set()

    def heard(self, queue: str) -> None:
        """A message of it came."""
        self._heard.add(queue)

    def worth_a_look(self, queues: Collection[str], full: Collection[str]) -> list[str]:
        """Those of which none came since the last look, though there is room: from a queue in `full` none can come."""
        silent = [queue for queue in queues if queue not in self._heard and queue not in full]
        self._heard.clear()
        self._ready.intersection_update(silent)
        return silent

    def looked(self, ready: Mapping[str, int]) -> list[str]:
        """Takes in how many messages lie ready; the queues that had some at the last look too, and sent none since."""
        waiting = {queue for queue, count in ready.items() if count}
        deaf = sorted(waiting & self._ready)
        self._ready = waiting - set(deaf)
        return deaf
