"""What the audit keeps on disk comes back in order, and a full disk is one line."""

import sqlite3
from random import Random

import pytest

from activity.errors import ChoparError
from chopar.spool import spools


def test_rows_come_back_in_order() -> None:
    rows = [(major, minor, b"%d" % minor) for major in (-(2**63), -1, 0, 2**63 - 1) for minor in range(700)]
    mixed = rows[:]
    Random(1).shuffle(mixed)
    with spools("first", "other") as (first, other):
        other.add([(1, 1, b"x")])
        first.add(mixed)
        assert len(first) == len(rows)
        assert list(first) == rows
        assert list(other) == [(1, 1, b"x")]


def test_a_full_disk_is_an_error_that_says_what_to_do() -> None:
    with pytest.raises(ChoparError, match=r"disk is full.*TMPDIR"), spools("rows"):
        raise sqlite3.OperationalError("database or disk is full")
