"""Domain names as they stand in DNS, for all that compare or send by them."""

from typing import Final

import idna

LONGEST: Final = 253
"""Characters of a domain name (RFC 1035, 2.3.4)."""


def a_labels(domain: str) -> str | None:
    """The domain with its labels beyond ASCII as A-labels (IDNA 2008, letters mapped by UTS 46); ASCII stays as it is.

    None if it is no domain name, or is too long for one, which is looked at first: this may be any text.
    """
    if len(domain) > LONGEST:
        return None
    try:
        found = domain if domain.isascii() else idna.encode(domain, uts46=True).decode()
    except UnicodeError:
        return None
    return found if len(found) <= LONGEST else None
