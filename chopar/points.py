"""Points in a topic, as people name them in options: `--from 2h`, `--to 3:1200`."""

from collections.abc import Iterable
from time import time
from typing import TYPE_CHECKING, Any

import click

from activity.errors import ChoparError
from activity.replay import Moment, Point, only_partition, parse_point

if TYPE_CHECKING:
    from streams.groups import Groups


class PointType(click.ParamType):
    """A time, how long ago, an offset, or an offset of one partition."""

    name = "TIME|OFFSET"

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> Point:
        """The point, or wrong usage that names the option."""
        try:
            return parse_point(value, time())
        except ValueError as error:
            self.fail(str(error), param, context)


async def offsets_of(groups: "Groups", topic: str, point: Point, partitions: Iterable[int]) -> dict[int, int]:
    """The offset of `point` in each of the partitions."""
    if isinstance(point, Moment):
        return await groups.at(topic, point.seconds)
    return dict.fromkeys(partitions, point.offset)


def chosen(partitions: int, *points: Point | None, user: str | None = None) -> list[int]:
    """The partitions that the points and the user leave, of so many. Raises ChoparError if none is left."""
    try:
        only = only_partition(*points, user=None if user is None else _partition_of(user, partitions))
    except ValueError as error:
        raise ChoparError(f"--from, --to, --user: {error}") from None
    if only is None:
        return list(range(partitions))
    if only >= partitions:
        raise ChoparError(f"--from, --to: there is no partition {only}; there are 0 to {partitions - 1}")
    return [only]


def _partition_of(user: str, partitions: int) -> int:
    from streams.topics import partition_of

    return partition_of(user.encode(), partitions)
