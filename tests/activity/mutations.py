"""Events that are wrong in every way one can think of, and in some one can't.

`python -m tests.activity.mutations --rounds 1000000` compares both cores on so many; under a sanitizer it also shows that the
compiled one reads nothing outside.
"""

import argparse
import random
import sys
from typing import Final

from activity.chunk import Chunk
from activity.hand import COMPILED, Hand
from activity.sequencing import Step, sequence
from tests.activity.examples import Record
from tests.activity.partitions import Table, owner

USUAL: Final = [
    b'{"specversion":"1.0","id":"e-1","source":"/web","type":"page.viewed","subject":"u-1","sequence":"1",'
    b'"time":"2026-01-31T09:30:00Z","data":{"page":"/products/1","n":[1,-0.5e+3,true,false,null,{}],"s":"\\u00e9\\n"}}',
    b'{ "data" : [ ] , "time":"2024-02-29T23:59:59.125+05:30","sequence":"1","subject":"u-1","type":"t","source":"s",'
    b'"id":"\xc4\x9f",'
    b'"specversion":"1.0","traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",'
    b'"x":"\\ud83d\\ude00\xf0\x9f\x98\x80" }',
    b'{"id":"1","source":"s","specversion":"1.0","type":"t","subject":"u-1","sequence":"1","dataschema":"x","partitionkey":1.5}',
]
TOKENS: Final = [
    *(b"\xf5\x80\x80\x80", b"[1;2]", b'{"a":1;"b":2}', b'{"a";1}', b"0000-01-01", b"9999-12-31", b"T24:00:00Z", b"T09:60:00Z"),
    *(b"T09:30:60Z", b"+05:60", b'position":"1","x', b'verdict":"1","x', b'received":"1","x', b'1ID"'),
    *(bytes([number]) for number in range(256)),
    *(
        b'"id":"e-2",',
        b'"sequence":"2",',
        b'"position":1,',
        b'"verdict":null,',
        b'"received":"",',
        b'"data":1,',
        b'"\\u0069d":"x",',
    ),
    *(
        b"[" * 126,
        b"]" * 126,
        b"[" * 200,
        b"]" * 200,
        b'{"":' * 130,
        b"}" * 130,
        b"[[]," * 64,
        b"x" * 128,
        b"x" * 129,
        b"\xc4\x9f" * 65,
    ),
    *(
        b"\\",
        b'\\"',
        b"\\u0000",
        b"\\ud800",
        b"\\udc00",
        b"\\ud800\\udc00",
        b"\\uD83D\\u0041",
        b"\\x",
        b"\\u12",
        b"\\/",
        b"\\u00E9",
    ),
    *(
        b"\xef\xbb\xbf",
        b"\xc0\x80",
        b"\xed\xa0\x80",
        b"\xe0\x9f\xbf",
        b"\xf0\x8f\xbf\xbf",
        b"\xf4\x90\x80\x80",
        b"\xc2\x80",
        b"\xc2\xa0",
    ),
    *(
        b"1e999",
        b"-1e-999",
        b"-0",
        b"01",
        b"1.",
        b".5",
        b"-",
        b"1e",
        b"1e+",
        b"0e0",
        b"9" * 400,
        b"NaN",
        b"Infinity",
        b"nul",
        b"truee",
    ),
    *(
        b"2026-02-29",
        b"2000-02-29",
        b"1900-02-29",
        b"2026-13-01",
        b"T24:00:00",
        b":60",
        b"T09:30:60Z",
        b".1234567Z",
        b"+24:00",
        b"-00:00",
        b" ",
    ),
    *(
        b"0999-",
        b"3000-",
        b"z",
        b"t",
        b"\x00",
        b"\x7f",
        b"\xe2\x80\x8b",
        b"\xe2\x80\xa8",
        b"\xf0\x9f\x98\x80",
        b"null",
        b"{}",
        b"[]",
        b'""',
    ),
    *(b"123456789012345678", b"1234567890123456789", b"u-2", b"1.0", b"1.1", b'"', b'":"', b'","', b":", b",", b"\r\n\t "),
]


def mutated(chance: random.Random) -> bytes:
    """An event with up to four changes."""
    raw = bytearray(chance.choice(USUAL))
    for _ in range(chance.randint(0, 4)):
        begin, way = chance.randint(0, len(raw)), chance.randrange(6)
        end = min(len(raw), begin + chance.choice((0, 1, 1, 1, 2, 5, 20)))
        if way == 0:
            del raw[begin:end]
        elif way == 1:
            raw[begin:begin] = raw[chance.randint(0, begin) : begin]  # said twice
        elif way == 2:
            raw = raw[: chance.choice((begin, len(raw) - 1))]
        else:
            raw[begin:end] = chance.choice(TOKENS)
    return bytes(raw)


def decided(raw: bytes | None, hand: type[Hand], key: bytes = b"u-1") -> Step:
    """What the event becomes, the same once more, and another that may be the same to the sequencer."""
    given = [Record(key, raw, 0, 1_000), Record(key, raw, 1, 1_001), Record(b"u-1", USUAL[2], 2, 1_001)]
    return sequence(Chunk("activity.events", 0, given), Table(), owner, hand)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    chance, taken = random.Random(arguments.seed), 0
    assert COMPILED is not None, "it was not built"
    for _ in range(arguments.rounds):
        raw = mutated(chance)
        taken += COMPILED.take_all([Record(b"u-1", raw)], 0, {}, lambda _: COMPILED.opened(None), [], {})
        if decided(raw, COMPILED) != decided(raw, Hand):
            sys.exit(f"they differ: {raw!r}")
    sys.stdout.write(f"{arguments.rounds:,} events, of which {taken:,} were usual: all decided alike\n")


if __name__ == "__main__":
    main()
