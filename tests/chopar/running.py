"""Running `chopar` as a process of its own."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

ROOT = Path(__file__).parent.parent.parent


def environment(**settings: str) -> dict[str, str]:
    """The test's environment with these settings and no others."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CHOPAR_")}
    return {**kept, **{f"CHOPAR_{name.upper()}": value for name, value in settings.items()}}


def chopar(
    *arguments: str, settings: Mapping[str, str] | None = None, stdin: bytes = b"", timeout: float = 120, **more: str
) -> "subprocess.CompletedProcess[str]":
    """Runs it to its end, with `settings` and `more` of them."""
    return subprocess.run(
        [sys.executable, "-m", "chopar", *arguments],
        cwd=ROOT,
        env=environment(**{**(settings or {}), **more}),
        input=stdin.decode(),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def event(user: str, sequence: int, **more: Any) -> bytes:
    """An event as a line of JSON."""
    attributes = {
        "specversion": "1.0",
        "id": f"e{sequence}",
        "source": "https://shop.example/web",
        "type": "page.viewed",
        "subject": user,
        "sequence": str(sequence),
    }
    return msgspec.json.encode({**attributes, **more})
