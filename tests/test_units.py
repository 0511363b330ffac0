"""Numbers in words."""

from __future__ import annotations

import math
from typing import Any

import pytest

from suite import units
from suite.stats import Estimate
from suite.units import digits


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.01234, "0.0123"), (1, "1.00"), (9.999, "10.0"), (99.95, "100"), (12345.6, "12,346"), (0, "0")],
)
def test_numbers_are_shown_with_three_digits(value: Any, text: Any) -> None:
    assert digits(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        *((3.2, "3.20 s"), (0.99951, "1.00 s"), (0.9994, "999 ms"), (1e-3, "1.00 ms"), (9.994e-4, "999 µs")),
        *((1e-6, "1.00 µs"), (9.99e-7, "999 ns"), (4e-11, "0.0400 ns")),
    ],
)
def test_a_time_has_the_largest_unit_of_which_there_is_one(value: float, text: str) -> None:
    assert units.time_of(value) == text


@pytest.mark.parametrize(
    ("size", "in_three_digits", "in_few"),
    [
        (0, "0 B", "0 B"),
        (1, "1 B", "1 B"),
        (999, "999 B", "999 B"),
        (1000, "1.00 kB", "1 kB"),
        (999_400, "999 kB", "999 kB"),
        (10**6, "1.00 MB", "1 MB"),
        (2_100_000_000, "2.10 GB", "2.1 GB"),
        (10**12, "1.00 TB", "1 TB"),
        (5 * 10**14, "500 TB", "500 TB"),
    ],
)
def test_sizes_are_in_powers_of_a_thousand(size: int, in_three_digits: str, in_few: str) -> None:
    assert (units.size_of(size), units.bytes_of(size)) == (in_three_digits, in_few)


def test_few_characters_round_up_to_the_next_unit() -> None:
    assert [units.bytes_of(size) for size in (999.4, 999.5, 999_499, 999_500)] == [
        *("999 B", "1 kB", "999 kB", "1 MB")
    ]
    assert units.gigabytes(1_250_000_000) == "1.2 GB" and units.gigabytes(10**8) == "0.1 GB"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        *((1.05, "105 %"), (1, "100 %"), (0.1, "10 %"), (0.104, "10 %"), (0.0996, "10 %"), (0.0994, "9.9 %")),
        *((0.05, "5 %"), (0.0123, "1.2 %"), (0.00004567, "0.0046 %"), (1e-9, "0.0000001 %"), (0, "0 %")),
    ],
)
def test_a_share_has_two_digits_and_no_exponent(value: float, text: str) -> None:
    assert units.share(value) == text


def test_an_interval_is_half_its_width_in_per_cent() -> None:
    known, vague = Estimate(2.0, 1.9, 2.3), Estimate(1.0, 0.1, 2.2)
    open_below, open_above = Estimate(1.0, 0.0, 2.0), Estimate(1.0, 0.5, math.inf)
    assert [units.spread(one) for one in (known, vague, open_below, open_above)] == [
        *("±10.0%", "over ±100%", "±?", "±?")
    ]
    assert units.spread(Estimate(1.0, 0.5, 2.5)) == "over ±100%", "of 100 % too"
    assert units.bounds(known) == (1.9, 2.3) and units.bounds(open_below) == (None, None)


def test_counts_have_their_noun_and_numbers_of_ids_two_digits() -> None:
    assert [units.count(n, "case") for n in (0, 1, 2, 1200)] == [
        "0 cases",
        "1 case",
        "2 cases",
        "1,200 cases",
    ]
    assert [units.ids(n) for n in (1, 1.04, 1.6, 37.4, 1234)] == [
        *("1 id", "1 id", "2 ids", "37 ids", "1,200 ids")
    ]
    assert [units.factor(ratio) for ratio in (1.2345, 1234.5, 101_499)] == ["1.23", "1,230", "101,000"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        *((0.4, "0 s"), (99.4, "99 s"), (100, "2 min"), (299, "5 min"), (5999, "100 min")),
        *((6000, "1.7 h"), (15120, "4.2 h")),
    ],
)
def test_a_wait_is_in_seconds_minutes_or_hours(seconds: float, text: str) -> None:
    assert units.duration(seconds) == text
