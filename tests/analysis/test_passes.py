"""Passes of a run made one outcome: which rounds count, what fails, how much they scatter."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from suite.analysis import comparison, outcomes, passes
from suite.analysis.outcome import Outcome
from suite.analysis.outcomes import Results
from suite.cases.case import Case
from suite.records.record import Record
from suite.records.store import Run
from tests.support import fabricate, metered

CASE = fabricate.CASE
FAST, SLOW = [False] * 12, [True] * 12


def full_for(rounds: int) -> list[bool]:
    return [False] * rounds + [True] * (12 - rounds)


def outcome(records: Sequence[Record], name: str = "x") -> Outcome:
    return outcomes.outcomes_of(records)[name]


def measured(factors: Sequence[float], slow: Any = None, **options: Any) -> list[Record]:
    return metered.measurement(CASE, {"x": 1.0, "y": 2.0}, factors, slow, **options)


def read(folder: Path, records: Sequence[Record]) -> Results:
    """The results of a run of these records."""
    names = dict.fromkeys(record.environment for record in records)
    run = Run.create(folder, fabricate.holding(names))
    run.append(records)
    return outcomes.read([run.path])


# --- made one -------------------------------------------------------------------------------------------


def test_passes_of_one_contender_are_one_outcome() -> None:
    found = outcome(measured((1.0, 1.1, 0.9)))
    assert found.passes == (12, 12, 12) and len(found.rounds) == 36
    assert found.measurements == ("m1000", "m2000", "m3000")
    first, second, third = (found.rounds[k] for k in (0, 12, 24))
    assert second == pytest.approx(1.1 * first) and third == pytest.approx(0.9 * first)
    assert found.samples == 3 * 60
    assert found.by_pass(found.rounds) == pytest.approx([first, 1.1 * first, 0.9 * first])


def test_of_each_pass_the_rounds_that_count_are_its_value() -> None:
    found = replace(outcome(measured((1.0, 1.1, 0.9))), chosen=(0, 12, 35))
    assert found.by_pass([float(k) for k in range(36)]) == [0, 12, 35]
    assert replace(found, chosen=(11, 23)).by_pass([float(k) for k in range(36)]) == [11, 23]


def test_passes_are_in_the_order_of_their_numbers_whatever_order_they_were_written_in() -> None:
    made = measured((1.0, 1.1, 0.9))
    assert repr(outcome(made[::-1])) == repr(outcome(made))


def test_a_result_is_the_mean_of_its_passes_with_an_interval_of_their_scatter() -> None:
    found = outcome(measured((1.0, 1.1, 0.9)))
    time = comparison.median(found)
    values = found.by_pass(found.rounds)
    assert time.value == pytest.approx(math.prod(values) ** (1 / 3))
    assert time.low < 0.9 * time.value and time.high > 1.1 * time.value, "the rounds alone would say 0"
    assert found.converged is None or isinstance(found.converged, bool)


@pytest.mark.parametrize(
    ("factors", "reached"), [((1.0, 1.2, 0.8, 1.1, 0.9, 1.0), False), ((1.0,) * 6, True)]
)
def test_passes_that_agree_within_and_differ_between_have_not_the_precision(
    tmp_path: Path, factors: tuple[float, ...], reached: bool
) -> None:
    """Of each pass alone the record says that it had."""
    asked = replace(fabricate.ENVIRONMENT, settings={"precision": 0.05})
    made = Run.create(tmp_path / "r", asked)
    records = measured(factors)
    assert all(record.converged for record in records)
    made.append(records)
    assert [o.converged for o in outcomes.read([made.path]).outcomes] == [reached] * 2


def test_a_run_of_one_pass_has_its_interval_over_rounds() -> None:
    found = outcome(measured((1.0,)))
    assert comparison.median(found).precision == 0.0, "they are all alike"


def test_all_is_held_only_if_it_was_in_every_pass() -> None:
    made = [
        fabricate.measurement(CASE, number, {"x": 1.0}, clock="kernel", pass_number=number)
        for number in (1, 2)
    ]
    assert outcome([*made[0], *made[1]]).held is True
    let_go = replace(made[1][1], samples=replace(made[1][1].samples, held=False))
    assert outcome([*made[0], let_go]).held is False


def test_the_ceiling_is_that_of_the_same_passes() -> None:
    made = measured((1.0, 1.0, 1.0))
    found = outcome(made)
    assert found.ceiling is not None and found.ceiling.passes == (12, 12, 12)
    one_missing = [r for r in made if r.role == "backend" or r.pass_number != 2]
    assert outcome(one_missing).ceiling is None, "no share of two passes for a result of three"


# --- failures and resumed runs --------------------------------------------------------------------------


def test_what_fails_in_one_pass_has_failed_and_says_in_which() -> None:
    made = [r for r in measured((1.0, 1.0)) if (r.backend, r.pass_number) != ("x", 2)]
    failed = fabricate.failure("x", CASE, "m9", status="wrong", reason="row 3 differs")
    found = outcome([*made, replace(failed, pass_number=2)])
    assert (found.status, found.reason) == ("wrong", "in pass 2: row 3 differs")
    assert not found.rounds and not found.completed and found.slow_note is None
    assert outcome(made, "y").completed, "the other one has not"
    crashed = fabricate.failure("x", CASE, "m9", status="crashed", reason="signal 9")
    thrice = [r for r in measured((1.0, 1.0, 1.0)) if (r.backend, r.pass_number) not in {("x", 2), ("x", 3)}]
    both = [replace(failed, pass_number=2), replace(crashed, pass_number=3)]
    assert outcome([*thrice, *both]).reason == "in pass 2: row 3 differs", "the first of two"


def test_what_fails_everywhere_has_the_reason_alone() -> None:
    failed = fabricate.failure("x", CASE, "m9")
    found = outcome([failed, replace(failed, pass_number=2)])
    assert found.reason == "rows are odd"


def test_a_later_record_replaces_that_of_the_same_pass_and_no_other(tmp_path: Path) -> None:
    made = measured((1.0, 1.0, 1.0))
    again = [r for r in measured((5.0, 5.0), seed=7) if (r.backend, r.pass_number) == ("x", 2)]
    results = read(tmp_path / "r", [*made, *again])
    (x,) = (o for o in results.outcomes if o.backend == "x")
    first, second, third = x.by_pass(x.rounds)
    assert second == pytest.approx(5 * first) and third == pytest.approx(first)
    assert ["1 record replaced" in note for note in results.notes if "replaced" in note] == [True]


def test_a_resumed_run_has_more_passes_of_some_than_of_others(tmp_path: Path) -> None:
    """Nothing is compared within rounds then, and nothing breaks."""
    made = measured((1.0, 1.01, 0.99))
    stopped = [r for r in made if (r.backend, r.pass_number) != ("y", 3)]
    x, y = read(tmp_path / "r", stopped).outcomes
    assert (x.passes, y.passes) == ((12, 12, 12), (12, 12))
    ratio = comparison.slowdown(y, x)
    assert ratio.value == pytest.approx(2.0, rel=0.02) and ratio.bounded
    assert ratio == comparison.stats.quotient(comparison.median(y), comparison.median(x))


def test_passes_may_have_unequal_rounds() -> None:
    made = [
        r
        for number, count in ((1, 12), (2, 5))
        for r in fabricate.measurement(
            CASE, number, {"x": 1.0, "y": 2.0}, shape={"count": count, "noise": 0.0}, pass_number=number
        )
    ]
    both = outcomes.outcomes_of(made)
    assert both["x"].passes == (12, 5)
    assert comparison.slowdown(both["y"], both["x"]).value == pytest.approx(2.0)


# --- which rounds count ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rounds", "counts", "note"),
    [
        ((12, 12, 12), 36, None),
        ((6, 6, 6), 18, None),
        ((3, 3, 3), 9, None),
        ((3, 3, 2), 6, None),
        ((12, 3, 0), 15, None),
        ((12, 2, 2), None, "not at full speed: 16 of 36 rounds"),
        ((3, 2, 2), None, "not at full speed: 7 of 36 rounds"),
        ((0, 0, 0), None, "not at full speed: 0 of 36 rounds"),
        ((6,), 6, None),
        ((5,), None, "not at full speed: 5 of 12 rounds"),
        ((3, 3), 6, None),
        ((12, 2), None, "not at full speed: 14 of 24 rounds"),
    ],
)
def test_so_many_rounds_at_full_speed_are_enough(
    rounds: Sequence[int], counts: int | None, note: str | None
) -> None:
    """Three in a pass, two such passes; six in a single one."""
    slow = [full_for(count) for count in rounds]
    # One contender besides, always at full speed and on other threads, shows what that is.
    steady = metered.metered(
        fabricate.measurement(CASE, 99, {"z": 1.0}, shape={"noise": 0.0}), FAST, began_s=1e6
    )
    found = outcome([*measured((1.0,) * len(rounds), slow), *steady])
    assert found.slow_note == note and found.decides == (note is None)
    assert len(found.counted) == (12 * len(rounds) if counts is None else counts)
    assert found.full_speed_share == pytest.approx(sum(rounds) / 12 / len(rounds))


def test_a_result_is_of_the_rounds_at_full_speed() -> None:
    found = outcome(measured((1.0, 1.0, 1.0), [full_for(6)] * 3))
    fast = outcome(measured((1.0, 1.0, 1.0)))
    assert comparison.median(found).value == pytest.approx(comparison.median(fast).value)
    assert len(found.rounds) == 36, "those of other rounds are kept beside"


def test_what_was_never_at_full_speed_has_its_time_of_what_there_is() -> None:
    known = metered.metered(fabricate.measurement(CASE, 99, {"z": 1.0}), FAST, began_s=1e6)
    found = outcome([*measured((1.0, 1.0, 1.0), [SLOW] * 3), *known])
    fast = outcome(measured((1.0, 1.0, 1.0)))
    assert comparison.median(found).value == pytest.approx(1.4 * comparison.median(fast).value)
    assert not found.decides and found.converged is not True


def test_without_a_meter_all_rounds_count_and_decide() -> None:
    found = outcome(measured((1.0, 1.0)))
    assert found.full_speed is None and found.full_speed_share is None
    assert list(found.counted) == list(range(24)) and found.decides and found.slow_note is None


def test_of_passes_with_and_without_a_meter_none_is_taken_for_metered() -> None:
    with_, without = measured((1.0, 1.0), [FAST, FAST]), measured((1.0, 1.0))
    mixed = [r for r in with_ if r.pass_number == 1] + [r for r in without if r.pass_number == 2]
    assert outcome(mixed).full_speed is None


# --- scatter --------------------------------------------------------------------------------------------


def test_the_spread_is_that_of_each_device_and_of_ratios_apart(tmp_path: Path) -> None:
    """Copy and lookup scatter together: their ratio does not; nor does that of two backends."""
    made = []
    for k in range(8):
        factors = (1.0, 1.02 + 0.001 * k, 0.98)
        for one in metered.measurement(Case(1000 + k, 64), {"x": 1.0, "y": 2.0}, factors, seed=k):
            calm = one.role == "backend" or one.pass_number == 1
            scale = 1.0 if calm else factors[one.pass_number - 1]
            call_s = tuple(tuple(s * scale for s in of) for of in one.samples.call_s)
            made.append(replace(one, samples=replace(one.samples, call_s=call_s)))
    found = read(tmp_path / "r", made).outcomes
    (spreads,) = {o.spreads for o in found}
    assert spreads.times.sd > 0.005
    assert spreads.copies.sd < 0.0001
    assert passes.spreads_of([]) == {}


def test_one_backend_in_two_environments_has_a_spread_of_its_own(tmp_path: Path) -> None:
    """Two processes scatter against each other by what one process does not show."""
    made = []
    for k in range(8):
        for name in ("base", "head"):
            factors = (1.0, 1.02 + 0.001 * k, 0.98) if name == "head" else (1.0,) * 3
            made += metered.measurement(
                Case(1000 + k, 64), {"x": 1.0, "y": 1.0}, factors, seed=k, environment=name
            )
    for name in ("base", "head"):
        factors = (1.0, 1.002, 0.998) if name == "head" else (1.0,) * 3
        made += metered.measurement(CASE, {"x": 1.0, "y": 1.0}, factors, environment=name)
    found = read(tmp_path / "r", made).outcomes
    assert found[0].spreads.environments.sd > 0.005
    still = {o.name: o for o in found if o.case == CASE}
    assert comparison.slowdown(still["y @base"], still["x @base"]).precision < 0.005
    assert comparison.slowdown(still["x @head"], still["x @base"]).precision > 0.01


def test_a_time_that_one_pass_lacks_is_none_of_the_run() -> None:
    made = []
    for number in (1, 2):
        records = fabricate.measurement(CASE, number, {"x": 1.0}, clock="kernel", pass_number=number)
        graph_s = records[1].samples.kernel_s if number == 1 else None
        made.append(replace(records[1], samples=replace(records[1].samples, graph_s=graph_s)))
    found = outcomes.outcomes_of(made)["x"]
    assert len(found.times("kernel")) == 24 and found.times("graph") == ()


def test_what_a_quota_held_up_is_of_all_passes_together_and_other_figures_of_the_first() -> None:
    made = [
        replace(r, telemetry={"quota_throttled_periods": 10**r.pass_number, "energy_j": r.pass_number})
        for r in measured((1.0, 1.1, 0.9))
    ]
    assert outcome(made).telemetry == {"quota_throttled_periods": 1110, "energy_j": 1}


def test_of_one_pass_the_precision_is_that_over_its_rounds(tmp_path: Path) -> None:
    made = Run.create(tmp_path / "r", replace(fabricate.ENVIRONMENT, settings={"precision": 0.05}))
    for number, converged in enumerate((True, False)):
        case = Case(1000 + number, 64)
        made.append(
            [
                replace(r, converged=converged)
                for r in metered.measurement(case, {"x": 1.0}, (1.0,), seed=number)
            ]
        )
    assert [o.converged for o in outcomes.read([made.path]).outcomes] == [True, False]


def test_a_failure_that_takes_a_results_place_has_no_rounds_at_full_speed() -> None:
    made = measured((1.0,), [FAST])
    failed = fabricate.failure("x", CASE, made[0].measurement)
    found = outcome([*made, failed])
    assert not found.completed and found.full_speed is None


def test_ratios_are_of_the_rounds_that_both_count_in_every_pass() -> None:
    made = measured((1.0, 1.1, 0.9), [FAST, full_for(6), FAST])
    x, y = outcome(made, "x"), outcome(made, "y")
    found = passes.ratios_of_rounds(x.rounds, x, y.rounds, y)
    assert [len(of) for of in found] == [12, 6, 12]
    assert found[2] == pytest.approx([a / b for a, b in zip(x.rounds[24:], y.rounds[24:], strict=True)])


def test_a_round_that_only_one_counts_has_no_ratio() -> None:
    made = measured((1.0, 1.1), [FAST, FAST])
    x, y = (
        replace(outcome(made, "x"), chosen=(0, 1, 2, 12)),
        replace(outcome(made, "y"), chosen=(1, 2, 3, 13)),
    )
    assert [len(of) for of in passes.ratios_of_rounds(x.rounds, x, y.rounds, y)] == [2, 0]
