"""What a machine does for half a second while the doctor watches: others' load, stolen time, clocks."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import psutil

from suite.machine.cpu import frequencies_hz
from suite.machine.cuda_device import CudaDevice
from suite.telemetry.nvidia import missing
from suite.telemetry.nvml.figures import Counters, Difference, Memory, difference
from suite.telemetry.nvml.gpu import Gpu
from suite.telemetry.reading import Reading
from suite.text import cut

SAMPLE_S = 0.5


@dataclass(frozen=True, slots=True)
class Offender:
    """A process of somebody else's and how many processors it kept busy."""

    pid: int
    name: str
    processors: float


@dataclass(frozen=True, slots=True)
class Activity:
    """Of the machine over ``elapsed_s``; None where it was not told.

    Attributes:
        other_processors: processors kept busy by all but this process.
        stolen: the share of all processors' time that the hypervisor gave to other machines, 0 to 1.
        offenders: processes by the time they took, most first; in a container only its own are seen.
        frequencies_hz: clocks of the processors at the end.
    """

    elapsed_s: float
    other_processors: float | None = None
    stolen: float | None = None
    offenders: tuple[Offender, ...] = ()
    frequencies_hz: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class GpuState:
    """One GPU as NVML told it around the half second.

    Attributes:
        missing: the figures of a record that NVML does not tell of it, with the reasons, in a line.
        cuda: the GPU as torch sees it, or why it does not; null where that was not asked.
    """

    identity: dict[str, Reading[Any]]
    memory: Memory
    counters: Counters
    during: Difference
    missing: str | None = None
    cuda: CudaDevice | str | None = None


def watch(
    gpu: Gpu | None = None, wait: Callable[[float], None] = time.sleep
) -> tuple[Activity, GpuState | None]:
    """Watch the machine, and a GPU that is open, for SAMPLE_S."""
    counters = gpu.counters() if gpu is not None else None
    before, start_s = _Moment(), time.monotonic()
    wait(SAMPLE_S)
    after, elapsed_s = _Moment(), time.monotonic() - start_s
    activity = _activity(before, after, elapsed_s)
    if gpu is None or counters is None:
        return activity, None
    now = gpu.counters()
    during = difference(counters, now)
    return activity, GpuState(gpu.identity(), gpu.memory(), now, during, missing(gpu))


class _Moment:
    """Time spent until now, in seconds: by the system, by every process, by this one."""

    def __init__(self) -> None:
        try:
            system = psutil.cpu_times()._asdict()
        except (OSError, psutil.Error):
            system = {}
        idle = system.get("idle", 0.0) + system.get("iowait", 0.0)
        # A guest's time is in its host's user time already.
        self.total_s = sum(system.values()) - system.get("guest", 0.0) - system.get("guest_nice", 0.0)
        self.stolen_s = system.get("steal", 0.0)
        self.busy_s = self.total_s - idle - self.stolen_s
        self.processes = _processes()
        self.own_s = sum(os.times()[:2])


def _processes() -> dict[tuple[int, float], tuple[str, float]]:
    """(pid, when it started) to (name, seconds of processor)."""
    found = {}
    for process in psutil.process_iter(["name", "cpu_times", "create_time"]):
        times = process.info["cpu_times"]
        if times is not None and process.info["create_time"] is not None:
            key = process.pid, process.info["create_time"]
            found[key] = process.info["name"] or "", times.user + times.system
    return found


def _activity(before: _Moment, after: _Moment, elapsed_s: float) -> Activity:
    total_s = after.total_s - before.total_s
    own = (after.own_s - before.own_s) / elapsed_s
    others = [
        Offender(pid, cut(name, 40), (seconds - before.processes[pid, started][1]) / elapsed_s)
        for (pid, started), (name, seconds) in after.processes.items()
        if (pid, started) in before.processes and pid != os.getpid()
    ]
    told = total_s > 0
    return Activity(
        elapsed_s,
        max(0.0, (after.busy_s - before.busy_s) / elapsed_s - own) if told else None,
        min(1.0, max(0.0, after.stolen_s - before.stolen_s) / total_s) if told else None,
        tuple(sorted(others, key=lambda other: -other.processors)),
        frequencies_hz(),
    )
