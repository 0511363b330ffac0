"""The noise floor: its statistics."""

from __future__ import annotations

import math
import random

import pytest

from suite.stats import Estimate, verdict
from suite.worker.noise import LEAST, MIN_CASES, floor_of, in_words


def around(*values: float, half_width: float = 0.001) -> list[Estimate]:
    return [Estimate(v, v * math.exp(-half_width), v * math.exp(half_width)) for v in values]


def test_floor_is_the_most_that_an_interval_missed_one() -> None:
    ratios = [*around(*[1.0] * 6), Estimate(1.06, 1.03, 1.09)]
    assert floor_of(ratios) == pytest.approx(0.03)
    ratios[-1] = Estimate(1 / 1.06, 1 / 1.09, 1 / 1.03)
    assert floor_of(ratios) == pytest.approx(0.03), "slower and faster count alike"


def test_floor_does_not_grow_with_the_intervals() -> None:
    assert floor_of(around(*[1.0] * 8, half_width=0.2)) == LEAST
    assert floor_of(around(*[1.001] * 8, half_width=0.0005)) == LEAST


@pytest.mark.parametrize(
    "odd",
    [
        Estimate(1.0, 0.0, math.inf),
        Estimate(1.0, 0.9, math.inf),
        Estimate(math.nan, 0.0, math.inf),
        Estimate(math.nan, math.nan, math.nan),
        Estimate(-1.0, -2.0, 1.0),
        Estimate(5.0, 0.9, 1.1),
    ],
)
def test_unbounded_or_impossible_ratios_are_left_out(odd: Estimate) -> None:
    good = around(*[1.05] * MIN_CASES)
    assert floor_of([*good, odd, odd]) == floor_of(good)
    assert floor_of([*good[1:], odd]) is None


def test_equal_backends_are_not_called_where_intervals_are_too_narrow() -> None:
    """Simulated: between turns things differ by 1 %, of which intervals of half a percent know nothing."""
    draw = random.Random(1)
    alone = called = 0
    for _ in range(2000):
        values = [math.exp(draw.gauss(0, 0.01)) for _ in range(9)]
        floor = floor_of(around(*values[:-1], half_width=0.005))
        assert floor is not None
        (last,) = around(values[-1], half_width=0.005)
        alone += verdict(last, 0.0) in ("FASTER", "SLOWER")
        called += verdict(last, floor) in ("FASTER", "SLOWER")
    assert alone / 2000 > 0.5
    assert called / 2000 < 0.12


@pytest.mark.parametrize(
    ("floor", "words"),
    [(0.013, "1.3 %"), (0.01301, "1.4 %"), (0.0004, "0.1 %"), (0.25, "25.0 %"), (0.0, "0.0 %")],
)
def test_floor_in_words_is_rounded_up(floor: float, words: str) -> None:
    says = f"noise floor: {words}; a difference is called only if its whole interval is beyond that"
    assert in_words(floor) == says
