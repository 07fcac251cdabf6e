"""HTML of the pages: templates that escape everything, and how numbers and times look."""

from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import jinja2
import msgspec

from activity.pace import duration

_HERE: Final = Path(__file__).parent
NOTHING: Final = "-"


def number(value: float | None) -> str:
    """`1,234`; what is not known is a dash."""
    return NOTHING if value is None else f"{value:,.0f}"


def rate(value: float | None) -> str:
    """`1,234/s`; below ten with a decimal."""
    if value is None:
        return NOTHING
    return f"{value:,.0f}/s" if value >= 10 or value == 0 else f"{value:.1f}/s"


def clock(moment: str | None) -> str:
    """An RFC 3339 time as `2026-01-31 09:30:00`, UTC."""
    return NOTHING if moment is None else moment[:19].replace("T", " ")


def plural(count: int, noun: str) -> str:
    """`1 worker`, `2,000 workers`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def quoted(part: str) -> str:
    """A part of a path or of a query."""
    return quote(part.encode("utf-8", "surrogatepass"), safe="")


def runs(numbers: "list[int] | tuple[int, ...]") -> str:
    """`0-3, 6`: numbers in order, as ranges."""
    ranges: list[list[int]] = []
    for one in sorted(numbers):
        if ranges and one == ranges[-1][1] + 1:
            ranges[-1][1] = one
        else:
            ranges.append([one, one])
    return ", ".join(f"{first}-{last}" if first != last else str(first) for first, last in ranges) or NOTHING


def pretty(data: bytes) -> str:
    """JSON, indented; what is none as it is."""
    try:
        return msgspec.json.format(bytes(data), indent=2).decode()
    except (msgspec.DecodeError, UnicodeDecodeError):
        return bytes(data).decode(errors="replace")


def compile_all() -> None:
    """Compiles every template: a tenth of a second that no request has to wait for, nor a stream beside it."""
    for name in _environment.list_templates():
        _environment.get_template(name)


def render(template: str, **values: Any) -> str:
    """The page."""
    return _environment.get_template(template).render(**values)


_environment: Final = jinja2.Environment(
    loader=jinja2.FileSystemLoader(_HERE / "html"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    auto_reload=False,
)
_environment.filters.update(
    number=number, rate=rate, clock=clock, plural=plural, quoted=quoted, runs=runs, duration=duration, pretty=pretty
)
