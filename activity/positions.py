"""The positions of each user: 1, 2, 3, … without a hole, one event each, the same on `activity.log` and in the store. Pure."""

from collections.abc import Generator, Iterable, Iterator, Sequence
from itertools import groupby
from operator import attrgetter, itemgetter
from typing import Final

from activity import names
from activity.accounts import Difference, Kind, Limits, Sums
from activity.facts import Place


class Positions:
    """The rule; what it finds is added to the sums, one for each partition."""

    def __init__(self, limits: Limits, sums: Sequence[Sums]) -> None:
        self._limits, self._sums = limits, sums

    def of_user(self, places: Iterable[tuple[int, Place]]) -> Iterator[Difference]:
        """All positions of one user in rising order, those that are equal in any."""
        last = 0
        for position, group in groupby(places, key=_POSITION):
            found = yield from self._of_position(position, [place for _, place in group])
            if found is None:
                continue
            if position != last + 1:
                before = f"follows {last}" if last else "is the first one"
                yield _at("hole", found, f"position {position} of its user {before}: {position - last - 1} missing")
            last = position

    def _of_position(self, position: int, places: list[Place]) -> Generator[Difference, None, Place | None]:
        """Gives what stands there first; None if only the store has something there that the log has not."""
        log = sorted((place for place in places if place.on_log), key=_PLACE)
        row = next((place for place in places if not place.on_log), None)
        kept = row if row is not None and row.offset < self._limits.log[row.partition].begin else None
        first = kept or next(iter(log), None)
        for entry in log:
            sums = self._sums[entry.partition]
            sums.log += 1
            if first is not None and entry is not first:
                if (entry.partition, entry.digest) == (first.partition, first.digest):
                    sums.repeated += 1
                else:
                    yield _at("position", entry, f"position {position} of its user is that of {_name(first)} already")
            yield from self._stored(position, entry, row)
        if row is not None:
            yield from self._logged(position, row, log, kept)
        return first

    def _stored(self, position: int, entry: Place, row: Place | None) -> Iterator[Difference]:
        """What stands on the log before the archiver's offset stands in the store, or says on `activity.dead` why not."""
        sums = self._sums[entry.partition]
        if row is not None and row.digest == entry.digest:
            return
        if entry.refused:
            sums.refused += 1
        elif row is not None and _PLACE(row) == _PLACE(entry):
            yield _at("not-stored", entry, f"position {position} of its user is not the same in the store")
        elif entry.offset >= self._limits.archived[entry.partition]:
            sums.unstored += 1
        elif row is None:
            yield _at("not-stored", entry, f"position {position} of its user is not in the store")
        else:
            yield _at("not-stored", entry, f"position {position} of its user is {_name(row)} in the store")

    def _logged(self, position: int, row: Place, log: Sequence[Place], kept: Place | None) -> Iterator[Difference]:
        """What stands in the store stands on the log, where the store says; but for what is older or newer than what was read."""
        span, sums = self._limits.log[row.partition], self._sums[row.partition]
        here = next((entry for entry in log if _PLACE(entry) == _PLACE(row)), None)
        if kept is not None or (here is not None and here.digest == row.digest):
            sums.stored += 1
        elif here is None and not span.end <= row.offset < self._limits.newest[row.partition]:
            yield _at("not-on-log", row, f"position {position} of a user stands here by what the store says, and does not")


_POSITION: Final = itemgetter(0)
_PLACE: Final = attrgetter("partition", "offset")


def _name(place: Place) -> str:
    return f"{names.LOG}/{place.partition}/{place.offset}"


def _at(kind: Kind, place: Place, problem: str) -> Difference:
    return Difference(kind, names.LOG, place.partition, place.offset, problem)
