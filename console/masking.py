"""What is shown of addresses and payloads to who has not shown the token. Pure."""

import re
from typing import Final

HIDDEN: Final = "***"
HIDDEN_WHY: Final = "something in the event's data keeps it from making a job; the token shows what"
"""In place of why a rule made no job, which may quote the data."""
_LOCAL: Final = re.compile(r"[^\s<>@\"(),;:]*")


def mask_address(address: str) -> str:
    """The first letter and the domain: `a***@shop.example`."""
    local, at, domain = address.rpartition("@")
    return f"{local[:1]}{HIDDEN}{at}{domain}" if at else HIDDEN


def mask_text(text: str) -> str:
    """`text` with each address in it masked: a mail server's words often repeat the recipient's. Takes linear time."""
    *before, last = text.split("@")
    return "@".join([*map(_mask_end, before), last])


def mask_problem(reason: str, problem: str) -> str:
    """The problem of a dead letter, by its reason."""
    return HIDDEN_WHY if reason == "rule" else mask_text(problem)


def _mask_end(words: str) -> str:
    """`words` that an @ follows."""
    if words.endswith('"'):
        return _mask_quoted(words)
    local = _LOCAL.match(words[::-1])
    length = len(local[0][::-1].lstrip("'")) if local else 0
    start = len(words) - length
    return f"{words[: start + 1]}{HIDDEN}" if length else words


def _mask_quoted(words: str) -> str:
    """A local part in quotes: nothing of it is shown. It may have quotes in it, each after a backslash."""
    start = words.rfind('"', 0, -1)
    while start > 0 and words[start - 1] == "\\":
        start = words.rfind('"', 0, start)
    return f'{words[: start + 1]}{HIDDEN}"'
