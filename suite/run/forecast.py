"""Forecast of a run: what its cases are expected to take, how long it is, what there is no time for."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from backends import Choice, describe, missing_packages
from suite.cases.case import Case, plan
from suite.cases.dtypes import width_of
from suite.cases.presets import PRESETS
from suite.cases.shard import COLD_CALLS, cold_s, split, weight_s
from suite.run.options import Request
from suite.run.schedule import LIMITS_S, MOST_S, Task, least_rounds, tasks_of
from suite.units import count
from suite.worker.budget import Budget, Cost

REFERENCE_WEIGHT = 1 / 8
"""The share of a case that the CPU's reference has beside a GPU, in that of the GPU's."""
MOST_NAMED = 3
COUNTERS_SHARE, LEAST_SUSTAIN_S = 0.2, 0.3
"""Of a time budget so much is for the counters; in a shorter phase energy is not read."""


@dataclass(frozen=True, slots=True)
class Pace:
    """What a device is expected to take, until a run's own tasks say better.

    Attributes:
        start_s: to begin a pass: a process, its libraries, the device.
        contender_s: to prepare, check and warm up one contender, compilers included.
        build_per_s: bytes of a table. move_per_s: of payload, by one of the slower backends.
        turn_s: the shortest turn.
    """

    start_s: float
    contender_s: float
    build_per_s: float
    move_per_s: float
    turn_s: float


CPU = Pace(start_s=2.0, contender_s=0.06, build_per_s=1e9, move_per_s=8e9, turn_s=0.005)
GPU = Pace(start_s=10.0, contender_s=0.3, build_per_s=20e9, move_per_s=400e9, turn_s=0.03)
FILE = replace(CPU, build_per_s=0.5e9)
"""The CPU's as the published runs took it; the GPU's are a guess, on the safe side. A table in a file is
written to a disk, or read from it."""
CALLS = 8
"""Lookups of a contender beside its turns: checks make the right rows anew, which costs as much as some."""
UNTOUCHED_PER_S = 0.2e9
"""Bytes of rows that no call touches and that checks go over all the same: of a table that is updated, or of
a dense gradient."""
CALLS_OF_A_TURN = 4
"""No turn is shorter than so many lookups."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """How long a run takes.

    Attributes:
        passes: how many there is time for.
        start_s, beside_s, counters_s, rounds_s: of all passes. The rounds end earlier where all is known.
        left_out: tasks that there is no time for.
    """

    tasks: int
    passes: int
    start_s: float
    beside_s: float
    counters_s: float
    rounds_s: float
    left_out: tuple[Task, ...]

    @property
    def whole_s(self) -> float:
        """All of it."""
        return self.start_s + self.beside_s + self.counters_s + self.rounds_s

    def lines(self) -> Iterator[str]:
        """How long it takes and by what, and what is left out, in words."""
        parts = {
            "rounds": self.rounds_s,
            "preparing and checking": self.beside_s,
            "the counters' phase": self.counters_s,
            "starting": self.start_s,
        }
        passes = "1 pass" if self.passes == 1 else f"{self.passes} passes"
        words = ", ".join(f"{_minutes(s)} {what}" for what, s in parts.items() if s >= 0.5)
        yield f"about {_minutes(self.whole_s)} in {passes}: {words}"
        if self.left_out:
            first = [str(task) for task in self.left_out[:MOST_NAMED]]
            more = len(self.left_out) - len(first)
            named = "; ".join([*first, *([f"{more} more"] if more else [])])
            yield f"no time for {len(self.left_out)} of {self.tasks} cases, which are left out: {named}"


def budget_of(request: Request, tasks: Sequence[Task]) -> Budget:
    """The time of a run, shared out by what its tasks are expected to cost."""
    preset = request.preset
    as_it_is = request.cases == plan(PRESETS[preset])
    most_s = MOST_S.get(preset, math.inf) if as_it_is and request.gpu is None else math.inf
    if request.shard and math.isfinite(most_s):  # its part of it
        start_s = CPU.start_s * request.passes
        most_s = start_s + (most_s - start_s) * weight_s(tasks) / weight_s(tasks_of(request))
    costs = costs_of(request, tasks)
    return Budget(request.time_budget_s, costs, LIMITS_S[preset], most_s, passes=request.passes)


def costs_of(request: Request, tasks: Sequence[Task]) -> list[Cost]:
    """What each task is expected to cost, the first of a table what that costs too.

    Not what begins a pass: without that nothing is measured, and what it takes the first pass shows.
    """
    costs, before, there = [], None, _installed(tasks)
    for task in tasks:
        pace, contenders = pace_of(task), sum(b in there for b in task.backends) + 1
        payload_s, missing_s = task.case.payload_bytes / pace.move_per_s, cold_s(task.case)
        each_s = pace.contender_s + CALLS * payload_s + _untouched_bytes(task.case) / UNTOUCHED_PER_S
        beside_s = contenders * each_s + COLD_CALLS * missing_s
        if before is None or (before.case.table, before.device) != (task.case.table, task.device):
            beside_s += _to_build(task) / pace.build_per_s
        turn_s = max(pace.turn_s, CALLS_OF_A_TURN * payload_s, missing_s)
        least_s = least_rounds(request.passes) * contenders * turn_s
        reference = request.gpu is not None and not task.device.is_gpu
        # Whether a host has counters of energy is found out as the run goes.
        once_s = request.sustain_s * contenders if task.device.is_gpu else 0.0
        sides = len(request.interpreters)
        weight = REFERENCE_WEIGHT if reference else 1.0
        costs.append(Cost(sides * beside_s, sides * once_s, sides * least_s, weight))
        before = task
    return costs


def within_budget(request: Request, tasks: Sequence[Task]) -> Request:
    """The same, the counters' phase no longer than leaves most of a time budget to what is timed.

    None at all where it would be too short for the counters. What was asked for by name stays.
    """
    there = _installed(tasks)
    phases = sum(sum(b in there for b in task.backends) + 1 for task in tasks if task.device.is_gpu)
    if request.sustain_given or not request.time_budget_s or not phases:
        return request
    share_s = COUNTERS_SHARE * request.time_budget_s / (phases * len(request.interpreters))
    return replace(request, sustain_s=min(request.sustain_s, share_s) if share_s >= LEAST_SUSTAIN_S else 0.0)


def pace_of(task: Task) -> Pace:
    """How fast its device is expected to be, and what its table lies in."""
    if task.device.is_gpu:
        return GPU
    return FILE if task.case.placement == "file" else CPU


def forecast(request: Request, tasks: Sequence[Task]) -> Forecast:
    """How long a run of these tasks takes, and what it has no time for; looks at no device."""
    began = 0.0
    budget = budget_of(request, tasks)
    budget.end += began - budget.now()
    budget.now = lambda: began
    kept = budget.affordable(range(len(tasks)))
    start_s = pace_of(tasks[0]).start_s if tasks else 0.0
    costs = [budget.costs[place] for place in kept]
    once_s, beside_s, least_s = (
        sum(getattr(cost, name) for cost in costs) for name in ("once_s", "beside_s", "least_s")
    )
    limits_s = sum(max(cost.least_s, budget.limit_s * cost.weight) for cost in costs)
    passes, rounds_s = request.passes, limits_s * request.passes
    if budget.ends:
        left_s = budget.end - once_s
        passes = int(max(1, min(passes, left_s / (start_s + beside_s + least_s))))
        most_s = max(least_s * passes, left_s - (start_s + beside_s) * passes)
        rounds_s = most_s if request.time_budget_s else min(most_s, limits_s * passes)
    left_out = tuple(task for place, task in enumerate(tasks) if place not in kept)
    return Forecast(len(tasks), passes, start_s * passes, beside_s * passes, once_s, rounds_s, left_out)


def shards_in_words(request: Request) -> str:
    """What part of the whole plan its shard is, and the shortest and the longest forecast of the shards."""
    whole = tasks_of(request)
    assert request.shard is not None
    times = sorted(forecast(request, part).whole_s for part in split(whole, request.shard.of))
    own = len(request.shard.part(whole))
    span = " to ".join(dict.fromkeys(map(_minutes, (times[0], times[-1]))))
    return f"shard {request.shard}: {own} of {count(len(whole), 'case')}; the shards take about {span}"


def _installed(tasks: Iterable[Task]) -> set[Choice]:
    """The backends whose libraries are installed here."""
    asked = {backend for task in tasks for backend in task.backends}
    return {backend for backend in asked if not missing_packages(describe(backend).packages)}


def _to_build(task: Task) -> int:
    """Bytes of its table; none where there is no table, or one larger than the host's memory, so refused."""
    if not task.case.kind.has_table:
        return 0
    memory_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return 0 if not task.device.is_gpu and task.case.table_bytes > memory_bytes else task.case.table_bytes


def _untouched_bytes(case: Case) -> int:
    rows, columns = case.kind.result(case)
    return max(0, rows - case.ids) * columns * width_of(case.dtype)


def _minutes(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes} min {seconds:02d} s" if minutes else f"{seconds} s"
