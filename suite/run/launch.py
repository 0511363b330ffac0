"""Launch of a run or a replay: the environment of its request, and the jobs of its tasks."""

from __future__ import annotations

import os
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from backends import describe
from suite.engine import binding
from suite.engine.measure import Settings
from suite.machine import cpu, environment
from suite.records.device import Device
from suite.records.record import Environment, Fact
from suite.run.schedule import digest
from suite.telemetry import observer
from suite.worker.messages import Job
from suite.worker.process import SPINS

if TYPE_CHECKING:
    from suite.machine.cuda_device import CudaDevice
    from suite.run.options import Request
    from suite.run.schedule import Task


@dataclass(frozen=True, slots=True)
class Launch:
    """A request, its tasks, and the GPU they are on."""

    request: Request
    tasks: Sequence[Task]
    gpu: CudaDevice | None

    def cache_bytes(self, device: Device) -> int:
        """What has to be emptied for a lookup on this device to be cold."""
        return self.gpu.l2_bytes if self.gpu and device.is_gpu else cpu.cache_bytes()

    def job(self, task: Task, limit_s: float, counted: bool = True, copy: str | None = None) -> Job:
        """What a worker is asked to do for a task, with so much time for its rounds.

        Args:
            counted: whether there is a phase for the counters after them.
            copy: the plain copy that an earlier pass found fastest.
        """
        request, cache_bytes = self.request, self.cache_bytes(task.device)
        sustain_s = request.sustain_s if counted else 0.0
        settings = Settings(request.precision, limit_s, request.seed, cache_bytes, sustain_s, copy)
        return Job(task.case, task.device, task.backends, uuid.uuid4().hex[:12], settings, request.ids_file)

    def environment(self, argv: Sequence[str], **more: Fact) -> Environment:
        """Where it is measured and how; asks NVML once.

        Args:
            more: settings beside those of the request.
        """
        request = self.request
        settings: dict[str, Fact] = {
            "precision": request.precision,
            "time_budget_s": request.time_budget_s,
            "timeout_s": request.timeout_s,
            "threads": request.threads,
            "passes": request.passes,
            "sustain_s": request.sustain_s,
            "threads_bound": binding.wanted(os.environ),
            "gomp_spincount": os.environ.get("GOMP_SPINCOUNT", str(SPINS)),
            **more,
        }
        sources = {backend.source for task in self.tasks for backend in task.backends}
        return environment.collect(
            argv,
            request.seed,
            digest(request, self.tasks),
            sorted({str(task.device) for task in self.tasks}),
            settings,
            packages=[package for source in sources for package in describe(source).packages],
            gpu=observer.gpu_facts(self.gpu) if self.gpu else None,
        )
