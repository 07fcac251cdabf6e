"""What is done to whom and when: a plan made of a seed alone, so that a run can be repeated."""

import random
from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

Kind = Literal["kill", "pause", "blink", "leave", "broker", "close", "server"]


class Blow(NamedTuple):
    """`after` seconds after the one before; the target is hurt for `lasts` seconds."""

    after: float
    kind: Kind
    target: str
    lasts: float


MIXES: Final[Mapping[str, Mapping[Kind, int]]] = {
    "all": {"kill": 20, "pause": 4, "blink": 3, "leave": 5, "broker": 2},
    "kills": {"kill": 40},
    "moves": {"kill": 4, "leave": 20, "blink": 4},
    "pauses": {"kill": 6, "pause": 12, "blink": 8},
    "outages": {"kill": 10, "leave": 3, "broker": 8},
    "short": {"kill": 4, "pause": 1, "leave": 1, "broker": 1},
}
_LASTS: Final[Mapping[Kind, tuple[float, float]]] = {
    "kill": (0.0, 3.0),
    "pause": (11.0, 16.0),  # longer than the session
    "blink": (0.5, 6.5),  # shorter
    "leave": (0.5, 8.0),
    "broker": (0.5, 14.0),
    "close": (0.0, 0.0),  # connections, by the broker
    "server": (0.5, 8.0),  # the mail server
}


def plan(seed: int, mix: Mapping[Kind, int], targets: list[str]) -> list[Blow]:
    """The blows of a run: in bursts, and with pauses in which the group comes to rest and works."""
    rng = random.Random(seed)
    kinds: list[Kind] = [kind for kind, number in mix.items() for _ in range(number)]
    rng.shuffle(kinds)
    blows = []
    for kind in kinds:
        after = rng.choice([rng.uniform(0.0, 2.0), rng.uniform(2.0, 6.0), rng.uniform(10.0, 16.0)])
        blows.append(Blow(after, kind, rng.choice(targets), rng.uniform(*_LASTS[kind])))
    return blows
