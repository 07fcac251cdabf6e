"""What to raise when several things were under way and some failed."""

from activity.errors import ChoparError


def first_of(errors: BaseExceptionGroup) -> BaseException:
    """What went wrong first in a task group, since the others were cancelled for it; a ChoparError before any other.

    Not `except*`: until Python 3.11.4 what is raised in it comes out in a group again.
    """
    ours, _ = errors.split(ChoparError)
    first: BaseException = ours or errors
    while isinstance(first, BaseExceptionGroup):
        first = first.exceptions[0]
    return first
