"""When to try again: exponential backoff with full jitter, rounded to a delay queue.

Source: "Exponential Backoff And Jitter", M. Brooker, AWS Architecture Blog, 2015 (the "full jitter" variant).
"""

from collections.abc import Sequence
from typing import Final

import msgspec

TIERS: Final[Sequence[int]] = tuple(2**n for n in range(13))
"""The delays there are queues for, in seconds: 1, 2, 4, … 4,096."""


class Span(msgspec.Struct, frozen=True):
    """Between which bounds a backoff grows, in seconds."""

    base: float
    cap: float


def backoff(attempt: int, base: float, cap: float, jitter: float) -> float:
    """Seconds to wait after the failed attempt number `attempt` (from 1): `jitter` in [0, 1) of min(cap, base·2^(attempt-1))."""
    ceiling = min(cap, base * 2.0 ** min(attempt - 1, 60))
    return ceiling * jitter


def tier(seconds: float) -> int:
    """The shortest delay of `TIERS` that is not shorter than `seconds`; the longest one if none is."""
    return next((delay for delay in TIERS if delay >= seconds), TIERS[-1])


def tier_within(seconds: float) -> int:
    """The longest delay of `TIERS` that is not longer than `seconds`; the shortest one if none is."""
    return next((delay for delay in reversed(TIERS) if delay <= seconds), TIERS[0])
