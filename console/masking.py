"""What is shown of addresses and payloads to who has not shown the token. Pure."""

import re
from typing import Final

HIDDEN: Final = "***"
_ADDRESS: Final = re.compile(r"[^\s<>@\"'(),;:]+@[^\s<>@\"'(),;:]+")


def mask_address(address: str) -> str:
    """The first letter and the domain: `a***@shop.example`."""
    local, at, domain = address.rpartition("@")
    return f"{local[:1]}{HIDDEN}{at}{domain}" if at else HIDDEN


def mask_text(text: str) -> str:
    """`text` with each address in it masked: a mail server's words often repeat the recipient's."""
    return _ADDRESS.sub(lambda found: mask_address(found[0]), text)
