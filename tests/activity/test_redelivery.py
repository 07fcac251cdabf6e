"""Where a dead letter may be replayed to, and as what."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from activity import names
from activity.dead import DeadLetter
from activity.events import Event, Refused, decode, decode_log
from activity.redelivery import (
    NOWHERE,
    Again,
    again,
    as_logged,
    compact,
    difference,
    draft,
    of_rule,
    pretty,
    refused_rule,
    stands,
    way,
)
from activity.sequencing import dead_headers
from tests.activity.test_dead import JOB


def event(**changes: object) -> bytes:
    found = {"specversion": "1.0", "id": "e-1", "source": "/web", "type": "a.b", "subject": "u-1", "sequence": "3"} | changes
    return msgspec.json.encode({name: value for name, value in found.items() if value is not None})


LETTER = DeadLetter(
    id="l-1",
    broker="kafka",
    origin=names.EVENTS,
    partition=0,
    offset=1,
    reason="not-json",
    user="u-1",
    key=b"u-1",
    headers=dead_headers([("a", b"1"), ("chopar-moved", b"x")], Refused("not-json", ""), names.EVENTS, 0, 1),
    payload=event(),
    first_seen=1.0,
)
BINARY = [("ce_specversion", b"1.0"), ("ce_id", b"e-1"), ("ce_source", b"/web"), ("ce_type", b"a.b"), ("ce_subject", b"u-1")]


def sent(letter: DeadLetter, edited: bytes | None = None) -> Again:
    found = again(letter, edited)
    assert isinstance(found, Again), found
    return found


@pytest.mark.parametrize(
    ("origin", "broker", "reason", "wanted"),
    [
        (names.EVENTS, "kafka", "not-json", "events"),
        (names.LOG, "kafka", "rule", "rule"),
        (names.LOG, "kafka", "log-conflict", None),
        (names.DEAD, "kafka", "unknown", None),
        (names.BULK_QUEUE, "rabbitmq", "spent", "job"),
    ],
)
def test_where_it_may_go(origin: str, broker: str, reason: str, wanted: str | None) -> None:
    found = way(msgspec.convert(msgspec.to_builtins(LETTER) | {"origin": origin, "broker": broker, "reason": reason}, DeadLetter))
    assert (found.reason if isinstance(found, Refused) else found) == (wanted or NOWHERE)


def test_it_is_sent_as_it_came_without_what_was_added() -> None:
    assert sent(LETTER) == Again(b"u-1", event(), [("a", b"1")], Event("e-1", "/web", "u-1", 3, event()))


def test_an_edited_event_gets_its_subject_as_its_key_and_is_structured() -> None:
    letter = replace(LETTER, key=b"other", payload=b"5", headers=[*BINARY, ("content-type", b"text/plain"), ("a", b"1")])
    found = sent(letter, event(subject="u-2"))
    assert (found.key, found.headers, found.event.user) == (b"u-2", [("a", b"1")], "u-2")


def test_what_would_not_be_read_is_refused() -> None:
    mismatch = again(replace(LETTER, key=b"u-2"), None)
    assert isinstance(mismatch, Refused)
    assert mismatch.reason == "key-mismatch"
    assert isinstance(again(LETTER, b"{"), Refused)
    cut = replace(LETTER, headers=[*LETTER.headers, (names.CUT_HEADER, b"2000000")])
    assert again(cut, None) == Refused("cut", "only its beginning was kept; edit it, or take it from where it came")
    assert sent(cut, event()).value == event()


@pytest.mark.parametrize("reason", ["conflict", "too-old"])
def test_what_the_sequencer_can_never_take_has_to_be_edited(reason: str) -> None:
    letter = replace(LETTER, reason=reason, problem="no")
    assert stands(letter, sent(letter).event) == Refused(reason, "no; give it another sequence or source, or none")
    assert stands(letter, sent(letter, event(type="other")).event) is not None
    for change in ({"sequence": None}, {"sequence": "9"}, {"source": "/web2"}, {"id": "e-2"}):
        assert stands(letter, sent(letter, event(**change)).event) is None
    assert stands(LETTER, sent(LETTER).event) is None


def test_the_rules_are_asked_about_the_event_as_it_will_stand_on_the_log() -> None:
    record = decode_log(as_logged(sent(LETTER).event, 5.0))
    assert (record.id, record.subject, record.verdict) == ("e-1", "u-1", "logged")


def test_only_the_rule_that_could_not_makes_its_job() -> None:
    assert refused_rule(replace(LETTER, problem="rule welcome: no email")) == "welcome"
    assert refused_rule(replace(LETTER, problem="data can't be read: no")) is None
    jobs = [JOB, replace(JOB, rule="other")]
    assert of_rule(jobs, "other") == jobs[1:]
    assert of_rule(jobs, None) == jobs


def test_a_draft_of_binary_mode_is_the_event_that_it_stands_for() -> None:
    letter = replace(LETTER, payload=b'{"n":1.50}', headers=BINARY)
    text = draft(letter, None)
    assert b'"subject": "u-1"' in text
    assert sent(letter, text).event.id == "e-1"
    assert draft(letter, b'{"a":1}') == b'{\n  "a": 1\n}'
    assert draft(replace(LETTER, payload=None), None) == b""
    assert draft(replace(letter, headers=[*BINARY, ("ce_data", b"x")]), None) == b'{\n  "n": 1.50\n}'


def test_a_difference_is_what_means_something() -> None:
    assert difference(b'{"a":1,"b":2}', b'{ "a": 1,\n"b": 2}') == []
    assert difference(b'{"a":1}', b'{"a":2}')[-3:] == ['-  "a": 1', '+  "a": 2', " }"]
    assert difference(b"\xff", b"{")[-1] == "+{"


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(_JSON, st.binary(max_size=9))
def test_pretty_and_compact_say_the_same(value: object, other: bytes) -> None:
    raw = msgspec.json.encode(value)
    assert msgspec.json.decode(pretty(raw)) == msgspec.json.decode(compact(pretty(raw))) == msgspec.json.decode(raw)
    assert difference(raw, pretty(raw)) == []
    assert decode(None, pretty(other)) is not None
