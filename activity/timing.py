"""When a rule's job is due: some time after its event came, or at a time that the event names. Pure.

delay = "2h"                              # after the event reached Kafka, by the broker's clock
send_at = "{{ data.remind_at }}"          # RFC 3339 with its zone; one that is past means: at once
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final

import msgspec

from activity.settings import duration

KEYS: Final = ("delay", "send_at")
LONGEST: Final = 3650 * 86400.0
"""The longest delay, in seconds: more is a typing error."""

Moment = Annotated[datetime, msgspec.Meta(tz=True)]
"""A point in time: a datetime with its zone. As JSON it is RFC 3339."""
Expression = Callable[[Mapping[str, Any]], str]


class Timing(msgspec.Struct, frozen=True):
    """Due `delay` seconds after the event came, or, with `send_at`, at the time which that gives."""

    delay: float = 0.0
    send_at: Expression | None = None

    def due(self, received: str, seen: Mapping[str, Any]) -> datetime | None:
        """When the job of an event is due; None: at once. The same event is due at the same time however often it is read.

        Raises ValueError, whose text names the key, if the event names no time.
        """
        if self.send_at is not None:
            return _named("send_at", self.send_at(seen))
        if not self.delay:
            return None
        try:
            return _named("received", received) + timedelta(seconds=self.delay)
        except OverflowError:
            raise ValueError("delay: the year would be after 9999") from None


AT_ONCE: Final = Timing()


def read_timing(table: Mapping[str, Any], compile_expression: Callable[[str], Expression]) -> Timing:
    """The timing that a rule's keys say. Raises ValueError, whose text names the key and what was expected."""
    given = [key for key in KEYS if key in table]
    for key in given:
        if not isinstance(table[key], str) or not table[key]:
            raise ValueError(f"{key}: a text was expected")
    if len(given) > 1:
        raise ValueError("delay: send_at is there too; a rule has one of them")
    if "delay" in table:
        return Timing(delay=_delay(table["delay"]))
    if "send_at" in table:
        return Timing(send_at=_send_at(table["send_at"], compile_expression))
    return AT_ONCE


def moment(text: str) -> datetime:
    """The point in time that `text` names, in UTC. Raises ValueError if it is no RFC 3339 time with its zone."""
    try:
        return msgspec.convert(text, Moment).astimezone(UTC)
    except (msgspec.ValidationError, UnicodeEncodeError, OverflowError):
        raise ValueError(f"{text[:50]!r} is no time; RFC 3339 with its zone was expected, like 2026-01-31T09:30:00Z") from None


def _delay(text: str) -> float:
    try:
        seconds = duration(text)
    except ValueError as error:
        raise ValueError(f"delay: {error}") from None
    if seconds > LONGEST:
        raise ValueError(f"delay: at most {LONGEST / 86400:g}d was expected")
    return seconds


def _send_at(text: str, compile_expression: Callable[[str], Expression]) -> Expression:
    if "{{" not in text and "{%" not in text:
        _named("send_at", text)  # the same for every event: looked at now
    try:
        return compile_expression(text)
    except ValueError as error:
        raise ValueError(f"send_at: {error}") from None


def _named(key: str, text: str) -> datetime:
    try:
        return moment(text.strip())
    except ValueError as error:
        raise ValueError(f"{key}: {error}") from None
