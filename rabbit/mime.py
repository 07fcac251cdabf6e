"""Texts as mail can carry them: in a header (RFC 2047) or as the body of a part (RFC 2045), in lines of at most 78 characters.

Nothing that comes from an event can add a header or end a part: a header's text is one line of printable ASCII or encoded, and
no encoded body has the characters `=_`, with which boundaries begin (RFC 2045, 6.7).
"""

import re
from base64 import b64encode
from binascii import b2a_qp
from typing import Final

LINE: Final = 78
"""The longest line that RFC 5322 recommends."""

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_ENDS: Final = re.compile(r"\r\n?")
_PHRASE: Final = re.compile(r"[A-Za-z0-9 !#$%&'*+/=?^_`{|}~-]{1,60}", re.ASCII)
_PLAIN: Final = re.compile(r"[!-~]{1,60}(?: [!-~]{1,60})*", re.ASCII)
_ASCII: Final = bytes(range(128))
_WORD: Final = 45
"""Bytes that fit into an encoded word of 75 characters."""

_QUOTED: Final = b"Content-Transfer-Encoding: quoted-printable\r\n\r\n"
_BASE64: Final = b"Content-Transfer-Encoding: base64\r\n\r\n"


def body(text: str) -> bytes:
    """The part's last header, the empty line, and `text`, whose lines all end with CRLF then.

    A lone CR or LF counts as an end of a line. What is no character (half a surrogate pair) becomes a question mark.
    """
    if "\r" in text:
        text = _ENDS.sub("\n", text)
    if not text.endswith("\n"):
        text += "\n"
    data = text.encode("utf-8", "replace").replace(b"\n", b"\r\n")
    beyond = 0 if text.isascii() else len(data.translate(None, _ASCII))
    if 6 * beyond <= len(data):  # up to there it is the shorter one
        return _QUOTED + b2a_qp(data)
    encoded = b64encode(data)
    return _BASE64 + b"\r\n".join([encoded[at : at + 76] for at in range(0, len(encoded), 76)]) + b"\r\n"


def unstructured(text: str, used: int) -> str:
    """The value of a header such as Subject, where `used` characters of the line are taken by its name."""
    if "=?" not in text and (_PLAIN.fullmatch(text) or not text):
        return text if len(text) + used <= LINE else _folded(text, used)
    return _encoded(text, used)


def phrase(name: str, used: int) -> str:
    """The name before a mailbox in angle brackets."""
    return name if _PHRASE.fullmatch(name) and "=?" not in name and name.strip() == name else _encoded(name, used)


def _folded(text: str, used: int) -> str:
    """Broken before words. Whoever reads it takes the line breaks out."""
    lines, line = [], ""
    for word in text.split(" "):
        if line and used + len(line) + 1 + len(word) > LINE:
            lines.append(line)
            line, used = word, 1
        else:
            line = f"{line} {word}" if line else word
    return "\r\n ".join([*lines, line])


def _encoded(text: str, used: int) -> str:
    """Encoded words of at most 75 characters, each of whole characters."""
    clean = _CONTROL.sub(" ", text).encode("utf-8", "replace")
    words, begin, room = [], 0, (LINE - used - 12) // 4 * 3
    while len(clean) - begin > room:
        end = begin + room
        while clean[end] & 0xC0 == 0x80:  # in the middle of a character
            end -= 1
        words.append(clean[begin:end])
        begin, room = end, _WORD
    words.append(clean[begin:])
    return "\r\n ".join(f"=?utf-8?b?{b64encode(word).decode()}?=" for word in words)
