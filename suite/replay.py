"""Measures a task when it is first asked for, and replays it to those who show the suite's numbers."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from suite import bulk, outcomes, stats
from suite.frame import columns
from suite.launch import Launch
from suite.outcomes import Outcome, Results
from suite.record import Environment, Record
from suite.supervisor import Supervisor

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
        self.launch, self.tasks, self.limit_s = Launch(request, tasks, gpu), tasks, limit_s
        self.supervisor = Supervisor.of_this_machine(request.timeout_s, request.threads)
        self.known: dict[Task, dict[str, Outcome]] = {}

    @functools.cached_property
    def environment(self) -> Environment:
        """Where it is measured."""
        return self.launch.environment((), limit_s=self.limit_s)

    def outcome(self, task: Task, backend: str) -> Outcome:
        """What became of a backend, by its name in records, in a task."""
        if task not in self.known:
            self.known[task] = outcomes_of(self.supervisor.measure(self.launch.job(task, self.limit_s)))
        return self.known[task][backend]

    def close(self) -> None:
        """End the worker."""
        self.supervisor.close()


def outcomes_of(records: Sequence[Record]) -> dict[str, Outcome]:
    """The outcomes of one measurement's records, by backend, each with the ceiling beside it."""
    found = [(bulk.reduced(record, taken), taken) for record, taken in bulk.condensed(records)]
    copy = next((r for r, _ in found if r.role == "ceiling" and r.status == "ok"), None)
    return {r.backend: _outcome(r, taken, copy) for r, taken in found if r.role == "backend"}


def _outcome(record: Record, taken: bulk.Taken, copy: Record | None) -> Outcome:
    # A dead worker's backends were not in the rounds that the copy took part in, or they are no number.
    head = taken.get(record.clock or "")
    return Outcome(NAME, record, copy, head.samples if head else 0, head and head.autocorrelation)


def seconds(outcome: Outcome) -> list[float]:
    """The median of every round by the outcome's own clock, in order; their median is the suite's median."""
    rounds = outcomes.rounds(outcome.record, outcome.record.clock)
    return [float(value) for value in stats.round_medians(rounds)]


def figures(outcome: Outcome, where: Environment) -> dict[str, object]:
    """All that the suite's tables say of an outcome, units in the names; null where there is no number."""
    found = columns(Results({outcome.run: where}, (outcome,), ()))
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, (value,) in found.items()
        if name not in ("run", "reason")
    }
