"""Forms that change something: what was sent, whose doing it is, and why."""

from collections.abc import Mapping
from typing import Final

from console.problems import Problem, bad

_LONGEST: Final = {"by": 100, "note": 1000}


def signed(form: Mapping[str, str]) -> tuple[str, str]:
    """Whose doing it is, and the note. Raises Problem that names the field."""
    for name, most in _LONGEST.items():
        if len(form.get(name, "")) > most:
            raise Problem(400, f"at most {most} characters", name)
    by = form.get("by", "")
    if not by.strip():
        raise bad("by", "your name is needed: it is kept with what you do")
    return by, form.get("note", "")
