"""Measure each task when it is first asked for: the engine behind pytest --benchmark-only."""

from __future__ import annotations

import contextlib
import functools
import math
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from suite.analysis.columns import columns
from suite.analysis.outcome import Outcome
from suite.analysis.outcomes import Results, outcomes_of
from suite.command import say_wait
from suite.machine.lock import Lock, held
from suite.records.record import Environment
from suite.run.launch import Launch

if TYPE_CHECKING:
    from suite.machine.cuda_device import CudaDevice
    from suite.run.options import Request
    from suite.run.schedule import Task


class Replay:
    """Tasks, each measured once for all its backends, in turns with the ceiling.

    In one pass: what a process gets once is in all of its rounds. Where that matters, ``suite.run`` it is.
    Who asks again for the same backend, as plugins do that repeat tests, gets another measurement, in new
    processes.

    Args:
        request: what was asked for: precision, seed, threads, timeout.
        tasks: all that may be measured.
        limit_s: time for the rounds of a task.
        gpu: the GPU of the tasks that are on one.
        waits: told who has the host, or that GPU, before it is waited for; None: a line says it.
        environ: says where the host's lock is, as ``machine.lock`` does.
    """

    def __init__(
        self,
        request: Request,
        tasks: Sequence[Task],
        limit_s: float,
        gpu: CudaDevice | None,
        waits: Callable[[str], None] | None = None,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self.launch, self.tasks, self.limit_s = Launch(request, tasks, gpu), tasks, limit_s
        self.crew, self.alone = self.launch.crew(), contextlib.ExitStack()
        self.lock: Lock | None = None
        self.waits, self.environ = waits or functools.partial(say_wait, "pytest"), environ
        self.known: dict[Task, list[dict[tuple[str, str | None], Outcome]]] = defaultdict(list)
        self.asked: Counter[tuple[Task, str, str | None]] = Counter()

    @functools.cached_property
    def environment(self) -> Environment:
        """Where it is measured."""
        return self.launch.environment((), limit_s=self.limit_s)

    def outcome(self, task: Task, backend: str, environment: str | None = None) -> Outcome:
        """What became of a backend, by its name in records, in a task; each time in another measurement.

        Args:
            environment: where several take turns, the name of one.
        """
        known, times = self.known[task], self.asked[task, backend, environment]
        if times == len(known):
            if times:
                self.crew.close()
            self._wait()
            parts = dict.fromkeys(self.launch.request.interpreters, task)
            records = self.crew.measure(self.launch.jobs(parts, self.limit_s * len(parts)))
            known.append({(o.backend, o.environment): o for o in outcomes_of(records).values()})
        self.asked[task, backend, environment] += 1
        return known[times][backend, environment]

    def _wait(self) -> None:
        """Have the host, or the GPU, to itself from here on."""
        if self.lock is None:
            gpu = self.launch.gpu.uuid if self.launch.gpu else None
            self.lock = self.alone.enter_context(held(gpu, self.waits, self.environ))

    def close(self) -> None:
        """End the workers, and let others measure."""
        self.crew.close()
        self.alone.close()
        self.lock = None


def seconds(outcome: Outcome) -> list[float]:
    """The median of every round that counts, by its own clock, in order; their median is the result."""
    medians = (outcome.rounds[place] for place in outcome.counted)
    return [median for median in medians if not math.isnan(median)]


def figures(outcome: Outcome, where: Environment) -> dict[str, object]:
    """All that the suite's tables say of an outcome, units in the names; null where there is no number."""
    values = columns(Results({outcome.run: where}, (outcome,), ()))
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, (value,) in values.items()
        if name not in ("run", "reason")
    }
