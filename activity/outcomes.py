"""What came of one attempt at a job. Outcomes are values: the pool decides by them, the ledger keeps them."""

from typing import Any, Literal, TypeAlias

import msgspec

Kind = Literal["refused", "busy", "connection", "failed", "unknown"]
"""Why an attempt is repeated; each kind may have a backoff of its own.

`refused`: the far end said not now (4xx) · `busy`: it has too much to do, and says so to this job (421) · `connection`: it
could not be reached, or the connection was lost · `failed`: the task raised or took too long · `unknown`: nobody knows what
came of it.
"""


class Sent(msgspec.Struct, frozen=True, tag="sent"):
    """Done, and the far end said so. The job ends `sent`.

    `value` is what the task made, for `Pool.map`: anything that JSON can hold, and small, for it stands in the ledger.
    """

    reply: str = ""
    value: Any = None


class Retry(msgspec.Struct, frozen=True, tag="retry"):
    """Not done, and nothing happened outside; worth another attempt.

    `after` is the shortest wait in seconds that the far end asked for (None: the backoff alone decides). With
    `burn=False` the attempt does not count: the far end as a whole is away, not this job at fault (what if it takes others all
    the same: `activity.refusals`). With `slow=True` the far end has more to do than it bears: the pool does less at once for a
    while.
    """

    reason: str
    after: float | None = None
    burn: bool = True
    slow: bool = False
    kind: Kind = "refused"


class Dead(msgspec.Struct, frozen=True, tag="dead"):
    """Will never succeed as it is. The job ends `dead` and waits for a person.

    `reason` is a short code, `reply` the words of the far end.
    """

    reason: str
    reply: str = ""


class Unknown(msgspec.Struct, frozen=True, tag="unknown"):
    """It may or may not have happened (RFC 1047): the connection died after the last byte and before the answer.

    UNKNOWN_OUTCOME decides what follows: `resend` tries again with the same Message-ID, `hold` ends the job `unknown`.
    """

    reason: str


Outcome: TypeAlias = Sent | Retry | Dead | Unknown
