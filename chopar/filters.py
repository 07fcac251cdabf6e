"""Which dead letters: the options that the commands of `chopar dead` share."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeVar, get_args

import click

from activity.dead import LetterState
from activity.replay import Moment, parse_point

if TYPE_CHECKING:
    from store.deadletters import Wanted

F = TypeVar("F", bound=Callable[..., Any])


class Since(click.ParamType):
    """A time, or how long ago, as Unix seconds."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            point = parse_point(str(value), time.time())
        except ValueError as error:
            self.fail(str(error), param, ctx)
        if not isinstance(point, Moment):
            self.fail(
                f"{value!r} is an offset; a time like 2026-01-31T09:30:00Z, or how long ago like 2h, was expected", param, ctx
            )
        return point.seconds


_OPTIONS: Final = (
    click.option("--reason", help="Only letters with this reason."),
    click.option("--origin", help="Only letters from this topic or queue."),
    click.option("--user", help="Only letters about this user."),
    click.option("--text", help="Only letters in whose payload or problem this stands, as it is written there."),
    click.option("--since", type=Since(), help="Only letters that died then or later: a time, or how long ago, like 2h."),
)
_STATE: Final = click.option("--state", type=click.Choice(get_args(LetterState)), help="Only letters in this state.")


def filtered(command: F) -> F:
    """Gives a command the options."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def with_state(command: F) -> F:
    """Gives a command the options, and that for the state."""
    return filtered(_STATE(command))


def wanted_of(chosen: dict[str, Any]) -> "Wanted":
    """What the options say."""
    from store.deadletters import Wanted

    return Wanted(**chosen)
