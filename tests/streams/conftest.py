"""An app that runs inside a test must not end the tests' process, least of all with exit code 0."""

from typing import NoReturn

import pytest

from streams import chunks, consumer, producer


@pytest.fixture(autouse=True)
def nobody_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    def leave(code: int, why: str) -> NoReturn:
        raise AssertionError(f"left with exit code {code}: {why}")

    for module in (chunks, consumer, producer):
        monkeypatch.setattr(module, "leave", leave)
