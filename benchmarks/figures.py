"""What both benchmarks make of their figures: medians with their spread, percentiles, and what was asked for."""

from collections.abc import Iterable, Sequence
from statistics import median

import msgspec


class Spread(msgspec.Struct, frozen=True):
    """The median of some figures, and the least and the greatest."""

    median: float
    least: float
    greatest: float

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.least:.2f}-{self.greatest:.2f})"


def spread(figures: Iterable[float]) -> Spread | None:
    """None: there are no figures."""
    found = list(figures)
    return Spread(median(found), min(found), max(found)) if found else None


def percentile(ordered: Sequence[float], share: float) -> float:
    """The least of the figures, in order, that `share` of them don't exceed; of none: infinity."""
    return ordered[max(0, -int(-share * len(ordered) // 1) - 1)] if ordered else float("inf")


class Target(msgspec.Struct, frozen=True):
    """A ratio that was asked for. `at_most`: the other way round."""

    what: str
    wanted: float
    found: Spread | None
    at_most: bool = False

    @property
    def met(self) -> bool:
        """Whether the median meets it."""
        if self.found is None:
            return False
        return self.found.median <= self.wanted if self.at_most else self.found.median >= self.wanted


def target_table(targets: Iterable[Target]) -> list[str]:
    """A table in Markdown of the targets for which there are figures."""
    return [
        "| target | wanted | found | met |",
        "| --- | ---: | ---: | --- |",
        *(
            f"| {one.what} | {'≤' if one.at_most else '≥'} {one.wanted:g} | {one.found} | {'yes' if one.met else 'no'} |"
            for one in targets
            if one.found
        ),
    ]
