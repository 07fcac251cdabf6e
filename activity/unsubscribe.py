"""Where a bulk mail can be unsubscribed from with one click (RFC 8058): an https:// URL, made of the event by a rule."""

import re
from typing import Final

NONE: Final = "none"
"""Stands in a rule for: this mailing has no list to leave."""
LONGEST: Final = 900
"""Characters; a header's line may have 998."""

_URL: Final = re.compile(r"https://[A-Za-z0-9\[][A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]*", re.ASCII)


def is_one_click(url: str) -> bool:
    """Whether `url` can stand in the header List-Unsubscribe: absolute, https, all its characters those of RFC 3986."""
    return len(url) <= LONGEST and _URL.fullmatch(url) is not None


def promises_one_click(text: str) -> bool:
    """Whether what an expression makes can be such a URL: its scheme stands in the text, no event chooses it."""
    return text.startswith("https://")
