"""What a mail server's reply means for a message (RFC 5321, 4.2.1; RFC 3463 for the code that may stand before its words).

| reply | the message | its attempt |
| --- | --- | --- |
| 2xx | was accepted | |
| 421, too many connections, 4.3.1, 4.3.2, 4.4.5: the server as a whole can't now | later, fewer at a time | does not count* |
| 530, 534, 535, 538: it wants another login (RFC 4954) | later: no message is at fault | does not count* |
| other 4xx | later, not before the time that the words ask for | counts |
| 5xx | never | |
| anything else | later: it is no answer | counts |

* unless the server takes others in between: `activity.refusals`.
"""

import re
from typing import Final

from activity.outcomes import Dead, Outcome, Retry, Sent

CLOSING: Final = 421
GREYLISTED: Final = 300.0
"""Seconds that most greylists want to see pass, where they don't say it (RFC 6647, 4.5 speaks of one minute to a day)."""
LONGEST: Final = 3600.0
SHOWN: Final = 300

_LOGIN: Final = (530, 534, 535, 538)
_OVERLOADED: Final = ("4.3.1", "4.3.2", "4.4.5")
_ENHANCED: Final = re.compile(r"([245])\.\d{1,3}\.\d{1,3}(?=\s|$)", re.ASCII)
_TOO_MANY: Final = re.compile(r"too many (?:\w+ ){0,2}(?:connections|sessions)|connection limit", re.IGNORECASE)
_ASKED: Final = re.compile(r"\b(?:in|after|for|wait)\s+(\d{1,6})\s*(s|sec|seconds?|m|min|minutes?)\b", re.IGNORECASE | re.ASCII)
_GREY: Final = re.compile(r"gr[ae]y-?list", re.IGNORECASE)


def judge(code: int, text: str) -> Outcome:
    """The outcome of a message that got this reply."""
    words = shown(code, text)
    if 200 <= code < 300:
        return Sent(words)
    if wants_login(code):
        return Retry(words, _asked(text), burn=False)
    if is_crowded(code, text) or enhanced(code, text) in _OVERLOADED:
        return Retry(words, _asked(text), burn=False, slow=True, kind="busy")
    return Dead("refused", words) if 500 <= code < 600 else Retry(words, _asked(text))


def is_crowded(code: int, text: str) -> bool:
    """Whether the server says that it is spoken to too much: fewer conversations at a time are the way on."""
    return code == CLOSING or (400 <= code < 500 and _TOO_MANY.search(text) is not None)


def wants_login(code: int) -> bool:
    """Whether the server takes no mail at all from who has not logged in, or not in this way."""
    return code in _LOGIN


def enhanced(code: int, text: str) -> str | None:
    """The enhanced status code, say `4.3.2`; None if there is none, or one of another class than the reply (RFC 2034)."""
    found = _ENHANCED.match(text)
    return found[0] if found is not None and int(found[1]) == code // 100 else None


def shown(code: int, text: str) -> str:
    """The reply in one line, cut short."""
    return f"{code} {' '.join(text.split())[:SHOWN]}"


def _asked(text: str) -> float | None:
    """The wait in seconds that the words ask for."""
    if found := _ASKED.search(text):
        return min(int(found[1]) * (60.0 if found[2][0] in "mM" else 1.0), LONGEST)
    return GREYLISTED if _GREY.search(text) else None
