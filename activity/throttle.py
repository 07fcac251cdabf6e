"""How many jobs at once the far end bears. Pure: `now` is an argument.

Half as many whenever it says that there are too many, one more each time it has not said so for a while: what TCP does
with congestion ("additive increase, multiplicative decrease", RFC 5681).
"""

from typing import Final

CALM: Final = 30.0
"""Seconds without a complaint after which one more is tried."""
SETTLE: Final = 1.0
"""Seconds in which further complaints are about what was begun before the last cut."""


class Throttle:
    """`most` is None while there is nothing to hold back."""

    def __init__(self, calm: float = CALM) -> None:
        self._calm = calm
        self._cut = float("-inf")
        self.most: int | None = None

    def cut(self, now: float, size: int) -> bool:
        """The far end complains while up to `size` are under way. False if it can't be less than one any more."""
        if now - self._cut < SETTLE:
            return True
        current = size if self.most is None else min(self.most, size)
        if current <= 1:
            return False
        self.most, self._cut = current // 2, now
        return True

    def grow(self, now: float, size: int) -> float | None:
        """Allows what is due. Seconds until the next step; None if there is nothing to hold back any more."""
        if self.most is None:
            return None
        if now - self._cut >= self._calm:
            self.most, self._cut = self.most + 1, now
        if self.most >= size:
            self.most = None
            return None
        return max(self._cut + self._calm - now, 0.0)
