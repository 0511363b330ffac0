"""Many records at once come to what suite.stats says of each."""

from __future__ import annotations

import itertools
import math
import operator
import random
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from suite import stats
from suite.analysis import columns, comparison, outcomes, reduce
from suite.records.record import Record
from tests.support import fabricate

CASE = fabricate.CASES[0]
SECONDS = st.floats(1e-9, 1e3)
ROUNDS = st.lists(st.lists(SECONDS, max_size=5).map(tuple), max_size=9).map(tuple)


@settings(deadline=None)
@given(st.lists(st.lists(SECONDS, max_size=30), max_size=8))
def test_medians_and_intervals_are_those_of_each(many: Any) -> None:
    found = reduce.medians(many)
    for k, values in enumerate(many):
        one = stats.order_statistics(values)
        assert (found.low[k], found.high[k]) == (one.low, one.high)
        assert found.value[k] == one.value or (math.isnan(found.value[k]) and not values)


def record(call: Any, kernel: Any = None) -> Record:
    made = fabricate.record("b", CASE, 1e-5, random.Random(0), "m")
    return replace(made, samples=replace(made.samples, call_s=call, kernel_s=kernel))


@settings(deadline=None)
@given(st.lists(ROUNDS, max_size=6))
def test_samples_are_reduced_as_each_would_be(many: Any) -> None:
    records = [record(rounds) for rounds in many]
    for given_record, (found, timings) in zip(records, reduce.reduced(iter(records)), strict=True):
        rounds, one = given_record.samples.call_s, timings["call"]
        flat = list(itertools.chain.from_iterable(rounds))
        assert found is given_record and set(timings) == {"call"}
        assert [m for m in one.medians if not math.isnan(m)] == stats.round_medians(rounds)
        assert [math.isnan(m) for m in one.medians] == [not r for r in rounds]
        assert (one.samples, one.least, one.most) == (len(flat), min(flat, default=0), max(flat, default=0))


@settings(deadline=None)
@given(ROUNDS, ROUNDS)
def test_an_outcome_is_what_its_raw_samples_are(call: Any, copy: Any) -> None:
    """Also where rounds are empty: ratios are of the rounds that both took part in."""
    records = [record(call), replace(record(copy), role="ceiling")]
    (outcome,) = outcomes.outcomes_of(records).values()
    assert outcome.rounds == outcome.times("call") and outcome.times("kernel") == ()
    assert repr(comparison.median(outcome)) == repr(stats.median(call))
    slower = stats.ratio(call, copy)
    share = comparison.fraction_of_ceiling(outcome)
    assert share == (
        None if math.isnan(slower.value) else stats.inverse(comparison.ceiling_share(outcome), slower)
    )
    where = outcomes.Results({outcome.run: fabricate.ENVIRONMENT}, (outcome,), ())
    row = {name: values[0] for name, values in columns.columns(where).items()}
    assert row["rounds"] == (len(stats.round_medians(call)) or None)
    assert row["fraction_of_ceiling"] == (
        pytest.approx(share.value) if share else pytest.approx(math.nan, nan_ok=True)
    )
    assert row["median_us"] == pytest.approx(stats.median(call).value * 1e6, nan_ok=True)


def autocorrelation(rounds: Any) -> float | None:
    """Lag-1, of the samples within rounds."""
    ((_, timings),) = reduce.reduced([record(tuple(map(tuple, rounds)))])
    return timings["call"].autocorrelation


def by_definition(rounds: Any) -> float | None:
    pairs = above = 0.0
    for samples in rounds:
        mean = sum(samples) / len(samples) if samples else 0.0
        centred = [sample - mean for sample in samples]
        pairs += sum(map(operator.mul, centred[1:], centred))
        above += sum(map(operator.mul, centred, centred))
    return pairs / above if above > 0 else None


@given(st.lists(st.lists(st.integers(1, 1000).map(float), max_size=6).map(tuple), max_size=6).map(tuple))
def test_autocorrelation_is_as_defined(rounds: Any) -> None:
    expected = by_definition(rounds)
    for found in (autocorrelation(rounds), autocorrelation((*rounds, *rounds))):
        if found is None or expected is None:  # equal samples: a sum of squares of nothing but rounding
            assert expected is None or all(len(set(one)) < 2 for one in rounds)
        else:
            assert found == pytest.approx(expected, abs=1e-9)


def test_autocorrelation_has_the_sign_of_the_drift() -> None:
    rng = np.random.default_rng(5)
    alone = rng.normal(0, 1, (20, 200))
    sticky = np.zeros_like(alone)
    for k in range(1, 200):
        sticky[:, k] = 0.9 * sticky[:, k - 1] + alone[:, k]
    swinging = np.cumprod(np.full((20, 200), -1.0), axis=1) + 0.1 * alone
    assert autocorrelation(sticky.tolist()) == pytest.approx(0.9, abs=0.07)
    assert autocorrelation(alone.tolist()) == pytest.approx(0.0, abs=0.05)
    assert autocorrelation(swinging.tolist()) == pytest.approx(-1.0, abs=0.07)


def test_autocorrelation_is_within_rounds() -> None:
    """That rounds differ from each other says nothing of neighbours in a round."""
    rng = np.random.default_rng(5)
    levels = [list(100 * level + rng.normal(0, 1, 100)) for level in range(20)]
    assert autocorrelation(levels) == pytest.approx(0.0, abs=0.07)


def test_autocorrelation_of_nothing_is_nothing() -> None:
    assert autocorrelation([]) is None
    assert autocorrelation([[], [1.0]]) is None
    assert autocorrelation([[2.0, 2.0, 2.0]]) is None


def test_each_clock_has_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reduce, "BATCH_SAMPLES", 3)
    records = [
        record(((1.0, 3.0), (4.0,)), ((2.0,), ())),
        fabricate.failure("b", CASE, "m"),
        record(((5.0,),)),
    ]
    timings = [dict(found) for _, found in reduce.reduced(records)]
    assert [set(one) for one in timings] == [{"call", "kernel"}, set(), {"call"}]
    assert timings[0]["call"].medians == (2.0, 4.0)
    assert timings[0]["kernel"].medians == pytest.approx((2.0, math.nan), nan_ok=True)
    assert timings[2]["call"].medians == (5.0,)


def test_batches_bound_what_is_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reduce, "BATCH_SAMPLES", 10)
    asked = 0

    def records() -> Any:
        nonlocal asked
        for _ in range(100):
            asked += 1
            yield record(((1.0, 2.0, 3.0),))

    next(iter(reduce.reduced(records())))
    assert asked == 4


def test_times_that_can_not_be_raise_no_warning() -> None:
    ((_, taken),) = reduce.reduced([record(((1e300, 1.0, 1e308),))])
    assert taken["call"].most == 1e308


def test_rounds_of_many_lengths_take_no_more_room_than_they_have() -> None:
    """A square of the longest by the number of rounds would be terabytes."""
    rounds = (tuple([1.0] * 300_000), *[(2.0,)] * 300_000)
    ((_, taken),) = reduce.reduced([record(rounds)])
    assert taken["call"].medians[:2] == (1.0, 2.0) and taken["call"].autocorrelation is None
