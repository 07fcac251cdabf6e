"""`/api/waiting`: how many events wait for a predecessor at the worker that is asked; a worker adds up what the others say."""

from collections.abc import Callable

import msgspec

from console.routes import Call, Endpoint, NoQuery

PATH = ("api", "waiting")


class Waiting(msgspec.Struct, frozen=True):
    """In the reorder buffers of this worker's partitions."""

    events: int


def waiting_routes(count: Callable[[], int]) -> list[Endpoint]:
    """The endpoint; `count` counts."""

    async def show(call: Call[NoQuery, None]) -> Waiting:
        return Waiting(count())

    summary = "How many events wait for a missing predecessor at this worker."
    return [Endpoint("/" + "/".join(PATH), show, summary, Waiting)]
