"""Measures a task when it is first asked for, and replays it to those who show the suite's numbers."""

from __future__ import annotations

import functools
import math
import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING

from backends import describe
from suite import environment, outcomes, stats
from suite.frame import COLUMNS, row
from suite.measure import Settings
from suite.nvml import Gpu
from suite.outcomes import Outcome
from suite.record import Environment, Fact, Record
from suite.schedule import digest
from suite.supervisor import Supervisor
from suite.worker import Job

if TYPE_CHECKING:
    from suite.gpu_probe import CudaDevice
    from suite.options import Request
    from suite.schedule import Task

NAME = "replay"
"""What stands for the run where there is none on disk."""


class Replay:
    """Tasks, each measured once, all its backends in turns with the ceiling, however many ask.

    Args:
        request: what was asked for: precision, seed, threads, timeout.
        tasks: all that may be measured.
        limit_s: time for the rounds of a task.
        gpu: the GPU of the tasks that are on one.
    """

    def __init__(
        self, request: Request, tasks: Sequence[Task], limit_s: float, gpu: CudaDevice | None
    ) -> None:
        self.request, self.tasks, self.limit_s, self.gpu = request, tasks, limit_s, gpu
        memory = int(0.92 * environment.available_bytes())
        self.supervisor = Supervisor(request.timeout_s, memory, request.threads)
        self.known: dict[Task, dict[str, Outcome]] = {}

    @functools.cached_property
    def environment(self) -> Environment:
        """Where it is measured."""
        request = self.request
        settings: dict[str, Fact] = {
            "precision": request.precision,
            "limit_s": self.limit_s,
            "timeout_s": request.timeout_s,
            "threads": request.threads,
        }
        backends = {which for task in self.tasks for which in task.which}
        found = environment.collect(
            (),
            request.seed,
            digest(request, self.tasks),
            sorted({task.device for task in self.tasks}),
            settings,
            packages=[package for which in backends for package in describe(which).packages],
            gpu=_opened(self.gpu),
        )
        if self.gpu:
            found.gpu.update(
                name=self.gpu.name, l2_bytes=self.gpu.l2_bytes, memory_bytes=self.gpu.memory_bytes
            )
        return found

    def outcome(self, task: Task, backend: str) -> Outcome:
        """What became of a backend, by its name in records, in a task."""
        if task not in self.known:
            self.known[task] = outcomes_of(self.supervisor.measure(self._job(task)))
        return self.known[task][backend]

    def close(self) -> None:
        """End the worker."""
        self.supervisor.close()

    def _job(self, task: Task) -> Job:
        cache = self.gpu.l2_bytes if self.gpu and task.device != "cpu" else environment.cache_bytes()
        settings = Settings(
            self.request.precision, self.limit_s, self.request.seed, cache, self.request.sustain_s
        )
        ids_file = self.request.ids_file
        return Job(task.case, task.device, task.which, uuid.uuid4().hex[:12], settings, ids_file)


def outcomes_of(records: Sequence[Record]) -> dict[str, Outcome]:
    """The outcomes of one measurement's records, by backend, each with the ceiling beside it."""
    copy = next((r for r in records if r.role == "ceiling" and r.status == "ok"), None)
    return {r.backend: _outcome(r, copy) for r in records if r.role == "backend"}


def _outcome(record: Record, copy: Record | None) -> Outcome:
    times = outcomes.rounds(record, record.clock)
    # A dead worker's backends were not in the rounds that the copy took part in, or they are no number.
    return Outcome(NAME, record, copy, sum(map(len, times)), stats.autocorrelation(times))


def seconds(outcome: Outcome) -> list[float]:
    """The median of every round by the outcome's own clock, in order; their median is the suite's median."""
    rounds = outcomes.rounds(outcome.record, outcome.record.clock)
    return [float(value) for value in stats.round_medians(rounds)]


def figures(outcome: Outcome, where: Environment) -> dict[str, object]:
    """All that the suite's tables say of an outcome, units in the names; null where there is no number."""
    values = dict(zip(COLUMNS, row(outcome, where), strict=True))
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in values.items()
        if name not in ("run", "reason")
    }


def _opened(gpu: CudaDevice | None) -> Gpu | None:
    return Gpu.open(gpu.uuid) if gpu else None
