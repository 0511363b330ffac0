"""What a run and a replay begin with: the environment of what is asked, and the jobs of its tasks."""

from __future__ import annotations

import os
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from backends import describe
from suite import binding, environment, telemetry
from suite.child import SPINS
from suite.measure import Settings
from suite.nvml import Gpu
from suite.record import Environment, Fact
from suite.schedule import digest
from suite.worker import Job

if TYPE_CHECKING:
    from suite.gpu_probe import CudaDevice
    from suite.options import Request
    from suite.schedule import Task


@dataclass(frozen=True, slots=True)
class Launch:
    """A request, its tasks, and the GPU they are on."""

    request: Request
    tasks: Sequence[Task]
    gpu: CudaDevice | None

    def cache_bytes(self, device: str) -> int:
        """What has to be emptied for a lookup on this device to be cold."""
        return self.gpu.l2_bytes if self.gpu and device != "cpu" else environment.cache_bytes()

    def job(self, task: Task, limit_s: float, counted: bool = True) -> Job:
        """What a worker is asked to do for a task, with so much time for its rounds.

        Args:
            counted: whether there is a phase for the counters after them.
        """
        asked, cache_bytes = self.request, self.cache_bytes(task.device)
        sustain_s = asked.sustain_s if counted else 0.0
        settings = Settings(asked.precision, limit_s, asked.seed, cache_bytes, sustain_s)
        return Job(task.case, task.device, task.which, uuid.uuid4().hex[:12], settings, asked.ids_file)

    def environment(self, argv: Sequence[str], **more: Fact) -> Environment:
        """Where it is measured and how; asks NVML once.

        Args:
            more: settings beside those of the request.
        """
        asked = self.request
        settings: dict[str, Fact] = {
            "precision": asked.precision,
            "time_budget_s": asked.time_budget_s,
            "timeout_s": asked.timeout_s,
            "threads": asked.threads,
            "processes": asked.processes,
            "sustain_s": asked.sustain_s,
            "threads_bound": binding.wanted(os.environ),
            "gomp_spincount": os.environ.get("GOMP_SPINCOUNT", str(SPINS)),
            **more,
        }
        seen = Gpu.open(self.gpu.uuid) if self.gpu else None
        backends = {which for task in self.tasks for which in task.which}
        found = environment.collect(
            argv,
            asked.seed,
            digest(asked, self.tasks),
            sorted({task.device for task in self.tasks}),
            settings,
            packages=[package for which in backends for package in describe(which).packages],
            gpu=seen,
        )
        if self.gpu and seen:
            found.gpu.update(
                name=self.gpu.name, l2_bytes=self.gpu.l2_bytes, memory_bytes=self.gpu.memory_bytes
            )
            found.gpu.pop("name_missing", None)
            found.gpu["nvml_missing"] = telemetry.missing(seen)
            seen.close()
        return found
