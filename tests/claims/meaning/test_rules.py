"""The rules of the meaning claims on either side of each threshold."""

from __future__ import annotations

import pytest

from suite.claims.meaning import (
    rules,
)
from suite.stats import Estimate


def exactly(value: float) -> Estimate:
    return Estimate(value, value, value)


def from_to(low: float, high: float) -> Estimate:
    return Estimate((low + high) / 2, low, high)


def test_the_interval_of_a_share_is_wilsons() -> None:
    some = rules.share(47, 100)
    assert (round(some.value, 3), round(some.low, 4), round(some.high, 4)) == (0.47, 0.3751, 0.5671)
    none, all_of = rules.share(0, 100), rules.share(10, 10)
    assert none.low == 0 and round(none.high, 3) == 0.037
    assert round(all_of.high, 9) == 1 and round(all_of.low, 3) == 0.722
    assert (rules.share(0, 0).low, rules.share(0, 0).high) == (0, 1)
    assert rules.percent(some) == "47 % (38–57 %)"


@pytest.mark.parametrize(
    ("group", "like", "control", "verdict"),
    [
        (exactly(0.75), exactly(0.75), exactly(0.1), "TRUE"),
        (from_to(0.74, 0.9), exactly(0.75), exactly(0.1), "IT DEPENDS"),
        (exactly(0.75), from_to(0.74, 0.9), exactly(0.1), "IT DEPENDS"),
        (exactly(0.95), exactly(0.55), exactly(0.24), "IT DEPENDS"),
        (exactly(0.95), exactly(0.95), exactly(0.25), "NOT MEASURED"),
        (from_to(0.4, 0.51), exactly(0.95), exactly(0.1), "IT DEPENDS"),
        (from_to(0.4, 0.50), exactly(0.95), exactly(0.1), "FALSE"),
    ],
)
def test_near_means_similar_is_judged_by_its_rule(
    group: Estimate, like: Estimate, control: Estimate, verdict: str
) -> None:
    assert rules.near(group, like, control) == verdict


@pytest.mark.parametrize(
    ("place_in", "place_out", "left_in", "left_out", "control", "verdict"),
    [
        (1, 1, from_to(0.51, 0.6), exactly(0.7), 0.1, "TRUE"),
        (1, 1, from_to(0.50, 0.6), exactly(0.7), 0.1, "IT DEPENDS"),
        (2, 1, exactly(0.9), exactly(0.9), 0.1, "IT DEPENDS"),
        (2, 2, exactly(0.1), from_to(0.4, 0.51), 0.1, "IT DEPENDS"),
        (2, 2, exactly(0.1), from_to(0.4, 0.50), 0.1, "FALSE"),
        (2, 1, exactly(0.1), from_to(0.4, 0.50), 0.1, "IT DEPENDS"),
        (1, 1, exactly(0.9), exactly(0.9), 0.24, "TRUE"),
        (1, 1, exactly(0.9), exactly(0.9), 0.25, "NOT MEASURED"),
    ],
)
def test_king_and_queen_is_judged_by_its_rule(
    place_in: int, place_out: int, left_in: Estimate, left_out: Estimate, control: float, verdict: str
) -> None:
    assert rules.royal(place_in, place_out, left_in, left_out, exactly(control)) == verdict


@pytest.mark.parametrize(
    ("start", "end", "shuffled", "verdict"),
    [
        (from_to(0.45, 0.55), from_to(0.90, 0.95), from_to(0.45, 0.55), "TRUE"),
        (from_to(0.45, 0.55), from_to(0.89, 0.95), from_to(0.45, 0.55), "IT DEPENDS"),
        (from_to(0.45, 0.75), from_to(0.90, 0.95), from_to(0.45, 0.75), "TRUE"),
        (from_to(0.45, 0.76), from_to(0.90, 0.95), from_to(0.45, 0.55), "IT DEPENDS"),
        (from_to(0.45, 0.55), from_to(0.90, 0.95), from_to(0.45, 0.76), "IT DEPENDS"),
        (from_to(0.45, 0.55), from_to(0.56, 0.66), from_to(0.45, 0.55), "IT DEPENDS"),
        (from_to(0.45, 0.55), from_to(0.55, 0.65), from_to(0.45, 0.55), "FALSE"),
        (from_to(0.90, 0.95), from_to(0.92, 0.97), from_to(0.45, 0.55), "FALSE"),
    ],
)
def test_learned_from_noise_is_judged_by_its_rule(
    start: Estimate, end: Estimate, shuffled: Estimate, verdict: str
) -> None:
    assert rules.learned(start, end, shuffled) == verdict


APART, TOGETHER = (from_to(0.01, 0.1), from_to(0.51, 1)), (from_to(0.0, 0.1), from_to(0.51, 1))
UNSURE = (from_to(0.01, 0.1), from_to(0.50, 1))


@pytest.mark.parametrize(
    ("static", "words", "mixed", "verdict"),
    [
        (True, [APART, APART], 0.0, "TRUE"),
        (False, [APART, APART], 0.0, "FALSE"),
        (True, [APART, TOGETHER], 0.0, "IT DEPENDS"),
        (True, [APART, UNSURE], 0.0, "IT DEPENDS"),
        (True, [TOGETHER, TOGETHER], 0.0, "FALSE"),
        (True, [APART, APART], 0.01, "NOT MEASURED"),
    ],
)
def test_static_and_contextual_is_judged_by_its_rule(
    static: bool, words: list[tuple[Estimate, Estimate]], mixed: float, verdict: str
) -> None:
    assert rules.contextual(static, words, [exactly(0.0), from_to(mixed, 0.1)]) == verdict


@pytest.mark.parametrize(
    ("outcomes", "verdict"),
    [
        ("a same, b same", "TRUE"),
        ("a same, a same", "NOT MEASURED"),
        ("a same, b refused", "NOT MEASURED"),
        ("a same, b same, c refused", "TRUE"),
        ("a same, b same, c failed", "IT DEPENDS"),
        ("a same, b same, c failed, d other", "FALSE"),
        ("a same, b other", "FALSE"),
    ],
)
def test_same_rows_is_judged_by_its_rule(outcomes: str, verdict: str) -> None:
    pairs = [tuple(pair.split()) for pair in outcomes.split(", ")]
    assert rules.same_rows([(one, what) for one, what in pairs]) == verdict
