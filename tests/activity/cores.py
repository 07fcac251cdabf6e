"""Both ways to hold a state in hand: tests of what they decide run for each."""

from typing import Final

import pytest

from activity.hand import COMPILED, Hand

CORES: Final = [
    pytest.param(Hand, id="python"),
    pytest.param(COMPILED, id="compiled", marks=pytest.mark.skipif(COMPILED is None, reason="it was not built here")),
]
