"""CloudEvents' binary mode on Kafka: attributes are headers, the value is the data."""

import json
from typing import Any

import msgspec
import pytest

from activity.events import MAX_EVENT, Event, Headers, decode, decode_log, log_value
from tests.activity.examples import attributes, reason, value


def binary(content_type: bytes | None = None, **changes: Any) -> list[tuple[str, bytes | None]]:
    headers: list[tuple[str, bytes | None]] = [(f"ce_{name}", text.encode()) for name, text in attributes(**changes).items()]
    return headers if content_type is None else [*headers, ("content-type", content_type)]


def accepted(raw: bytes | None, headers: Headers) -> dict[str, Any]:
    found = decode(b"u-1", raw, headers)
    assert isinstance(found, Event), found
    written: dict[str, Any] = json.loads(found.raw)
    assert (found.id, found.source, found.user) == (written["id"], written["source"], written["subject"])
    decode_log(log_value(found.raw, 1, "logged", 0))
    return written


@pytest.mark.parametrize(
    "content_type", [None, b"", b"application/json", b"Application/JSON; charset=utf-8", b"application/x+json"]
)
def test_binary_mode_with_json(content_type: bytes | None) -> None:
    written = accepted(b' {"n": 1.50}', binary(content_type, sequence="2", region="Ğ"))
    media = None if content_type is None else content_type.decode()
    assert written == attributes(sequence="2", region="Ğ", data={"n": 1.5}, datacontenttype=media)


@pytest.mark.parametrize("data", [b"hello", "Ğ".encode(), b"\xff\0"])
def test_binary_mode_with_text_and_bytes(data: bytes) -> None:
    written = accepted(data, binary(b"text/plain"))
    assert msgspec.json.decode(msgspec.json.encode(written["data_base64"]), type=bytes) == data
    assert "data" not in written


@pytest.mark.parametrize("data", [b"", None])
def test_binary_mode_without_data(data: bytes | None) -> None:
    assert accepted(data, binary(b"application/json")) == attributes(datacontenttype="application/json")


def test_headers_that_are_no_attributes_are_passed_over() -> None:
    headers = [*binary(), ("trace", b"\xff\0"), ("empty", None), ("ce_note", None), ("Content-Type", None)]
    assert accepted(b"1", headers) == attributes(data=1)


def test_a_structured_event_may_have_the_headers_too() -> None:
    raw = value(id="in-the-value")
    found = decode(b"u-1", raw, binary(b"Application/CloudEvents+json; charset=utf-8"))
    assert found == Event("in-the-value", "/web", "u-1", None, raw)


def test_poison_in_binary_mode() -> None:
    assert reason(b"{", headers=binary()) == "not-json"
    assert reason(b'"\xff"', headers=binary()) == "not-utf8"
    assert reason(b"[" * 5000, headers=binary()) == "too-deep"
    assert reason(b"[" * 200 + b"]" * 200, headers=binary()) == "too-deep"
    assert reason(b"1", headers=[*binary(), ("ce_x", b"\xff")]) == "not-utf8"
    assert reason(b"1", headers=binary(id=None)) == "missing-attribute"
    assert reason(b"1", headers=[*binary(), ("ce_id", b"")]) == "bad-attribute"
    assert reason(b"1", headers=[*binary(), ("ce_position", b"1")]) == "bad-attribute"
    assert reason(b"1", headers=[*binary(b"text/plain"), ("ce_data", b"1")]) == "bad-attribute"
    assert reason(b"1", headers=binary(specversion="0.3")) == "bad-specversion"
    assert reason(b"1", headers=binary(subject="u-2")) == "key-mismatch"
    assert reason(b"1", headers=binary(sequence="x")) == "bad-sequence"


def test_the_limit_counts_what_the_event_is_written_as() -> None:
    assert reason(b"1", headers=binary(note="\x01" * (MAX_EVENT // 6))) == "too-big"
    assert reason(b"x" * (MAX_EVENT - 1000), headers=binary(b"text/plain")) == "too-big"
