"""Intervals hold what they promise, by simulation; ratios, verdicts and means on both sides of every edge."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from suite import stats
from suite.stats import Estimate
from tests.support import simulated

Draw = Callable[[np.random.Generator, int], np.ndarray]

# Times are skewed to the right: mostly near the least one, with a tail. Each distribution with its median.
DISTRIBUTIONS: dict[str, tuple[Draw, float]] = {
    "normal": (lambda rng, n: rng.normal(10, 1, n), 10.0),
    "exponential": (lambda rng, n: 1 + rng.exponential(1, n), 1 + math.log(2)),
    "lognormal": (lambda rng, n: rng.lognormal(0, 1, n), 1.0),
    "pareto": (lambda rng, n: 1 + rng.pareto(1.2, n), 2 ** (1 / 1.2)),
}


def rounds(values: np.ndarray | list[float]) -> list[list[float]]:
    """One sample a round: then the rounds' medians are the values themselves."""
    return [[float(value)] for value in values]


def covered(estimate: Callable[[np.random.Generator], Estimate], truth: float, tries: int) -> float:
    """How often the interval holds the truth."""
    rng = np.random.default_rng(7)
    found = [estimate(rng) for _ in range(tries)]
    return sum(e.low <= truth <= e.high for e in found) / tries


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
@pytest.mark.parametrize("n", [6, 10, 30])
def test_the_interval_of_the_median_holds_it(distribution: str, n: int) -> None:
    draw, truth = DISTRIBUTIONS[distribution]
    share = covered(lambda rng: stats.median(rounds(draw(rng, n))), truth, 1200)
    assert share >= 0.93, "95 % are promised, 93 % leave room for the simulation"
    assert share < 1.0


def test_the_ranks_are_those_of_the_binomial_distribution() -> None:
    """The widest of the tables' ranks (Conover, table A3) for 95 %: x(r) and x(n+1-r)."""
    for n in range(1, 400):
        tails = np.cumsum([math.comb(n, k) / 2**n for k in range(n // 2 + 1)])
        assert stats.interval_rank(n) == int(np.sum(2 * tails <= 0.05)), n
    assert [stats.interval_rank(n) for n in (0, 5, 6, 8, 9, 10, 30, 100)] == [0, 0, 1, 1, 2, 2, 10, 40]


@pytest.mark.parametrize("n", [1074, 1075, 5000, 100_000])
def test_the_ranks_of_very_many_rounds_follow_the_normal_approximation(n: int) -> None:
    """0.5 ** n is nothing there; the normal approximation is good to a rank or two."""
    assert stats.interval_rank(n) == pytest.approx(n / 2 - 1.96 * math.sqrt(n) / 2, abs=2)


@pytest.mark.parametrize("n", range(7))
def test_too_few_rounds_bound_nothing(n: int) -> None:
    found = stats.median(rounds([1.0, 2.0, 3.0, 4.0, 5.0, 6.0][:n]))
    if n == 6:
        assert (found.low, found.high) == (1.0, 6.0)
        return
    assert (found.low, found.high) == (0.0, math.inf)
    assert found.precision == math.inf or math.isnan(found.precision)
    assert math.isnan(found.value) if n == 0 else found.value == statistics.median(range(1, n + 1))


def test_the_round_is_the_unit() -> None:
    """A thousand samples of one round are one value: what they share does not average out."""
    found = stats.median([list(np.random.default_rng(0).normal(1, 0.1, 1000))] * 3)
    assert found.high == math.inf
    ten = [[level] * 1000 for level in range(1, 11)]
    assert stats.median(ten) == stats.median(rounds(list(range(1, 11))))


def test_rounds_without_samples_are_left_out() -> None:
    assert list(stats.round_medians([[1.0, 3.0], [], [5.0]])) == [2.0, 5.0]


def test_precision_is_half_the_width() -> None:
    assert Estimate(10.0, 9.0, 12.0).precision == pytest.approx(0.15)
    assert Estimate(0.0, 0.0, 0.0).precision == math.inf


@pytest.mark.parametrize("distribution", ["exponential", "lognormal"])
@pytest.mark.parametrize("n", [10, 30])
def test_the_interval_of_a_ratio_holds_it(distribution: str, n: int) -> None:
    """The rounds share a drift of 30 %; a ratio is taken within each, so that drift is not in it."""
    draw, truth = DISTRIBUTIONS[distribution]

    def estimate(rng: np.random.Generator) -> Estimate:
        base = rng.lognormal(0, 0.3, n)
        return stats.ratio(rounds(base * draw(rng, n)), rounds(base))

    assert covered(estimate, truth, 500) >= 0.93


def test_drift_that_all_share_is_not_in_a_ratio() -> None:
    drift = np.linspace(1, 3, 20)
    found = stats.ratio(rounds(drift * 1.1), rounds(drift))
    assert found.value == pytest.approx(1.1)
    assert found.precision < 1e-9
    apart = stats.quotient(stats.median(rounds(drift * 1.1)), stats.median(rounds(drift)))
    assert apart.precision > 0.2, "without common rounds it is"


def test_a_ratio_takes_the_rounds_that_both_have() -> None:
    found = stats.ratio([[2.0], [], [4.0], [6.0]], [[1.0], [1.0], [2.0]])
    assert found.value == 2.0
    assert (found.low, found.high) == (0.0, math.inf), "two rounds bound nothing"
    assert math.isnan(stats.ratio([], []).value)


def test_a_ratio_is_the_same_each_time() -> None:
    values = list(np.random.default_rng(3).lognormal(0, 1, 20))
    assert stats.ratio(rounds(values), rounds([1.0] * 20)) == stats.ratio(rounds(values), rounds([1.0] * 20))


@given(st.lists(st.floats(1e-7, 10), min_size=6, max_size=40))
def test_an_estimate_stands_in_its_interval(values: list[float]) -> None:
    found = stats.median(rounds(values))
    assert found.low <= found.value <= found.high
    assert {found.low, found.high} <= set(values)
    there = stats.ratio(rounds(values), rounds([1.0] * len(values)))
    assert there.low <= there.value * (1 + 1e-12)
    assert there.high >= there.value * (1 - 1e-12)


@given(st.floats(0.1, 10), st.floats(1, 2), st.floats(1, 2), st.floats(0.1, 10), st.floats(1, 2))
def test_a_quotient_is_as_wide_as_both(a: float, down: float, up: float, b: float, spread: float) -> None:
    x, y = Estimate(a, a / down, a * up), Estimate(b, b / spread, b * spread)
    found = stats.quotient(x, y)
    assert found.low <= found.value * (1 + 1e-12)
    assert found.value <= found.high * (1 + 1e-12)
    assert found.high / found.value >= max(up, spread) * (1 - 1e-9)
    assert found.value / found.low >= max(down, spread) * (1 - 1e-9)


def test_a_quotient_of_the_unbounded_is_unbounded() -> None:
    known, unknown = Estimate(1.0, 0.9, 1.1), Estimate(2.0, 0.0, math.inf)
    for a, b in ((known, unknown), (unknown, known)):
        found = stats.quotient(a, b)
        assert (found.low, found.high) == (0.0, math.inf)


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (1.0201, 1.50, "SLOWER"),
        (1.0199, 1.50, "UNCLEAR"),
        (0.50, 1 / 1.0201, "FASTER"),
        (0.50, 1 / 1.0199, "UNCLEAR"),
        (1 / 1.0199, 1.0199, "SAME"),
        (1 / 1.0201, 1.0199, "UNCLEAR"),
        (1 / 1.0199, 1.0201, "UNCLEAR"),
        (0.50, 1.50, "UNCLEAR"),
        (0.0, math.inf, "UNCLEAR"),
        (math.nan, math.nan, "UNCLEAR"),
    ],
)
def test_the_verdict_changes_on_each_side_of_the_noise_floor(low: float, high: float, verdict: str) -> None:
    assert stats.verdict(Estimate((low + high) / 2, low, high), 0.02) == verdict


def test_without_noise_only_the_interval_decides() -> None:
    assert stats.verdict(Estimate(1.0, 1.0, 1.0), 0.0) == "SAME"
    assert stats.verdict(Estimate(1.001, 1.0005, 1.002), 0.0) == "SLOWER"
    assert stats.verdict(Estimate(0.999, 0.998, 0.9995), 0.0) == "FASTER"
    assert stats.verdict(Estimate(1.0, 0.9995, 1.0005), 0.0) == "UNCLEAR"


@given(st.floats(0.5, 2), st.floats(1, 1.5), st.floats(0, 0.2))
def test_verdicts_of_a_ratio_and_its_inverse_agree(value: float, spread: float, floor: float) -> None:
    there = stats.verdict(Estimate(value, value / spread, value * spread), floor)
    back = stats.verdict(Estimate(1 / value, 1 / value / spread, 1 / value * spread), floor)
    turned = {"SLOWER": "FASTER", "FASTER": "SLOWER", "SAME": "SAME", "UNCLEAR": "UNCLEAR"}
    edges = (value * spread, value / spread)
    if all(
        abs(math.log(edge)) > 1e-9 and abs(abs(math.log(edge)) - math.log1p(floor)) > 1e-9 for edge in edges
    ):
        assert back == turned[there]


def test_the_geometric_mean_of_ratios_needs_no_base() -> None:
    assert stats.geometric_mean([2.0, 8.0]) == pytest.approx(4.0)
    assert stats.geometric_mean([3.0]) == pytest.approx(3.0)
    assert math.isnan(stats.geometric_mean([]))
    values = [0.5, 2.0, 7.0, 1e-9]
    inverse = stats.geometric_mean([1 / value for value in values])
    assert inverse == pytest.approx(1 / stats.geometric_mean(values)), "of ratios it needs no base"


def test_the_low_quantile_is_the_least_until_there_are_fifty() -> None:
    assert stats.low_quantile([3.0]) == 3.0
    assert stats.low_quantile([*range(2, 50), 1]) == 1
    assert stats.low_quantile([*range(2, 51), 1]) == 2
    assert stats.low_quantile(range(1000, 0, -1)) == 21


@pytest.mark.parametrize(
    ("df", "tabled"),
    [
        (1, 12.7062),
        (2, 4.3027),
        (3, 3.1824),
        (4, 2.7764),
        (5, 2.5706),
        (6, 2.4469),
        (8, 2.3060),
        (10, 2.2281),
        (20, 2.0860),
        (30, 2.0423),
        (60, 2.0003),
        (120, 1.9799),
        (1000, 1.9623),
        (math.inf, 1.9600),
    ],
)
def test_the_quantile_of_students_t_is_the_tabled_one(df: float, tabled: float) -> None:
    assert stats.t_quantile(df) == pytest.approx(tabled, rel=5e-4)


def test_the_quantile_of_students_t_falls_with_its_degrees_of_freedom_whole_or_not() -> None:
    found = [stats.t_quantile(1 + k / 10) for k in range(400)]
    assert found == sorted(found, reverse=True)
    assert stats.t_quantile(1.5) == stats.t_quantile(1), "no less than it is"


@pytest.mark.parametrize(("passes", "results"), [(3, 6), (3, 200), (4, 30), (6, 6), (6, 100)])
def test_the_interval_over_passes_and_a_ratio_of_two_runs_hold_the_truth(passes: int, results: int) -> None:
    """Passes differ by 4 %, rounds by 1 %, and in half of the rounds the machine is 40 % slower."""
    for share in simulated.covered(simulated.Machine(), results, passes, 3000):
        assert 0.93 <= share <= 0.97


def test_no_slow_round_is_in_a_simulated_result() -> None:
    seen = simulated.run(simulated.Machine(), np.random.default_rng(0), 200, 3, 12)
    assert len(seen) > 190, "few passes have fewer than 3 rounds at full speed"
    assert statistics.geometric_mean(e.value for e in seen) == pytest.approx(1.0, abs=0.01)


def logs(*groups: list[float]) -> list[list[float]]:
    return [[math.exp(value) for value in group] for group in groups]


def test_results_that_scatter_alike_share_one_spread() -> None:
    rng = np.random.default_rng(2)
    found = stats.spread_of(logs(*[list(rng.normal(5, 0.03, 4)) for _ in range(200)]))
    assert found.sd == pytest.approx(0.03, rel=0.1)
    assert found.df > 20, "ten times what one of them knows of itself"


def test_results_that_scatter_unlike_share_little() -> None:
    rng = np.random.default_rng(2)
    scatter = rng.lognormal(-4, 1, 200)
    found = stats.spread_of(logs(*[list(rng.normal(0, sd, 4)) for sd in scatter]))
    assert 0.5 < found.df < 5


@pytest.mark.parametrize(
    "groups",
    [[], [[1.0]] * 50, [[1.0, 1.1]] * (stats.FEWEST_GROUPS - 1), [[2.0, 2.0]] * 50, [[1.0, math.nan]] * 50],
)
def test_there_is_no_common_spread_of_too_few_results(groups: list[list[float]]) -> None:
    assert stats.spread_of(groups) == stats.Spread()


def test_a_result_that_does_not_scatter_at_all_is_no_infinite_evidence() -> None:
    rng = np.random.default_rng(2)
    groups = logs(*[list(rng.normal(0, 0.03, 3)) for _ in range(20)], [0.0, 0.0, 0.0])
    found = stats.spread_of(groups)
    assert 0 < found.sd < 0.1 and math.isfinite(found.df)
    assert stats.over_passes([1.0, 1.0, 1.0], found).precision > 0


def test_over_passes_is_students_interval_where_nothing_is_shared() -> None:
    values = [1.00, 1.02, 1.05]
    ours = stats.over_passes(values, stats.Spread())
    own = [math.log(value) for value in values]
    half = 4.3027 * statistics.stdev(own) / math.sqrt(3)
    assert ours.value == pytest.approx(statistics.geometric_mean(values))
    assert math.log(ours.high / ours.value) == pytest.approx(half, rel=1e-3)
    assert math.log(ours.value / ours.low) == pytest.approx(half, rel=1e-3)


def test_over_passes_is_the_normal_interval_where_the_spread_is_known() -> None:
    ours = stats.over_passes([2.0, 2.0, 2.0, 2.0], stats.Spread(0.04, 1e9))
    assert math.log(ours.high / 2) == pytest.approx(stats.Z95 * 0.04 / 2, rel=1e-6)


def test_one_pass_has_an_interval_from_the_others_spread_alone() -> None:
    alone = stats.over_passes([3.0], stats.Spread(0.04, 100))
    assert alone.value == pytest.approx(3.0)
    assert alone.high / 3 == pytest.approx(math.exp(stats.t_quantile(100) * 0.04))
    assert not stats.over_passes([3.0], stats.Spread()).bounded
    nothing = stats.over_passes([math.nan], stats.Spread(0.04, 100))
    assert math.isnan(nothing.value) and not nothing.bounded
    assert stats.over_passes([3.0, math.nan], stats.Spread(0.04, 100)) == alone, "nan is no pass"


def around(*values: float, half_width: float = 0.001) -> list[Estimate]:
    return [Estimate(v, v * math.exp(-half_width), v * math.exp(half_width)) for v in values]


def test_a_floor_is_by_how_much_intervals_missed_one() -> None:
    ratios = [*around(*[1.0] * 6), Estimate(1.06, 1.03, 1.09)]
    assert stats.floor_of(ratios, 7) == pytest.approx(0.03)
    ratios[-1] = Estimate(1 / 1.06, 1 / 1.09, 1 / 1.03)
    assert stats.floor_of(ratios, 7) == pytest.approx(0.03), "slower and faster count alike"


def test_of_forty_the_third_farthest_is_the_floor() -> None:
    """One in twenty may be beyond it, as of intervals that are right."""
    ratios = around(*[1.0] * 37, 1.05, 1.10, 1.20)
    assert stats.floor_of(ratios, 8) == pytest.approx(0.05, abs=0.002)


def test_a_floor_does_not_grow_with_the_intervals() -> None:
    assert stats.floor_of(around(*[1.0] * 8, half_width=0.2), 8) == stats.LEAST_FLOOR
    assert stats.floor_of(around(*[1.001] * 8, half_width=0.0005), 8) == stats.LEAST_FLOOR


@pytest.mark.parametrize(
    "odd",
    [
        Estimate(1.0, 0.0, math.inf),
        Estimate(1.0, 0.9, math.inf),
        Estimate(math.nan, 0.0, math.inf),
        Estimate(math.nan, math.nan, math.nan),
        Estimate(-1.0, -2.0, 1.0),
        Estimate(5.0, 1.1, 0.9),
    ],
)
def test_a_floor_leaves_out_unbounded_or_impossible_ratios(odd: Estimate) -> None:
    good = around(*[1.05] * 8)
    assert stats.floor_of([*good, odd, odd], 8) == stats.floor_of(good, 8)
    assert stats.floor_of([*good[1:], odd], 8) is None
    assert stats.floor_of([], 8) is None


@pytest.mark.parametrize(
    ("df", "confidence", "known"),
    [(2, 0.99, 9.9248), (10, 0.99, 3.1693), (30, 0.95, 2.0423), (1, 0.99, 63.657), (math.inf, 0.99, 2.5758)],
)
def test_the_quantile_of_students_t_is_the_tabled_one_at_any_confidence(
    df: float, confidence: float, known: float
) -> None:
    assert stats.t_quantile(df, confidence) == pytest.approx(known, rel=1e-3)


def test_a_quotients_lower_end_is_of_the_bases_upper_one() -> None:
    found = stats.quotient(Estimate(1.0, 1.0, 1.0), Estimate(1.0, 0.5, 1.1))
    assert (found.low, found.high) == (pytest.approx(1 / 1.1), pytest.approx(2.0))


@pytest.mark.parametrize(
    ("df", "known", "within"),
    [
        *((2.5, 3.5746548420, 1.2e-5), (3, 3.1824463053, 1e-6), (3.7, 2.8675207072, 8e-6)),
        *((4, 2.7764451052, 1e-7), (5, 2.5705818356, 1e-7), (7.3, 2.3450667365, 1e-7)),
        *((10, 2.2281388520, 1e-8), (30, 2.0422724563, 1e-9), (100, 1.9839715185, 1e-9)),
    ],
)
def test_the_quantile_of_students_t_is_exact_to_five_digits(df: float, known: float, within: float) -> None:
    assert stats.t_quantile(df) == pytest.approx(known, rel=within)


@pytest.mark.parametrize(
    ("x", "digamma", "trigamma"),
    [
        *((0.1, -10.4237549404, 101.4332991508), (0.5, -1.9635100260, 4.9348022005)),
        *((1, -0.5772156649, 1.6449340668), (5.9, 1.6878194259, 0.1846621514)),
        *(
            (6, 1.7061176684, 0.1813229557),
            (10, 2.2517525891, 0.1051663357),
            (100, 4.6001618527, 0.0100501667),
        ),
    ],
)
def test_digamma_and_trigamma_are_the_tabled_ones(x: float, digamma: float, trigamma: float) -> None:
    assert stats._digamma(x) == pytest.approx(digamma, abs=4e-10)
    assert stats._trigamma(x) == pytest.approx(trigamma, rel=4e-9)
    assert stats._inverse_trigamma(trigamma) == pytest.approx(x, rel=2e-6)
