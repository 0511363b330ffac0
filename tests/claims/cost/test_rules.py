"""The claims' rules: synthetic measurements on either side of each threshold, and the verdict flips."""

from __future__ import annotations

import math

import pytest

from suite import units
from suite.claims.cost import rules
from suite.claims.cost.half_length import crossing, fit
from suite.claims.cost.rules import Part
from suite.stats import Estimate

BATCHES = (1, 16, 256, 4096)


def known(value: float, within: float = 0.01) -> Estimate:
    return Estimate(value, value * (1 - within), value * (1 + within))


def ratios(*values: float) -> dict[int, Estimate]:
    return dict(zip(BATCHES, map(known, values), strict=True))


@pytest.mark.parametrize(
    ("allocated", "free", "verdict"),
    [
        (1_009_000, 2_000_000, "TRUE"),
        (1_011_000, 2_000_000, "FALSE"),
        (991_000, 2_000_000, "TRUE"),
        (989_000, 2_000_000, "FALSE"),
        (1_000_000, 1_000_000, "TRUE"),
        (1_000_000, 999_999, "IT DEPENDS"),
    ],
)
def test_size_is_judged_by_its_rule(allocated: int, free: int, verdict: str) -> None:
    assert rules.size(1_000_000, 1_000_000, allocated, free).verdict == verdict


def test_size_of_a_part_is_held_against_the_part() -> None:
    assert rules.size(8_000_000, 1_000_000, 1_000_000, 9_000_000).verdict == "TRUE"
    assert rules.size(8_000_000, 1_000_000, 1_000_000, 7_000_000).verdict == "IT DEPENDS"


@pytest.mark.parametrize(
    ("values", "verdict"),
    [
        ((1.24, 1.0, 1.1, 1.25), "TRUE"),
        ((1.26, 1.0, 1.1, 1.25), "IT DEPENDS"),
        ((1.26, 1.3, 1.26, 1.25), "IT DEPENDS"),
        ((1.26, 1.3, 1.26, 1.26), "FALSE"),
    ],
)
def test_index_is_judged_by_its_rule(values: tuple[float, ...], verdict: str) -> None:
    own = ratios(1.0, 1.0, 1.0, 1.1)
    judged = rules.index({"numba_cpu": own, "torch_embedding": ratios(*values)})
    assert judged.verdict == verdict, "judged by what people call"
    assert judged.number.startswith("torch_embedding 1.") and judged.number.endswith(
        " × a copy; numba_cpu 1.00 to 1.10 × a copy"
    )
    assert judged == rules.index({"torch_embedding": ratios(*values), "numba_cpu": own})
    if verdict == "IT DEPENDS":
        far = [f"{b:,}" for b, v in zip(BATCHES, values, strict=True) if v > 1.25]
        assert f"not at {', '.join(far)}:" in judged.why


@pytest.mark.parametrize(
    ("values", "verdict", "number"),
    [
        ((51, 60, 80, 90), "TRUE", "51% of a copy at least"),
        ((49, 60, 80, 90), "IT DEPENDS", "from 1 id on"),
        ((10, 20, 49, 51), "IT DEPENDS", "from 1,000 ids on"),
        ((10, 20, 30, 49), "FALSE", "49% of a copy at best"),
        ((60, 60, 60, 49), "FALSE", "60% of a copy at best"),
    ],
)
def test_bandwidth_is_judged_by_its_rule(values: tuple[float, ...], verdict: str, number: str) -> None:
    judged = rules.bandwidth(ratios(*(v * 1e9 for v in values)), 100e9, ["numba_cpu"])
    assert (judged.verdict, judged.number) == (verdict, f"numba_cpu: {number}")


def test_the_crossing_is_on_a_straight_line_between_logarithms() -> None:
    speeds = {batch: known(batch**0.5) for batch in (1, 16, 256)}
    assert crossing(speeds, 2.0) == pytest.approx(4.0)
    assert crossing(speeds, 8.0) == pytest.approx(64.0)
    assert crossing(speeds, 1.0) == 1
    assert crossing(speeds, 17.0) is None
    # What falls below once more begins anew.
    dip = {1: known(9.0), 16: known(1.0), 256: known(9.0)}
    assert crossing(dip, 3.0) == pytest.approx(64.0)
    # A dip that may be none does not: its interval reaches the speed asked for.
    assert crossing({**dip, 16: Estimate(1.0, 0.1, 3.1)}, 3.0) == 1
    assert crossing({**dip, 16: Estimate(1.0, 0.0, math.inf)}, 3.0) == pytest.approx(64.0)
    assert crossing({1: known(1.0), 16: Estimate(2.9, 2.0, 3.1)}, 3.0) == 16


def test_the_fit_finds_fixed_cost_and_speed() -> None:
    points = [(x, 3e-6 + x / 20e9) for x in (3e4, 5e5, 8e6, 1e8)]
    a, b = fit(points)
    assert (a, 1 / b) == (pytest.approx(3e-6), pytest.approx(20e9))
    # Errors count relatively: 10 % at 5 ms, which is 170 times the fixed cost, hardly moves it.
    *few, (most, seconds) = points
    assert fit([*few, (most, 1.1 * seconds)])[0] == pytest.approx(3e-6, rel=0.05)


@pytest.mark.parametrize(
    ("seconds", "verdict"),
    [
        ((1e-6, 1e-5, 1e-4, 0.99e-3), "TRUE"),
        ((1e-6, 1e-5, 1e-4, 1.01e-3), "IT DEPENDS"),
        ((0.99e-3, 2e-3, 2e-3, 2e-3), "IT DEPENDS"),
        ((1.01e-3, 2e-3, 2e-3, 2e-3), "FALSE"),
    ],
)
def test_instant_is_judged_by_its_rule(seconds: tuple[float, ...], verdict: str) -> None:
    judged = rules.instant(ratios(*seconds))
    assert judged.verdict == verdict and judged.number.startswith("torch_embedding: ")


Passes = dict[int, tuple[Estimate, list[Part]]]


def one_pass(lookup: float, other: float, layer: float, whole: bool = True) -> Passes:
    parts = [Part("RMSNorm", known(other), 3), Part("matrix products", known(layer), 1, whole)]
    return {8: (known(lookup), parts)}


@pytest.mark.parametrize(
    ("passes", "verdict"),
    [
        (one_pass(1.0, 1.1, 96.0), "TRUE"),
        (one_pass(1.0, 1.1, 95.0), "IT DEPENDS"),  # 1 of 99.3 is more than 1 %, but nothing is cheaper
        (one_pass(1.0, 0.9, 97.0), "IT DEPENDS"),  # less than 1 %, but a norm is cheaper
        (one_pass(1.0, 0.9, 95.0), "FALSE"),
        (one_pass(1.0, 0.99, 97.0), "TRUE"),  # cheaper, but the intervals touch
        (one_pass(1.0, 0.9, 95.0, whole=False), "IT DEPENDS"),  # the whole layer may take much longer
        (one_pass(1.0, 1.1, 96.0, whole=False), "TRUE"),
    ],
)
def test_cheapest_is_judged_by_its_rule(passes: Passes, verdict: str) -> None:
    assert rules.cheapest(passes).verdict == verdict


def test_a_part_of_a_step_is_not_cheaper_than_the_lookup() -> None:
    lookup = known(1.0)
    assert rules.cheaper(lookup, [Part("head", known(0.5), 1)]) == ["head"]
    assert rules.cheaper(lookup, [Part("head", known(0.5), 1, whole=False)]) == []
    assert rules.cheaper(lookup, [Part("head", Estimate(0.5, 0.0, math.inf), 1)]) == []


def test_a_share_of_a_pass_in_part_is_said_to_be_at_most() -> None:
    assert rules.cheapest(one_pass(1.0, 1.1, 96.0, whole=False)).number.startswith("at most 1 %")
    assert rules.cheapest(one_pass(1.0, 1.1, 96.0)).number.startswith("1 %")


@pytest.mark.parametrize(
    ("dense", "sparse", "verdict"),
    [
        ((3.9, 4.0), (9.0, 9.0), "TRUE"),
        ((4.1, 4.0), (2.0, 2.0), "IT DEPENDS"),
        ((4.1, 4.1), (4.1, 3.9), "IT DEPENDS"),
        ((4.1, 4.1), (4.1, 4.1), "FALSE"),
    ],
)
def test_training_is_judged_by_its_rule(
    dense: tuple[float, float], sparse: tuple[float, float], verdict: str
) -> None:
    judged = rules.training(dict(zip((1, 512), dense, strict=True)), dict(zip((1, 512), sparse, strict=True)))
    assert judged.verdict == verdict
    assert "dense 4.00 × at batch 1, sparse" in rules.training({1: 4.0}, {1: 5.0}).why, "named once"


@pytest.mark.parametrize(
    ("did", "verdict", "number"),
    [
        (("raises: IndexError", "raises: ValueError"), "TRUE", "2 of 2 raise"),
        (("raises: IndexError", "wraps: row 3"), "IT DEPENDS", "1 of 2 raise"),
        (("kills the process: ended by SIGSEGV", "clips: row 0"), "FALSE", "0 of 2 raise"),
    ],
)
def test_out_of_range_is_judged_by_its_rule(did: tuple[str, str], verdict: str, number: str) -> None:
    judged = rules.out_of_range({("a", "-1"): did[0], ("b", "-1"): did[1]})
    assert (judged.verdict, judged.number) == (verdict, number)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0.0, "0 %"),
        (4.4e-7, "0.000044 %"),
        (0.00044, "0.044 %"),
        (0.01, "1 %"),
        (0.0999, "10 %"),
        (0.333, "33 %"),
    ],
)
def test_a_share_has_two_digits_and_no_exponent(value: float, said: str) -> None:
    assert units.share(value) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(3.2e-9, "3.20 ns"), (0.99e-3, "990 µs"), (1e-3, "1.00 ms"), (0.0625, "62.5 ms"), (172.0, "172 s")],
)
def test_a_time_has_the_unit_that_fits(seconds: float, said: str) -> None:
    assert units.time_of(seconds) == said


def test_rules_in_words_say_the_thresholds() -> None:
    assert "1.25" in rules.INDEX and "50%" in rules.BANDWIDTH and "1.00 ms" in rules.INSTANT
    assert "1%" in rules.CHEAPEST and "4 times" in rules.TRAINING and "1%" in rules.SIZE
