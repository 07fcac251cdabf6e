"""What we write is what `pamqp` reads."""

from hypothesis import given
from hypothesis import strategies as st
from pamqp import body as amqp_body
from pamqp import commands, frame, header

from rabbit.frames import frames
from rabbit.letters import Header, Letter

TEXTS = st.text(st.characters(codec="utf-8"), max_size=60)
NAMES = st.from_regex(r"[a-zA-Z0-9-_.]{1,40}", fullmatch=True)
HEADERS: st.SearchStrategy[dict[str, Header]] = st.dictionaries(NAMES, TEXTS | st.integers(-(2**63), 2**63 - 1), max_size=6)


@given(
    headers=HEADERS,
    exchange=NAMES,
    key=NAMES,
    body=st.binary(max_size=300),
    id=NAMES,
    channel=st.integers(1, 65535),
    most=st.integers(1, 100),
    mandatory=st.booleans(),
)
def test_a_letter_is_read_as_it_was(
    headers: dict[str, Header], exchange: str, key: str, body: bytes, id: str, channel: int, most: int, *, mandatory: bool
) -> None:
    raw = b"".join(frames(Letter(exchange, key, body, headers), id, channel, most, mandatory=mandatory))
    read = []
    while raw:
        size, on, one = frame.unmarshal(raw)
        assert on == channel
        raw = raw[size:]
        read.append(one)
    publish, head, *parts = read
    assert isinstance(publish, commands.Basic.Publish)
    assert (publish.exchange, publish.routing_key, publish.mandatory) == (exchange, key, mandatory)
    assert isinstance(head, header.ContentHeader)
    assert head.body_size == len(body)
    told = head.properties
    assert (told.headers or {}) == headers
    assert (told.message_id, told.content_type, told.delivery_mode) == (id, "application/json", 2)
    values = [part.value for part in parts if isinstance(part, amqp_body.ContentBody)]
    assert len(values) == len(parts)
    assert b"".join(values) == body
    assert all(len(value) <= most for value in values)
