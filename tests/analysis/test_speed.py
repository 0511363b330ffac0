"""Which turns are at full speed: by the meter alone, and so that no contender gains by what it does to it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import pytest

from suite.analysis import speed
from suite.analysis.speed import FULL_SPEED, Metered, Moment
from suite.stats import FULL_SPEED_TOLERANCE
from tests.support import fabricate, metered

FULL = 15e-6
SLOW = 1.4 * FULL
Readings = Sequence[Sequence[float]]


def turns(**of: Readings) -> dict[speed.Key, Metered]:
    """Contenders that take turns in the order given, each with its meter's readings in each turn."""
    return {
        (None, "backend", name): Metered(
            tuple(k + place / len(of) for k in range(len(readings))), tuple(map(tuple, readings)), 1
        )
        for place, (name, readings) in enumerate(of.items())
    }


def flags(**of: Readings) -> dict[str, tuple[bool, ...]]:
    found = turns(**of)
    slow = speed.slowness(found, {1: FULL})
    return {key[2]: flags for key, flags in speed.at_full_speed(found, slow).items()}


def steady(reading: float, rounds: int = 12, threads: int = 1) -> Metered:
    return Metered(tuple(map(float, range(rounds))), ((reading, reading),) * rounds, threads)


# --- what the meter reads at full speed -----------------------------------------------------------------


def test_full_speed_is_a_low_quantile_that_one_slip_does_not_move() -> None:
    slips = Metered(tuple(map(float, range(60))), ((FULL / 3, FULL), *[(FULL, SLOW)] * 59), 1)
    assert speed.references([("a", slips)], {}) == {1: FULL}


def test_who_feigns_a_fast_meter_does_not_make_the_measure() -> None:
    honest = [(name, steady(FULL)) for name in ("a", "copy")]
    assert speed.references([*honest, ("cheat", steady(FULL / 2))], {}) == {1: FULL}
    assert speed.references([*honest, ("cheat", steady(2 * FULL))], {}) == {1: FULL}, "nor a slow one"


def test_a_contender_of_many_measurements_has_one_vote() -> None:
    cheat = [("cheat", steady(FULL / 2))] * 50
    assert speed.references([("a", steady(FULL)), ("copy", steady(FULL)), *cheat], {}) == {1: FULL}


@pytest.mark.parametrize(
    ("known", "found"),
    [
        ({"1": 0.9 * FULL}, 0.9 * FULL),
        ({"1": 1.1 * FULL}, FULL),
        ({"2": 0.9 * FULL}, FULL),
        ({"1": 0.0}, FULL),
        ({"1": -1.0}, FULL),
        ({"1": "fast"}, FULL),
        ({"1": None}, FULL),
    ],
)
def test_an_earlier_run_may_know_a_fuller_speed(known: dict[str, float | str | None], found: float) -> None:
    assert speed.references([("a", steady(FULL))], known) == {1: found}


def test_each_number_of_threads_has_its_own() -> None:
    found = speed.references([("a", steady(FULL)), ("b", steady(1.2 * FULL, threads=2))], {})
    assert found == {1: FULL, 2: 1.2 * FULL}


def test_runs_of_one_machine_share_the_fullest_speed() -> None:
    here = fabricate.ENVIRONMENT
    known = [replace(here, full_speed_s={"1": s, "2": 3.0 - s}) for s in (1.0, 2.0)]
    odd = replace(here, full_speed_s={"1": "fast", "2": 0.0, "4": -1.0})
    elsewhere = replace(here, machine="b" * 16, full_speed_s={"1": 0.1})
    other_compiler = replace(here, packages={"numba": "9"}, full_speed_s={"1": 0.2})
    found = speed.fullest([*known, odd, elsewhere, other_compiler])
    assert found[speed.meter_of(here)] == {"1": 1.0, "2": 1.0}
    assert found[speed.meter_of(elsewhere)] == {"1": 0.1}
    assert found[speed.meter_of(other_compiler)] == {"1": 0.2}


# --- which turns are at full speed ----------------------------------------------------------------------


@pytest.mark.parametrize(("over", "full"), [(0.99, True), (1.01, False)])
def test_a_turn_is_at_full_speed_up_to_the_tolerance(over: float, full: bool) -> None:
    reading = FULL * (1 + over * FULL_SPEED_TOLERANCE)
    assert flags(a=[(reading, reading)]) == {"a": (full,)}


def test_a_turn_is_as_slow_as_any_of_its_readings() -> None:
    seen = flags(a=[(SLOW, FULL), (FULL, FULL), (FULL, SLOW, FULL), (FULL, SLOW)])
    assert seen == {"a": (False, True, False, False)}


def test_threads_that_still_spin_slow_the_next_ones_meter_and_not_its_turn() -> None:
    """Between two turns each reads the meter, and the faster reading counts for both."""
    spins = [(FULL, FULL)] * 12
    after = [(SLOW, FULL)] * 12
    assert flags(spins=spins, after=after) == {"spins": (True,) * 12, "after": (True,) * 12}
    tired = [(FULL, SLOW)] * 12
    assert flags(tired=tired, next=[(FULL, FULL)] * 12)["tired"][:-1] == (True,) * 11


def test_the_machine_slows_between_two_turns_only_if_both_see_it() -> None:
    seen = flags(a=[(FULL, SLOW)], b=[(SLOW, SLOW)], c=[(SLOW, FULL)], d=[(FULL, FULL)])
    assert seen == {"a": (False,), "b": (False,), "c": (False,), "d": (True,)}
    assert flags(a=[(FULL, SLOW)], b=[(FULL, SLOW)]) == {"a": (True,), "b": (False,)}, "by its first reading"


def test_a_turn_with_one_reading_is_judged_by_it_and_its_neighbours() -> None:
    assert flags(a=[(SLOW,)]) == {"a": (False,)}
    assert flags(a=[(FULL, FULL)], b=[(SLOW,)], c=[(FULL, FULL)])["b"] == (True,)


def test_who_slows_its_own_meter_is_judged_by_the_others() -> None:
    """It would else drop the rounds it likes to."""
    others = [(FULL, FULL)] * 8 + [(SLOW, SLOW)] * 4
    picky = [(FULL, SLOW, FULL)] * 4 + [(FULL, FULL, FULL)] * 4 + [(SLOW, SLOW, SLOW)] * 4
    seen = flags(a=others, picky=picky, copy=others)
    assert seen["picky"] == seen["a"] == (True,) * 8 + (False,) * 4


def test_who_is_slow_in_few_rounds_is_believed() -> None:
    others = [(FULL, FULL)] * 12
    unlucky = [(FULL, SLOW, FULL)] * 3 + [(FULL, FULL, FULL)] * 9
    assert flags(a=others, unlucky=unlucky, copy=others)["unlucky"] == (False,) * 3 + (True,) * 9


def test_of_few_rounds_no_one_is_accused() -> None:
    few = 5
    own = [(FULL, SLOW, FULL)] * few
    assert flags(a=[(FULL, FULL)] * few, own=own, copy=[(FULL, FULL)] * few)["own"] == (False,) * few


def test_a_contender_alone_is_judged_by_itself() -> None:
    assert flags(a=[(SLOW, SLOW)] * 12) == {"a": (False,) * 12}


def test_others_judge_only_who_ran_on_as_many_threads() -> None:
    """A neighbour on the second processor slows the meter of two threads, and no meter of one."""
    one = steady(FULL)
    two = Metered(tuple(k + 0.5 for k in range(12)), ((1.2 * FULL, 1.6 * FULL, 1.2 * FULL),) * 12, 2)
    both: dict[speed.Key, Metered] = {(None, "backend", "one"): one, (None, "backend", "two"): two}
    found = speed.at_full_speed(both, speed.slowness(both, {1: FULL, 2: 1.2 * FULL}))
    assert found[None, "backend", "one"] == (True,) * 12
    assert found[None, "backend", "two"] == (False,) * 12


def test_one_that_left_early_does_not_judge_later_rounds() -> None:
    left = [(FULL, FULL)] * 7
    picky = [(FULL, SLOW, FULL)] * 12
    assert flags(left=left, picky=picky)["picky"] == (True,) * 12


def test_the_speed_over_a_run_is_in_order_of_time() -> None:
    early = Metered((5.0, 1.0), ((FULL, FULL), (SLOW, SLOW)), 1)
    late = Metered((3.0,), ((FULL, FULL),), 1)
    found = speed.moments([(early, [1.0, 1.25]), (late, [1.0])])
    assert found == ((1.0, 0.8), (3.0, 1.0), (5.0, 1.0))


# --- records --------------------------------------------------------------------------------------------


def test_turns_are_those_of_a_record_whose_every_round_was_metered() -> None:
    (_, whole) = metered.metered(
        fabricate.measurement(fabricate.CASE, speed={"x": 1.0}, shape={"count": 3}), [False] * 3
    )
    assert whole.samples is not None
    taken = Metered.of(whole)
    assert taken is not None and len(taken.meter_s) == 3 and taken.threads == 1
    for part in (
        replace(whole.samples, meter_threads=None),
        replace(whole.samples, meter_s=()),
        replace(whole.samples, meter_s=(*whole.samples.meter_s[:2], ())),
        replace(whole.samples, began_s=whole.samples.began_s[:2]),
        replace(whole.samples, meter_s=whole.samples.meter_s[:2], began_s=whole.samples.began_s[:2]),
    ):
        assert Metered.of(replace(whole, samples=part)) is None
    assert Metered.of(fabricate.failure("x", fabricate.CASE, "m")) is None


@pytest.mark.parametrize(
    ("speeds", "share"),
    [((1.0, 0.99, FULL_SPEED, FULL_SPEED - 1e-9, 0.5), 3 / 5), ((1.02,), 1.0), ((0.9,), 0.0)],
)
def test_the_share_at_full_speed_is_of_all_turns(speeds: Sequence[float], share: float) -> None:
    assert speed.full_speed_share([Moment(0.0, one) for one in speeds]) == share
    assert math.isnan(speed.full_speed_share([]))


def test_a_best_of_another_processor_that_looks_the_same_is_none() -> None:
    own = Metered((0.0,), ((FULL, FULL),), 1)
    for factor, counts in ((1.4, True), (1.7, True), (2.0, False)):
        (found,) = speed.references([("a", own)], {"1": FULL / factor}).values()
        assert found == (FULL / factor if counts else FULL)
