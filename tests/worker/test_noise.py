"""The noise floor between processes: which rounds and passes it is of."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from suite import stats
from suite.cases.case import Case
from suite.records.device import CPU
from suite.records.record import Record
from suite.worker import noise
from suite.worker.messages import Job
from tests.support import fabricate, metered

CASES = [Case(1000 + k, 64) for k in range(8)]
FAST, SLOW = [False] * 12, [True] * 12


def passes(
    scatter: float, count: int = 6, cases: Sequence[Case] = CASES, slow: Any = None, seed: int = 0
) -> list[list[Record]]:
    """The records of passes in which each case takes otherwise by this standard deviation."""
    draw, made = random.Random(seed), list[list[Record]]()
    for number in range(count):
        of: list[Record] = []
        for place, case in enumerate(cases):
            speed = {"x": draw.lognormvariate(0, scatter)}
            records = fabricate.measurement(case, place, speed, shape={"noise": 0.001})
            of += metered.metered(records, slow[number]) if slow else records
        made.append(of)
    return made


def test_the_floor_is_what_the_intervals_over_passes_missed() -> None:
    """Of eight cases whose intervals miss 1 in 20 times, the worst is beyond it in a third of the tries."""
    steady = [noise.floor_of(passes(0.0005, seed=k)) for k in range(20)]
    assert set(steady) == {stats.LEAST_FLOOR}
    wild = [noise.floor_of(passes(0.2, seed=k)) or 0.0 for k in range(20)]
    missed = [floor for floor in wild if floor > stats.LEAST_FLOOR]
    assert 3 <= len(missed) <= 12
    assert max(missed) < 0.3


def test_slow_rounds_do_not_count() -> None:
    half = [False, True] * 6
    fast, mixed = (passes(0.002, slow=[of] * 6) for of in (FAST, half))
    assert noise.floor_of(mixed) == noise.floor_of(fast) == stats.LEAST_FLOOR
    one_slow = passes(0.002, slow=[SLOW, FAST, FAST, FAST, FAST, FAST])
    assert noise.floor_of(one_slow) == stats.LEAST_FLOOR, "nor does a pass without enough others"


def test_without_a_meter_all_rounds_count() -> None:
    assert noise.floor_of(passes(0.002)) == stats.LEAST_FLOOR


@pytest.mark.parametrize(
    "few",
    [
        passes(0.002, cases=CASES[: noise.FEWEST - 1]),
        passes(0.002, slow=[SLOW, SLOW, SLOW, SLOW, SLOW, [False] * 2 + [True] * 10]),
        passes(0.002, count=1),
        [],
        [[fabricate.failure("x", case, "m") for case in CASES]] * 6,
    ],
    ids=["cases", "rounds at full speed", "passes", "nothing", "failures"],
)
def test_of_too_few_there_is_no_floor(few: list[list[Record]]) -> None:
    assert noise.floor_of(few) is None


class Engine:
    """Answers as a supervisor does; keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.said: list[str] = []
        self.cache_bytes: set[int] = set()

    def close(self) -> None:
        self.said.append("close")

    def measure(self, job: Job) -> list[Record]:
        self.said.append(str(job.case))
        self.cache_bytes.add(job.settings.cache_bytes)
        self.asked.append(job.backends[0].source)
        return fabricate.measurement(job.case, len(self.said), {job.backends[0].name: 1.0})


def test_each_pass_is_over_all_cases_in_a_new_process() -> None:
    engine: Any = Engine()
    floor = noise.measured_floor(CPU, engine, 2**25 + 8)
    assert engine.cache_bytes == {2**25 + 8}
    assert floor == stats.LEAST_FLOOR
    assert engine.said == ["close", *map(str, noise.CASES)] * noise.PASSES
    assert set(engine.asked) == {"numpy_take"}


def test_where_time_is_short_passes_are_fewer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(noise, "MOST_S", 0.0)
    engine: Any = Engine()
    assert len(noise.passes(CPU, engine, 2**25)) == noise.FEWEST_PASSES


def test_the_time_of_a_gpus_record_is_by_its_kernel_clock() -> None:
    case, draw = fabricate.CASE, random.Random(0)
    made = fabricate.record("b", case, 1e-5, draw, "m", clock="kernel", shape={"noise": 0.0})
    assert noise._time(made, {}) == pytest.approx(1e-5)
    assert made.samples is not None
    slower = replace(made.samples, call_s=tuple(tuple(9 * s for s in of) for of in made.samples.call_s))
    assert noise._time(replace(made, samples=slower), {}) == pytest.approx(1e-5)
