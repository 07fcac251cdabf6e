"""When to stop trying because the far end as a whole is away. Pure: it counts, the pool acts."""

from typing import Final

from activity.outcomes import Outcome, Retry

THRESHOLD: Final = 3


class Circuit:
    """Opens when `threshold` outcomes in a row say that the far end is away (`Retry(burn=False)`); any other resets the count."""

    def __init__(self, threshold: int = THRESHOLD) -> None:
        self._threshold = threshold
        self._failures = 0
        self.open = False

    def note(self, outcome: Outcome) -> bool:
        """Counts `outcome`; whether the circuit opened by it just now."""
        if not (isinstance(outcome, Retry) and not outcome.burn):
            self._failures = 0
            return False
        self._failures += 1
        if self.open or self._failures < self._threshold:
            return False
        self.open = True
        return True

    @property
    def steady(self) -> bool:
        """Whether the last outcome was of another kind."""
        return self._failures == 0

    def close(self) -> None:
        """The far end answers again."""
        self.open = False
        self._failures = 0
