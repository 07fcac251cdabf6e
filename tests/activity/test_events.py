"""Events: what is accepted, and the reason of each kind of poison."""

import json
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from activity import events
from activity.events import MAX_DEPTH, MAX_EVENT, MAX_TEXT, Event, Headers, Refused, decode, decode_log, log_value, rfc3339
from tests.activity.examples import attributes, reason, value


def extended(more: bytes) -> bytes:
    """A right event with `more` before its closing brace."""
    return value()[:-1] + b"," + more + b"}"


def problem(raw: bytes) -> str:
    found = decode(b"u-1", raw)
    assert isinstance(found, Refused)
    assert found.reason in ("bad-attribute", "missing-attribute")
    return found.problem


# -- what is accepted --------------------------------------------------------------------------------------------------


def test_an_event() -> None:
    raw = value(sequence="17", data={"n": 1}, time="2026-01-31T09:30:00Z", traceparent="00-1-2-03")
    assert decode(b"u-1", raw) == Event("e-1", "/web", "u-1", 17, raw)


def test_an_event_without_a_key_says_whose_it_is() -> None:
    raw = value(subject="Ğ-1")
    assert decode(None, raw) == Event("e-1", "/web", "Ğ-1", None, raw)
    assert decode("Ğ-1".encode(), raw) == Event("e-1", "/web", "Ğ-1", None, raw)


def test_extensions_pass_through_unread() -> None:
    for more in (b'"region":"eu","n":12', b'"data":' + b"9" * 5000, b'"data":1e999', b'"data":"\\ud83d\\ude00"'):
        raw = extended(more)
        assert decode(b"u-1", raw) == Event("e-1", "/web", "u-1", None, raw)


def test_null_attributes_are_absent_ones() -> None:
    raw = extended(b'"sequence":null,"time":null,"traceparent":null')
    assert decode(b"u-1", raw) == Event("e-1", "/web", "u-1", None, raw)


def test_of_two_attributes_of_one_name_the_last_counts_here_and_in_the_log() -> None:
    raw = extended(b'"id":"e-2"')
    assert decode(b"u-1", raw) == Event("e-2", "/web", "u-1", None, raw)
    assert decode_log(log_value(raw, 1, "logged", 0)).id == "e-2"
    assert problem(extended(b'"id":2')).endswith("`$.id`")


def test_the_largest_sequence() -> None:
    found = decode(b"u-1", value(sequence="9" * 18))
    assert isinstance(found, Event)
    assert found.sequence == 10**18 - 1


def test_the_largest_event() -> None:
    raw = value()
    assert isinstance(decode(b"u-1", raw + b" " * (MAX_EVENT - len(raw))), Event)
    assert reason(raw + b" " * (MAX_EVENT - len(raw) + 1)) == "too-big"


# -- poison ------------------------------------------------------------------------------------------------------------


def test_no_value() -> None:
    assert reason(None) == "null-value"


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"hello",
        value()[:-1],
        value()[:40],
        value() + b"}",
        value() + b"\0",
        b"\xef\xbb\xbf" + value(),
        extended(b'"data":NaN'),
        extended(b'"data":01'),
        extended(b'"data":[1,]'),
        extended(b'"data":"\n"'),
        extended(b'"data":"\\x"'),
        extended(b'"data":"\\udc00"'),
        extended(b'"data":"\\ud800 and more"'),
        extended(b'"id":"\\ud800"'),
        extended(b'"subject":"\\ud800\\u0041"'),
        b'{"id":1,"data":',
        value().decode().encode("utf-16-le"),
    ],
)
def test_not_json(raw: bytes) -> None:
    assert reason(raw) == "not-json"


@pytest.mark.parametrize("raw", [b"null", b"[]", b"[" + value() + b"]", b"1", b'"event"', b"true"])
def test_not_an_object(raw: bytes) -> None:
    assert reason(raw) == "not-an-object"


@pytest.mark.parametrize(
    "raw",
    [
        b"\xff",
        value(id="ä").decode().encode("latin-1"),
        extended(b'"passed_over":"\xff"'),
        extended(b'"data":{"\xc3\x28":1}'),
        extended(b'"data":"\xed\xa0\x80"'),
        b'{"id":1,"data":"\xff"}',
        value().decode().encode("utf-16"),
    ],
)
def test_not_utf8(raw: bytes) -> None:
    assert reason(raw) == "not-utf8"


def nested(depth: int) -> bytes:
    """An event that is `depth` deep; brackets in texts don't count."""
    half, odd = divmod(depth - 1, 2)
    return extended(b'"data":' + b'{"[\\"[":[' * half + (b"[]" if odd else b'"[{"') + b"]}" * half)


def test_too_deep() -> None:
    assert isinstance(decode(b"u-1", nested(MAX_DEPTH)), Event)
    assert reason(nested(MAX_DEPTH + 1)) == "too-deep"
    assert reason(nested(5001)) == "too-deep"
    assert reason(b"[" * 100_000) == "too-deep"
    wide = extended(b'"data":[' + b",".join([b"[],{}"] * MAX_DEPTH) + b"]")
    assert isinstance(decode(b"u-1", wide), Event)


@pytest.mark.parametrize("name", ["id", "source", "type", "specversion", "subject"])
def test_each_attribute_that_must_be_there(name: str) -> None:
    assert problem(value(**{name: None})) == f"Object missing required field `{name}`"
    for wrong in (b"1", b"true", b"null", b"{}", b"[]"):
        assert f"`$.{name}`" in problem(extended(b'"%b":%b' % (name.encode(), wrong)))


@pytest.mark.parametrize("name", ["time", "traceparent"])
def test_each_attribute_that_may_be_there(name: str) -> None:
    assert f"`$.{name}`" in problem(value(**{name: 1}))


def test_a_sequence_that_is_a_json_number_is_told_how_to_be_written() -> None:
    refused = decode(b"u-1", value(sequence=1))
    assert refused == Refused("bad-sequence", 'sequence must be a string of decimal digits, like "7"')


@pytest.mark.parametrize("name", ["id", "source", "type", "subject"])
def test_texts_are_not_empty_and_have_no_control_characters(name: str) -> None:
    assert problem(value(**{name: ""})) == f"{name} is empty"
    for control in "\0\n\x1f\x7f\x85":
        assert problem(value(**{name: f"a{control}"})) == f"{name} has a control character"
    assert isinstance(decode(None, value(**{name: "a\u200d\u00a0\U0001f600"})), Event), "odd but allowed"


@pytest.mark.parametrize("name", ["id", "source", "type", "subject"])
def test_texts_have_a_length_that_an_index_can_hold(name: str) -> None:
    assert isinstance(decode(None, value(**{name: "é" * (MAX_TEXT // 2)})), Event)
    for long in ("é" * (MAX_TEXT // 2) + "x", "x" * (MAX_TEXT + 1)):
        assert problem(value(**{name: long})) == f"{name} has more than {MAX_TEXT} bytes"


def test_traceparent_has_no_control_characters() -> None:
    assert problem(value(traceparent="00-\r\n")) == "traceparent has a control character"


@pytest.mark.parametrize("version", ["0.3", "1", "", "1.0 ", "2.0" * 1000])
def test_unknown_specversion(version: str) -> None:
    found = decode(b"u-1", value(specversion=version))
    assert isinstance(found, Refused)
    assert found.reason == "bad-specversion"
    assert len(found.problem) < 100


@pytest.mark.parametrize("key", [b"", b"u-2", b"u-1 ", b"\xff"])
def test_key_and_subject_that_differ(key: bytes) -> None:
    assert reason(value(), key) == "key-mismatch"


@pytest.mark.parametrize(
    "sequence", ["", "0", "01", "-1", "+1", "1.0", "1e3", " 1", "1 ", "1\n", "x", "1_0", "٣", "1٣", "²", "9" * 19]
)
def test_a_sequence_that_is_no_number(sequence: str) -> None:
    assert reason(value(sequence=sequence)) == "bad-sequence"


@pytest.mark.parametrize("name", ["position", "verdict", "received", "p\\u006fsition"])
@pytest.mark.parametrize("brought", [b"1", b"null", b'"logged"', b"{}"])
def test_what_the_sequencer_adds_may_not_come_with_the_event(name: str, brought: bytes) -> None:
    assert "added here" in problem(extended(b'"%b":%b' % (name.encode(), brought)))


@pytest.mark.parametrize(
    "time", ["", "now", "2026-01-31", "2026-01-31T09:30:00", "2026-13-01T00:00:00Z", 'x"', "2026\\u002d01-31T09:30:00Z"]
)
def test_a_time_that_is_none(time: str) -> None:
    assert problem(value(time=time)) == "time is no RFC 3339 time"


# -- any bytes ---------------------------------------------------------------------------------------------------------

_NAMES = st.sampled_from(["ce_specversion", "ce_id", "ce_source", "ce_type", "ce_subject", "content-type", "ce_data"]) | st.text()
_HEADERS = st.lists(st.tuples(_NAMES, st.none() | st.just(b"1.0") | st.binary(max_size=20)), max_size=8)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@st.composite
def almost_events(draw: st.DrawFn) -> bytes:
    """Right events of which some attributes are wrong, and some bytes."""
    changed = draw(st.dictionaries(st.sampled_from([*attributes(), "time", "sequence", "data"]) | st.text(), _JSON, max_size=4))
    raw = bytearray(json.dumps({**attributes(), **changed}, ensure_ascii=draw(st.booleans())).encode("utf-8", "surrogatepass"))
    for place, byte in draw(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), max_size=2)):
        raw[place % len(raw)] = byte
    return bytes(raw) + draw(st.sampled_from([b"", b"", b" ", b"\r\n", b"}", b"\xff"]))


@given(st.none() | st.just(b"u-1"), almost_events())
@example(b"u-1", value(sequence="0"))
@example(b"u-1", value(sequence="\u0661"))
@example(b"u-1", value(id="a\x85"))
@example(b"u-1", value(traceparent="a\n"))
def test_the_quick_way_accepts_nothing_that_the_thorough_way_does_not(key: bytes | None, raw: bytes) -> None:
    assert events._quickly(key, raw) in (None, events._thoroughly(key, raw))


@pytest.mark.parametrize(
    "more", [{}, {"sequence": "17"}, {"data": "Ğ"}, {"time": "2026-01-31T09:30:00Z", "traceparent": "00-1-2-03"}]
)
def test_an_event_as_they_mostly_are_goes_the_quick_way(more: dict[str, Any]) -> None:
    assert events._quickly(b"u-1", value(**more)) == events._thoroughly(b"u-1", value(**more))


@given(st.none() | st.just(b"u-1") | st.binary(), st.none() | st.binary() | almost_events(), _HEADERS | st.just([]))
@example(b"u-1", b"1", [("ce_specversion", None)])
def test_decode_never_raises_and_what_it_accepts_stands_in_the_log(
    key: bytes | None, raw: bytes | None, headers: Headers
) -> None:
    found = decode(key, raw, headers)
    if isinstance(found, Refused):
        assert found.reason
        assert found.problem
        return
    assert key in (None, found.user.encode())
    with_attributes = json.loads(found.raw)
    logged = log_value(found.raw, 7, "late", 1.5)
    assert json.loads(logged) == {**with_attributes, "position": 7, "verdict": "late", "received": "1970-01-01T00:00:01.500Z"}
    record = decode_log(logged)
    assert (record.id, record.source, record.subject) == (found.id, found.source, found.user)


# -- records of the log ------------------------------------------------------------------------------------------------


@given(_JSON, st.sampled_from(["", " ", "\n", " \r\n\t"]), st.text(min_size=1).filter(lambda text: text.isprintable()))
def test_the_log_keeps_the_events_own_bytes(data: Any, space: str, id: str) -> None:
    try:
        raw = json.dumps(attributes(id=id, data=data), allow_nan=False, ensure_ascii=False).encode()
    except ValueError:  # no JSON has NaN
        return
    found = decode(b"u-1", raw + space.encode())
    assert isinstance(found, Event)
    logged = log_value(found.raw, 3, "logged", 1767225600.125)
    assert logged.startswith(raw[:-1])
    record = decode_log(logged)
    assert (record.id, record.source, record.type, record.subject) == (id, "/web", "page.viewed", "u-1")
    assert (record.position, record.verdict, record.received) == (3, "logged", "2026-01-01T00:00:00.125Z")
    written = json.dumps(attributes(data=data), ensure_ascii=False).encode().partition(b'"data": ')[2][:-1]
    assert bytes(record.data) == (written or b"null")


@pytest.mark.parametrize(
    ("raw", "named"),
    [
        (b"", "truncated"),
        (b"[]", "object"),
        (b'{"x":' + b"[" * 5000, "recursion"),
        (b'{"id":"\xff"}', "utf-8"),
        (value(), "position"),
        (value(position="1", verdict="logged", received="now"), "position"),
        (value(position=1, verdict="dead", received="now"), "verdict"),
    ],
)
def test_what_is_no_record_of_the_log(raw: bytes, named: str) -> None:
    with pytest.raises(msgspec.DecodeError, match=named):
        decode_log(raw)


@given(st.integers(0, 4102444800000))
def test_times_are_exact_to_the_millisecond_until_2100(milliseconds: int) -> None:
    seconds, thousandths = divmod(milliseconds, 1000)
    day = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    assert rfc3339(milliseconds / 1000) == f"{day}.{thousandths:03}Z"


def test_a_time_that_no_calendar_has_is_the_nearest_that_one_has() -> None:
    """Who writes to Kafka gives any timestamp; the desk lists it all the same."""
    assert rfc3339((2**63 - 1) / 1000) == "9999-12-31T23:59:59.000Z"
    assert rfc3339(-(2**63) / 1000) == "0001-01-01T00:00:00.000Z"
