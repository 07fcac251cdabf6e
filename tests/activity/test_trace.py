"""W3C Trace Context, and where a record of Kafka has it."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from activity.events import Event, decode, decode_log, log_value
from activity.trace import Trace, read_traceparent, trace_id, traced, with_trace_of
from tests.activity.examples import value

TRACE, SPAN, OTHER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", "b7ad6b7169203331"
PLACE = f"00-{TRACE}-{SPAN}-01"
LATER = f"00-{TRACE}-{OTHER}-01"
ELSEWHERE = f"00-{'a' * 32}-{OTHER}-01"

hexadecimal = st.text("0123456789abcdef", min_size=32, max_size=32)


@pytest.mark.parametrize(
    ("traceparent", "found"),
    [
        (PLACE, Trace(TRACE, SPAN, True)),
        (f"00-{TRACE}-{SPAN}-00", Trace(TRACE, SPAN, False)),
        (f"00-{TRACE}-{SPAN}-03", Trace(TRACE, SPAN, True)),  # other flags may come: only the last bit is known
        (f"00-{TRACE}-{SPAN}-fe", Trace(TRACE, SPAN, False)),
        (f"cc-{TRACE}-{SPAN}-01", Trace(TRACE, SPAN, True)),
        (f"cc-{TRACE}-{SPAN}-01-what-the-future-will-be-like", Trace(TRACE, SPAN, True)),
        (f"cc-{TRACE}-{SPAN}-01.what-the-future-will-not-be-like", None),
        (f"00-{TRACE}-{SPAN}-01-more", None),
        (f"ff-{TRACE}-{SPAN}-01", None),
        (f"00-{'0' * 32}-{SPAN}-01", None),
        (f"00-{TRACE}-{'0' * 16}-01", None),
        (PLACE.upper(), None),
        (f"{PLACE}\n", None),
        (f" {PLACE}", None),
        (f"00-4bf9-{SPAN}-01", None),
        (f"00-{TRACE}-{SPAN}", None),
        ("<script>", None),
        ("", None),
        (None, None),
    ],
)
def test_traceparents_by_the_w3cs_words(traceparent: str | None, found: Trace | None) -> None:
    assert read_traceparent(traceparent) == found
    assert trace_id(traceparent) == (None if found is None else found.trace_id)


@given(hexadecimal, hexadecimal, st.booleans())
def test_what_is_written_is_read(trace: str, span: str, sampled: bool) -> None:
    place = Trace(trace, span[:16], sampled)
    named = set(trace) != {"0"} and set(span[:16]) != {"0"}
    assert read_traceparent(str(place)) == (place if named else None)


@given(st.text())
def test_nothing_else_is_one(text: str) -> None:
    found = read_traceparent(text)
    assert found is None or text.startswith(text[:3] + found.trace_id)


def header(text: str) -> list[tuple[str, bytes | None]]:
    return [("other", None), ("traceparent", text.encode())]


def test_a_records_header_becomes_the_attribute_of_an_event_that_has_none() -> None:
    event = decode(b"u-1", value(data={"traceparent": "mine"}), header(PLACE))
    assert isinstance(event, Event)
    found = decode_log(log_value(event.raw, 1, "logged", 0.0))
    assert (found.traceparent, msgspec.json.decode(found.data)) == (PLACE, {"traceparent": "mine"})


@pytest.mark.parametrize("own", [f'"{ELSEWHERE}"', '"not one"', "null"])
def test_the_events_own_word_stays(own: str) -> None:
    raw = b'%b,"traceparent":%b}' % (value()[:-1], own.encode())
    event = decode(b"u-1", raw, header(PLACE))
    assert isinstance(event, Event)
    assert event.raw == raw


@pytest.mark.parametrize("text", ["", "not one", f"00-{'0' * 32}-{SPAN}-01", "00-\r\n", "\xff"])
def test_a_header_that_is_none_changes_nothing(text: str) -> None:
    raw = value()
    assert with_trace_of(raw, header(text)) is raw


def test_binary_mode_has_it_in_either_header() -> None:
    named = {"specversion": "1.0", "id": "e-1", "source": "/web", "type": "t", "subject": "u-1"}
    attributes = [(f"ce_{name}", text.encode()) for name, text in named.items()]
    for one in (("ce_traceparent", PLACE.encode()), ("traceparent", PLACE.encode())):
        event = decode(b"u-1", b"{}", [*attributes, one])
        assert isinstance(event, Event)
        assert decode_log(log_value(event.raw, 1, "logged", 0.0)).traceparent == PLACE
        found = traced(b"{}", [*attributes, one])
        assert found is not None
        assert (str(found.trace), found.id, found.source, found.subject, found.type) == (PLACE, "e-1", "/web", "u-1", "t")


@pytest.mark.parametrize(
    ("own", "hop", "found"),
    [
        (PLACE, None, PLACE),
        (None, PLACE, PLACE),
        (PLACE, LATER, LATER),  # the same trace: the header is of the later span
        (PLACE, ELSEWHERE, PLACE),  # the event's word decides which trace it is
        ("not one", LATER, LATER),
        (PLACE, "not one", PLACE),
        (f"00-{TRACE}-{SPAN}-00", None, None),
        (PLACE, f"00-{TRACE}-{OTHER}-00", None),
        (None, None, None),
    ],
)
def test_attribute_and_header(own: str | None, hop: str | None, found: str | None) -> None:
    more: dict[str, Any] = {} if own is None else {"traceparent": own}
    place = traced(value(**more), [] if hop is None else header(hop))
    assert (None if place is None else str(place.trace)) == found


@pytest.mark.parametrize(
    ("raw", "found"),
    [
        (msgspec.json.format(value(traceparent=PLACE)), True),  # written with white space
        (value(traceparent=f"cc-{TRACE}-{SPAN}-01-more"), True),
        (value(data={"traceparent": PLACE}), False),
        (value(data={"traceparent": PLACE}, traceparent=f"00-{TRACE}-{SPAN}-00"), False),
        (value(data={"traceparent": f"00-{TRACE}-{SPAN}-00"}, traceparent=PLACE), True),
        (value(traceparent=PLACE)[:-1], False),  # cut off
        (b"[" + value(traceparent=PLACE) + b"]", False),
    ],
)
def test_only_the_events_own_attribute_counts(raw: bytes, found: bool) -> None:
    assert (traced(raw, ()) is not None) == found


@given(st.binary() | st.none(), st.binary())
def test_whatever_a_record_holds(raw: bytes | None, junk: bytes) -> None:
    assert traced(raw, ()) is None
    assert traced(raw, [("traceparent", junk)]) is None
    found = traced(b'"traceparent"' + (raw or b""), header(PLACE))
    assert found is not None
    assert found.event == (TRACE, "", "", "")


def test_the_same_event_is_the_same_on_every_topic() -> None:
    raw = value(traceparent=PLACE)
    taken, logged = traced(raw, ()), traced(log_value(raw, 7, "late", 0.0), header(LATER))
    assert taken is not None
    assert logged is not None
    assert taken.event == logged.event
    assert (taken.verdict, logged.verdict) == ("", "late")
