"""Comparison of outcomes of several passes, and rounds that were slow: ratios, verdicts, what is open."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from suite.analysis import comparison, outcomes
from suite.analysis.outcome import Outcome
from suite.records.record import Record
from tests.support import fabricate, metered

CASE = fabricate.CASE
FAST, SLOW = [False] * 12, [True] * 12
FLOOR = 0.02
KNOWN = metered.metered(
    fabricate.measurement(CASE, 99, {"known": 1.0}, shape={"noise": 0.0}), FAST, began_s=1e6
)
"""A contender in other rounds, always at full speed, so that it is known what that is."""


def group(records: Sequence[Record]) -> dict[str, Outcome]:
    found = outcomes.outcomes_of([*records, *KNOWN])
    return {name: one for name, one in found.items() if name != "known"}


def measured(
    speed: dict[str, float],
    passes: Sequence[float] = (1.0, 1.001, 0.999),
    slow: Any = (FAST, FAST, FAST),
    **options: Any,
) -> dict[str, Outcome]:
    return group(metered.measurement(CASE, speed, passes, slow, **options))


def test_the_rounds_that_both_count_make_a_ratio() -> None:
    """A slow round of one of them is none for either."""
    records = metered.measurement(CASE, {"x": 1.0, "y": 1.1}, slow=[FAST] * 3)
    spoilt = []
    for one in records:
        samples = one.samples
        if one.backend == "y":  # its middle readings are slow in some rounds, where it takes twice as long
            own = [k in (2, 5) for k in range(12)]
            samples = replace(
                samples,
                call_s=tuple(
                    tuple(2 * s for s in of) if flag else of
                    for of, flag in zip(samples.call_s, own, strict=True)
                ),
                meter_s=tuple(
                    (*of, 2 * of[0], of[0]) if flag else of
                    for of, flag in zip(samples.meter_s, own, strict=True)
                ),
            )
        spoilt.append(replace(one, samples=samples))
    both = group(spoilt)
    assert len(both["x"].counted) == 36 and len(both["y"].counted) == 30
    assert comparison.slowdown(both["y"], both["x"]).value == pytest.approx(1.1)


def test_a_pass_without_enough_rounds_at_full_speed_is_in_no_ratio() -> None:
    slow = [FAST, [False] * 2 + [True] * 10, FAST]
    both = measured({"x": 1.0, "y": 1.1}, (1.0, 5.0, 1.0), slow)
    assert len(both["x"].counted) == 24
    assert comparison.slowdown(both["y"], both["x"]).value == pytest.approx(1.1)
    first = both["x"].rounds[0]
    assert comparison.median(both["x"]).value == pytest.approx(first), "its five times longer pass does not"


def test_nothing_is_decided_by_what_was_not_at_full_speed() -> None:
    both = measured({"x": 1.0, "y": 3.0})
    assert comparison.verdict(both["y"], both["x"], FLOOR) == "SLOWER"
    assert comparison.verdict(both["x"], both["y"], FLOOR) == "FASTER"
    slow = measured({"x": 1.0, "y": 3.0}, slow=[SLOW] * 3)
    assert comparison.slowdown(slow["y"], slow["x"]).value == pytest.approx(3.0)
    assert comparison.verdict(slow["y"], slow["x"], FLOOR) == "UNCLEAR"
    assert comparison.verdict(slow["x"], slow["y"], FLOOR) == "UNCLEAR"


@pytest.mark.parametrize(("share", "tied"), [(0.8, True), (1.5, False)])
def test_who_was_slow_is_tied_with_the_fastest_unless_it_is_far_behind(share: float, tied: bool) -> None:
    speed = {"x": 1.0, "y": 1 + share * comparison.LOWER_SPEED_FLOOR}
    slow = measured(speed, slow=[SLOW] * 3)
    ranked, best = comparison.rank(list(slow.values()), FLOOR)
    assert [o.backend for o in ranked] == ["x", "y"]
    assert best == ({slow["x"].key, slow["y"].key} if tied else {slow["x"].key})
    fast = measured(speed)
    assert comparison.rank(list(fast.values()), FLOOR)[1] == {fast["x"].key}


def test_below_full_speed_no_more_is_said_than_what_is_likely() -> None:
    fast, slow = (measured({"x": 1.0, "y": 3.0}, slow=[speed] * 3) for speed in (FAST, SLOW))
    assert comparison.judgement(fast["y"], fast["x"], FLOOR) == "SLOWER"
    assert comparison.judgement(slow["y"], slow["x"], FLOOR) == "LIKELY SLOWER"
    assert comparison.judgement(slow["x"], slow["y"], FLOOR) == "LIKELY FASTER"
    equal = measured({"x": 1.0, "y": 1.0}, slow=[SLOW] * 3)
    assert comparison.judgement(equal["y"], equal["x"], FLOOR) == "UNCLEAR", "never the same"
    other = replace(slow["y"], run="another")
    assert comparison.judgement(other, slow["x"], FLOOR) == "UNCLEAR", "they shared no rounds"


def test_one_at_full_speed_and_one_below_is_no_verdict() -> None:
    fast, slow = measured({"x": 1.0, "y": 3.0}), measured({"x": 1.0, "y": 3.0}, slow=[SLOW] * 3)
    assert fast["x"].decides and not slow["y"].decides
    assert comparison.judgement(slow["y"], fast["x"], FLOOR) == "LIKELY SLOWER"


def test_a_verdict_takes_the_scatter_of_ratios_between_passes_into_account() -> None:
    """Within a pass y is 5 % slower in every round, and between passes anything."""
    made = []
    for number, factor in enumerate((1.05, 0.85, 1.25), 1):
        made += metered.metered(
            fabricate.measurement(
                CASE, number, {"x": 1.0, "y": factor}, shape={"noise": 0.0}, pass_number=number
            ),
            FAST,
            began_s=100.0 * number,
        )
    wild = group(made)
    assert comparison.verdict(wild["y"], wild["x"], FLOOR) == "UNCLEAR"
    steady = measured({"x": 1.0, "y": 1.05})
    assert comparison.verdict(steady["y"], steady["x"], FLOOR) == "SLOWER"


def converged(found: dict[str, Outcome]) -> list[Outcome]:
    return [replace(o, converged=True) for o in found.values()]


def test_a_case_is_decided_when_its_fastest_is_known_however_wide_the_intervals() -> None:
    clear = converged(measured({"x": 1.0, "y": 3.0}))
    assert comparison.doubt(clear, FLOOR) == 0
    imprecise = [clear[0], replace(clear[1], converged=False)]
    assert comparison.doubt(imprecise, FLOOR) == 0
    assert comparison.imprecision(clear) == 0
    assert comparison.imprecision(imprecise) == comparison.median(clear[1]).precision
    assert comparison.doubt(converged(measured({"x": 1.0, "y": 3.0}, slow=[SLOW] * 3)), FLOOR) == math.inf
    alone = converged(measured({"x": 1.0}, slow=[SLOW] * 3))
    assert comparison.doubt(alone, FLOOR) == math.inf, "it has none to be told from, and still no result"
    close = converged(measured({"x": 1.0, "y": 1.0205}, (1.0, 1.0, 1.0)))
    assert comparison.doubt(close, FLOOR) == 0
    made = []
    for number, factor in enumerate((1.0, 1.05, 1.02), 1):
        records = fabricate.measurement(
            CASE, number, {"x": 1.0, "y": factor}, shape={"noise": 0.0}, pass_number=number
        )
        made += metered.metered(records, FAST, began_s=100.0 * number)
    open_one = converged(group(made))
    assert 0 < comparison.doubt(open_one, FLOOR) < math.inf
    assert comparison.doubt(open_one, 1.0) == 0, "a tie within the noise floor is an answer"


def test_a_failure_leaves_nothing_open() -> None:
    (failed,) = group([fabricate.failure("z", CASE, "m7")]).values()
    clear = converged(measured({"x": 1.0, "y": 3.0}))
    assert comparison.doubt([*clear, failed], FLOOR) == 0
    assert comparison.doubt([failed], FLOOR) == 0


def test_the_share_of_the_ceiling_is_over_passes_too() -> None:
    steady = measured({"x": 1.0}, (1.0, 1.0, 1.0))["x"]
    wild = measured({"x": 1.0}, (1.0, 1.2, 0.8))["x"]
    one, other = comparison.fraction_of_ceiling(steady), comparison.fraction_of_ceiling(wild)
    assert one is not None and other is not None
    assert one.precision < 0.001
    assert other.precision > 0.1
    assert other.value == pytest.approx(one.value, rel=0.03)


def test_only_the_host_timed_stands_below_is_never_fastest_and_decides_nothing(tmp_path: Path) -> None:
    found = outcomes.read([fabricate.of_two_clocks(tmp_path / "r").path])
    order, best = comparison.rank(found.outcomes, FLOOR)
    assert [o.name for o in order] == ["x", "y", "z"]
    assert {key[1] for key in best} == {"x"}
    assert comparison.doubt(found.outcomes, FLOOR) == 0
    z = next(o for o in found.outcomes if o.name == "z")
    assert {key[1] for key in comparison.rank([z], FLOOR)[1]} == {"z"}, (
        "where all are host-timed these are ranked"
    )
    assert comparison.ranks(found) == {("r", o.key): k for k, o in enumerate(order[:2], 1)}


def test_results_can_be_ranked_by_the_call_that_all_have(tmp_path: Path) -> None:
    found = outcomes.read([fabricate.of_two_clocks(tmp_path / "r").path], clock="call")
    order, best = comparison.rank(found.outcomes, FLOOR)
    assert [o.name for o in order] == ["z", "y", "x"] and {key[1] for key in best} == {"z"}
    assert {o.clock for o in found.outcomes} == {"call"}
    assert (
        outcomes.read([fabricate.of_two_clocks(tmp_path / "2").path], clock="kernel").outcomes[0].clock
        == "call"
    )


def test_how_kernel_times_scatter_is_not_taken_from_calls(tmp_path: Path) -> None:
    run, draw = fabricate.run(tmp_path / "r", []), random.Random(0)
    for number in range(1, 5):
        for place, case in enumerate(fabricate.CASES[:5]):
            own = {"device": "cuda:0", "shape": {"noise": 0.0}, "pass_number": number}
            x, y = fabricate.measurement(case, place, {"x": 1.0, "y": 2.0}, number, clock="kernel", **own)[1:]
            wild = {f"z{k}": draw.uniform(0.5, 2.0) for k in range(8)}
            calls = fabricate.measurement(case, place, wild, number, clock="call", **own)[1:]
            run.append(replace(one, measurement=f"p{number}-m{place}") for one in (x, y, *calls))
    found = {o.name: o for o in outcomes.read([run.path]).outcomes if o.case == fabricate.CASES[0]}
    assert comparison.slowdown(found["y"], found["x"]).precision < 0.01
    assert comparison.slowdown(found["z0"], found["x"]).precision > 0.1


def test_of_two_copies_of_the_same_rounds_the_later_counts() -> None:
    first, backend = fabricate.measurement(CASE, speed={"x": 1.0}, shape={"noise": 0.0})
    later = fabricate.measurement(CASE, speed={"x": 1.0}, shape={"noise": 0.0}, clock="call")[0]
    assert later.samples is not None
    slower = tuple(tuple(2 * s for s in of) for of in later.samples.call_s)
    later = replace(later, samples=replace(later.samples, call_s=slower))
    found = outcomes.outcomes_of([first, later, backend])["x"]
    assert found.ceiling is not None
    assert found.ceiling.rounds[0] == pytest.approx(2 * first.rounds[0][0])
