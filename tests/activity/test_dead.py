"""What the desk makes of a record of `activity.dead` and of a message of `email.dead`."""

from datetime import UTC, datetime
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from activity import names
from activity.dead import DELIVERY_LIMIT, UNKNOWN, UNSTORABLE, from_queue, from_topic, in_part
from activity.events import Refused
from activity.jobs import Job, encode_job
from activity.redelivery import again
from activity.sequencing import dead_headers

JOB = Job(id="j-1", rule="welcome", job_class="bulk", user="u-1", to="a@b.example", template="t", event={})
OURS = {
    "chopar-job": "j-1",
    "chopar-attempt": 3,
    "chopar-reason": "spent",
    "chopar-key": "email.bulk.welcome",
    "chopar-reply": "421",
}


class Record(msgspec.Struct):
    """A record of `activity.dead`."""

    key: bytes | None = b"u-1"
    value: bytes | None = b"{"
    offset: int = 9
    timestamp: int = 1500
    headers: list[tuple[str, bytes | None]] = []


def refused(topic: str = names.EVENTS, offset: int = 7, problem: str = "wrong") -> Record:
    return Record(headers=dead_headers([("a", b"1")], Refused("not-json", problem), topic, 2, offset))


def test_a_record_says_where_it_came_from_and_why() -> None:
    letter = from_topic(5, refused())
    assert (letter.broker, letter.origin, letter.partition, letter.offset) == ("kafka", names.EVENTS, 2, 7)
    assert (letter.reason, letter.problem, letter.user, letter.first_seen) == ("not-json", "wrong", "u-1", 1.5)
    assert (letter.key, letter.payload) == (b"u-1", b"{")
    assert letter.headers[0] == ("a", b"1")


def test_what_a_crash_repeats_is_the_same_letter() -> None:
    again = refused()
    again.offset, again.timestamp = 10, 99
    assert from_topic(5, again).id == from_topic(5, refused()).id
    others = [refused(offset=8), refused(topic=names.LOG), refused(problem="rule a: no")]
    assert len({from_topic(5, one).id for one in [refused(), *others]}) == 4


def test_a_record_that_says_nothing_is_its_own_origin() -> None:
    none: list[tuple[str, bytes | None]] = []
    topic = "__streams.errors.topic"
    for headers in (none, [*none, (topic, b"elsewhere")], [*none, (topic, b"activity.log")]):
        letter = from_topic(5, Record(key=None, headers=headers))
        assert (letter.origin, letter.partition, letter.offset, letter.reason, letter.user) == (names.DEAD, 5, 9, UNKNOWN, "")


def placed(partition: bytes, offset: bytes = b"1") -> Record:
    error = names.ERROR_HEADER
    headers = [(f"{error}topic", b"activity.events"), (f"{error}partition", partition), (f"{error}offset", offset)]
    return Record(headers=[(name, value) for name, value in headers])


def test_a_place_that_kafka_can_not_have_is_none() -> None:
    letter = from_topic(5, placed(b"2147483647", b"9223372036854775807"))
    assert (letter.origin, letter.partition, letter.offset) == (names.EVENTS, 2**31 - 1, 2**63 - 1)
    for strange in (placed(b"99999999999"), placed(b"2147483648"), placed(b"1", b"9223372036854775808")):
        letter = from_topic(5, strange)
        assert (letter.origin, letter.partition, letter.offset) == (names.DEAD, 5, 9)


def test_an_attempt_that_nobody_counted_is_none_and_the_messages_are_told_apart() -> None:
    for attempt in (2**40, 2**31, -1, True, "3"):
        odd = OURS | {"chopar-attempt": attempt}
        assert queued(odd).attempt == 0
        assert len({queued(odd).id, queued(odd, "m-2").id, queued(odd | {"chopar-attempt": 0}).id}) == 3
    assert queued(OURS | {"chopar-attempt": 2**31 - 1}).attempt == 2**31 - 1


def test_of_a_letter_that_no_store_holds_its_beginning_is_kept_and_says_so() -> None:
    whole = from_topic(5, refused())
    kept = in_part(whole, room=1)
    assert (kept.id, kept.origin, kept.payload, kept.reason) == (whole.id, whole.origin, b"{", UNSTORABLE)
    assert "partition 2, offset 7; not-json: wrong" in kept.problem
    assert isinstance(again(kept, None), Refused)


_HEADER = st.tuples(st.sampled_from([*OURS, "chopar-reason", "__streams.errors.topic"]), st.none() | st.binary(max_size=30))


@given(st.lists(_HEADER, max_size=6), st.none() | st.binary(max_size=9), st.none() | st.binary(max_size=9))
def test_any_record_is_a_letter(headers: list[tuple[str, bytes | None]], key: bytes | None, value: bytes | None) -> None:
    letter = from_topic(0, Record(key, value, headers=headers))
    assert (letter.key, letter.payload, letter.headers) == (key, value, headers)
    letter.problem.encode()


def queued(headers: dict[str, Any], message_id: str = "m-1", body: bytes | None = None) -> Any:
    return from_queue(encode_job(JOB) if body is None else body, headers, message_id, 5.0)


def test_a_message_says_which_job_it_is_and_why() -> None:
    letter = queued(OURS)
    assert (letter.broker, letter.origin, letter.job, letter.attempt) == ("rabbitmq", names.BULK_QUEUE, "j-1", 3)
    assert (letter.reason, letter.problem, letter.user, letter.first_seen) == ("spent", "421", "u-1", 5.0)
    assert (letter.key, letter.payload) == (b"email.bulk.welcome", encode_job(JOB))


def test_a_job_that_dies_again_is_a_letter_of_its_own_and_a_repeat_is_not() -> None:
    assert queued(OURS, "m-2").id == queued(OURS).id
    assert queued(OURS | {"chopar-attempt": 4}).id != queued(OURS).id


def test_what_rabbitmq_gave_up_is_known_by_its_message() -> None:
    death = {"queue": "email.bulk", "routing-keys": ["email.bulk.welcome"], "time": datetime(2026, 1, 1, tzinfo=UTC)}
    headers = {"chopar-job": "j-1", "chopar-attempt": 3, "x-death": [death], "none": None}
    letter = queued(headers)
    assert (letter.reason, letter.origin, letter.job) == (DELIVERY_LIMIT, names.BULK_QUEUE, "j-1")
    assert queued(headers, "m-2").id != letter.id
    assert queued(headers).id == letter.id
    assert dict(letter.headers)["none"] is None
    assert b"2026-01-01" in (dict(letter.headers)["x-death"] or b"")


def test_what_is_no_job_is_kept_all_the_same() -> None:
    letter = queued({}, "", b"\xff")
    assert (letter.reason, letter.origin, letter.user, letter.payload) == (UNKNOWN, names.TRANSACTIONAL_QUEUE, "", b"\xff")
    assert queued({}, "", b"\xfe").id != letter.id


_VALUE = st.none() | st.integers() | st.text(max_size=9) | st.binary(max_size=9) | st.lists(st.integers(), max_size=2)


@given(st.dictionaries(st.sampled_from([*OURS, "x-death", "x"]), _VALUE), st.binary(max_size=9))
def test_any_message_is_a_letter(headers: dict[str, Any], body: bytes) -> None:
    letter = queued(headers, "", body)
    assert letter.payload == body
    assert [name for name, _ in letter.headers] == list(headers)
