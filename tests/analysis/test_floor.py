"""The noise floor that a run knows from its own passes."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

from suite import stats
from suite.analysis import floor, outcomes
from suite.cases.case import Case
from suite.records.record import Record
from suite.records.store import Run
from tests.support import fabricate, metered

FAST, SLOW = [False] * 12, [True] * 12


def of_run(path: Path, scatter: float, cases: int = 24, count: int = 4, slow: Any = None) -> float | None:
    """The floor of a run in whose passes one of two backends scatters by this standard deviation."""
    draw = random.Random(1)
    run = Run.create(path, fabricate.ENVIRONMENT)
    for k in range(cases):
        factors = [draw.lognormvariate(0, scatter) for _ in range(count)]
        made = metered.measurement(Case(1000 + k, 64), {"x": 1.0, "y": 1.0}, [1.0] * count, slow, seed=k)
        run.append(
            [_slowed(one, factors[one.pass_number - 1]) if one.backend == "y" else one for one in made]
        )
    return floor.of_run(outcomes.read([run.path]))


def _slowed(one: Record, factor: float) -> Record:
    assert one.samples is not None
    call_s = tuple(tuple(s * factor for s in of) for of in one.samples.call_s)
    return replace(one, samples=replace(one.samples, call_s=call_s))


def test_a_run_of_several_passes_knows_its_floor(tmp_path: Path) -> None:
    assert of_run(tmp_path / "r", 0.001) == stats.LEAST_FLOOR
    wild = of_run(tmp_path / "s", 0.3)
    assert wild is not None and wild >= stats.LEAST_FLOOR


def test_a_run_of_one_pass_or_of_few_results_does_not(tmp_path: Path) -> None:
    assert of_run(tmp_path / "r", 0.001, count=1) is None
    assert of_run(tmp_path / "s", 0.001, cases=floor.FEWEST - 1) is None


def test_what_slows_all_backends_alike_is_no_floor(tmp_path: Path) -> None:
    """Ratios are within rounds."""
    run = Run.create(tmp_path / "r", fabricate.ENVIRONMENT)
    for k in range(24):
        run.append(
            metered.measurement(Case(1000 + k, 64), {"x": 1.0, "y": 2.0}, (1.0, 1.4, 0.8, 1.2), seed=k)
        )
    assert floor.of_run(outcomes.read([run.path])) == stats.LEAST_FLOOR


def test_what_was_not_at_full_speed_says_nothing_of_it(tmp_path: Path) -> None:
    slow = [FAST, SLOW, SLOW, SLOW]
    assert of_run(tmp_path / "r", 0.001, slow=slow) is None
    assert of_run(tmp_path / "s", 0.001, slow=[FAST, SLOW, FAST, FAST]) == stats.LEAST_FLOOR
