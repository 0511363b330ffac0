"""Launch of a run or a replay: the environment of its request, and the jobs of its tasks."""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from backends import Description, describe, distributions
from suite.engine import binding
from suite.engine.measure import Settings
from suite.machine import cpu, environment
from suite.records.device import Device
from suite.records.record import Environment, Fact
from suite.run.environments import facts_of
from suite.run.inputs import digests
from suite.run.schedule import digest, least_rounds, tasks_of
from suite.telemetry import observer
from suite.worker.crew import Crew
from suite.worker.messages import Job
from suite.worker.process import SPINS

if TYPE_CHECKING:
    from suite.machine.cuda_device import CudaDevice
    from suite.run.options import Request
    from suite.run.schedule import Parts, Task


PASS_PRECISION = 0.02
"""The interval of a pass, over its rounds: less than what passes scatter by; longer ones tell no more."""


@dataclass(frozen=True, slots=True)
class Launch:
    """A request, its tasks, and the GPU they are on.

    Attributes:
        disturbances: what disturbed the machine as it began, in words.
    """

    request: Request
    tasks: Sequence[Task]
    gpu: CudaDevice | None
    disturbances: tuple[str, ...] = ()

    def cache_bytes(self, device: Device) -> int:
        """What has to be emptied for a lookup on this device to be cold."""
        return self.gpu.l2_bytes if self.gpu and device.is_gpu else cpu.cache_bytes()

    def crew(self) -> Crew:
        """The workers to be, of every environment."""
        return Crew(self.request.timeout_s, self.request.threads, self.request.interpreters)

    def jobs(
        self,
        parts: Parts,
        limit_s: float,
        number: int = 1,
        copies: Mapping[str | None, str] | None = None,
    ) -> dict[str | None, Job]:
        """What the workers are asked to do for a task, with so much time for the rounds of all.

        Args:
            parts: what is left of the task, by environment.
            number: of the pass; the first has a phase for the counters after the rounds.
            copies: the plain copy that an earlier pass found fastest, by environment.
        """
        request, measurement = self.request, uuid.uuid4().hex[:12]
        sustain_s = request.sustain_s if number == 1 else 0.0

        def job(name: str | None, task: Task) -> Job:
            cache_bytes, copy = self.cache_bytes(task.device), (copies or {}).get(name)
            share_s = limit_s / len(parts)
            settings = Settings(
                min(request.precision, PASS_PRECISION),
                share_s,
                request.seed,
                cache_bytes,
                sustain_s,
                copy,
                number,
                least_rounds(request.passes),
            )
            ids_file, tables = request.ids_file, request.tables
            case, device = task.case, task.device
            return Job(case, device, task.backends, measurement, settings, ids_file, tables=tables)

        return {name: job(name, task) for name, task in parts.items()}

    def environment(self, argv: Sequence[str], **more: Fact) -> Environment:
        """Where it is measured and how; asks NVML once.

        Args:
            more: settings beside those of the request.

        Raises:
            BadRequest: an environment that was given can't run the suite's workers.
        """
        request = self.request
        settings = {**self._settings(), **more}
        backends = {backend for task in self.tasks for backend in task.backends}
        packages = [package for backend in backends for package in describe(backend).packages]
        where = environment.collect(
            argv,
            request.seed,
            digest(request, tasks_of(request) if request.shard else self.tasks),
            sorted({str(task.device) for task in self.tasks}),
            settings,
            packages=distributions(packages),
            gpu=observer.gpu_facts(self.gpu) if self.gpu else None,
        )
        known = {b.name: describe(b) for b in sorted(backends, key=lambda b: b.name)}
        return replace(
            where,
            environments=facts_of(request, packages),
            whose={name: described.whose for name, described in known.items()},
            digests=digests(request.cases, backends),
            requires={name: _requires(described) for name, described in known.items()},
        )

    def _settings(self) -> dict[str, Fact]:
        request = self.request
        return {
            "preset": request.preset,
            "scaled": request.scaled,
            "precision": request.precision,
            "time_budget_s": request.time_budget_s,
            "timeout_s": request.timeout_s,
            "threads": request.threads,
            "passes": request.passes,
            "sustain_s": request.sustain_s,
            "threads_bound": binding.wanted(os.environ),
            "gomp_spincount": os.environ.get("GOMP_SPINCOUNT", str(SPINS)),
            "disturbed": "; ".join(self.disturbances) or None,
            **({"shard": str(request.shard)} if request.shard else {}),
        }


def _requires(described: Description) -> str:
    """The distributions of a backend, alternatives joined, without their versions."""
    return " ".join("|".join(distributions([words])) for words in described.packages)
