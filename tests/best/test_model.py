"""Predictions from measured cases: exact where the rule is simple, refused outside."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from suite.best import model
from suite.best.model import Interpolation, obstacle
from suite.cases.case import Case
from tests.best.conftest import GRID

CACHE_BYTES = 2**25
ASKED = Case(1_000_000, 64, "float32", 500)


def power(case: Case) -> float:
    """A time that is a plane on the log scale."""
    return 1e-9 * case.batch**0.9 * case.row_bytes**0.7


def test_a_plane_is_met_exactly_and_then_its_interval_is_nothing() -> None:
    found = Interpolation(ASKED, GRID, CACHE_BYTES).of([power(case) for case in GRID])
    assert found.value == pytest.approx(power(ASKED), rel=1e-9)
    assert found.high / found.low == pytest.approx(1, abs=1e-6)


def test_what_is_left_out_is_predicted_as_the_closed_form_says() -> None:
    """The errors behind an interval are those of fits that never saw the case."""
    rng = np.random.default_rng(0)
    seconds = [power(case) * rng.lognormal(0, 0.3) for case in GRID]
    whole = Interpolation(ASKED, GRID, CACHE_BYTES)
    logs, n = np.log(seconds)[whole.places], len(GRID)
    closed = (whole.inverse[:n, :n] @ logs) / np.diag(whole.inverse)[:n]
    for k, case in enumerate(whole.cases):
        others = [c for c in GRID if c != case]
        alone = Interpolation(case, others, CACHE_BYTES).of([seconds[GRID.index(c)] for c in others])
        assert math.log(seconds[GRID.index(case)] / alone.value) == pytest.approx(closed[k], abs=1e-9)


def test_an_interval_grows_with_the_errors_and_with_the_distance() -> None:
    rng = np.random.default_rng(1)
    noise = rng.normal(0, 1, len(GRID))

    def width(asked: Case, scale: float) -> float:
        seconds = [power(c) * math.exp(scale * e) for c, e in zip(GRID, noise, strict=True)]
        found = Interpolation(asked, GRID, CACHE_BYTES).of(seconds)
        return found.high / found.low

    near = replace(GRID[5], batch=GRID[5].batch + 1)
    assert width(ASKED, 0.2) == pytest.approx(width(ASKED, 0.1) ** 2)
    assert width(near, 0.1) < width(ASKED, 0.1)


def test_cases_of_one_row_size_give_no_slope_for_it_and_no_error() -> None:
    line = [Case(1_000_000, 64, "float32", 2**k) for k in range(3, 15)]
    asked = replace(line[0], batch=600)
    found = Interpolation(asked, line, CACHE_BYTES).of([power(case) for case in line])
    assert found.value == pytest.approx(power(asked), rel=1e-6)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"batch": 8193}, "a batch of 8,193 ids is above the largest measured with ids uniform, cold, 8,192"),
        ({"batch": 15}, "a batch of 15 ids is below the least"),
        ({"dim": 1025}, "a row of 4,100 bytes is above the largest measured with ids uniform, cold, 4,096"),
        ({"dim": 15, "vocab": 8_000_000}, "a row of 60 bytes is below the least"),
        ({"vocab": 4_200_000}, "a table of 1,075,200,000 bytes is above"),
        ({"vocab": 900_000}, "a table of 230,400,000 bytes is below"),
        ({"vocab": 1000}, "no table that fits the cache was measured with ids uniform, cold"),
        ({"dtype": "int8"}, "dtype int8 was not measured, only float32"),
        ({"cache": "hot"}, "cache hot was not measured, only cold"),
        ({"distribution": "text"}, "distribution text was not measured, only uniform"),
        ({"index_dtype": "int32"}, "index dtype int32 was not measured, only int64"),
        ({"offset": 4}, "offset 4 was not measured, only 0"),
    ],
)
def test_outside_of_what_was_measured_the_bound_is_named(changes: dict[str, object], words: str) -> None:
    inside = Case(2_000_000, 64, "float32", 500)
    assert obstacle(inside, GRID, CACHE_BYTES) is None
    assert words in (obstacle(replace(inside, **changes), GRID, CACHE_BYTES) or "")  # type: ignore[arg-type]


def test_a_corner_that_no_case_is_near_is_outside_though_each_size_was_measured() -> None:
    triangle = [
        Case(2_000_000, 16, "float32", 512),
        *(Case(128_000, 1024, "float32", batch) for batch in (1, 8192)),
    ]
    asked = Case(500_000, 128, "float32", 1)
    said = obstacle(asked, triangle, CACHE_BYTES)
    assert said and "at rows of 512 bytes a batch of 1 id is outside" in said
    assert said.endswith("between the measured cases lie 23 to 2,048")
    assert obstacle(replace(asked, batch=23), triangle, CACHE_BYTES) is None


def test_only_the_nearest_cases_take_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model, "MOST", 10)
    found = Interpolation(ASKED, GRID, CACHE_BYTES)
    assert len(found.cases) == 10 and set(found.cases) < set(GRID)
