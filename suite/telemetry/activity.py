"""Activity of a machine over half a second: load of other processes, stolen time, clocks."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass

import psutil

from suite.machine.cpu import frequencies_hz
from suite.machine.procfs import ROOT, integer
from suite.text import cut

SAMPLE_S = 0.5
STOLEN_SHARE = 0.005
"""From this share of stolen time on, others' machines are seen in the results."""
LOADED = 0.5
"""Processors that others keep busy, of each there is, from which on a run is said to be disturbed."""


@dataclass(frozen=True, slots=True)
class Offender:
    """Another process and how many processors it kept busy."""

    pid: int
    name: str
    processors: float


@dataclass(frozen=True, slots=True)
class Activity:
    """What happened over ``elapsed_s``; None where it is unknown.

    Attributes:
        other_processors: processors kept busy by all but this process.
        stolen: share of all processors' time that the hypervisor gave to other machines, 0 to 1.
        offenders: other processes by processor time, most first; a container shows its own only.
        frequencies_hz: clocks of the processors at the end.
        throttled: how often heat held a processor's clock down meanwhile.
    """

    elapsed_s: float
    other_processors: float | None = None
    stolen: float | None = None
    offenders: tuple[Offender, ...] = ()
    frequencies_hz: tuple[int, ...] = ()
    throttled: int | None = None


def watch(wait: Callable[[float], None] = time.sleep, for_s: float = SAMPLE_S) -> Activity:
    """Watch the machine for so long."""
    before, start_s = _Moment(), time.monotonic()
    wait(for_s)
    return _activity(before, _Moment(), time.monotonic() - start_s)


class _Moment:
    """Processor time used until now, in seconds: by the system, by every process, by this one."""

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
        self.throttled = _throttled()


def _throttled() -> int | None:
    """How often heat has held a processor's clock down since the machine was started."""
    files = ROOT.glob("sys/devices/system/cpu/cpu[0-9]*/thermal_throttle/core_throttle_count")
    counts = [integer(ROOT, str(file.relative_to(ROOT))) for file in files]
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def _processes() -> dict[tuple[int, float], tuple[str, float]]:
    """(pid, start time) to (name, seconds of processor time)."""
    processes = {}
    with contextlib.suppress(IndexError):  # psutil's, where there is no /proc
        for process in psutil.process_iter(["name", "cpu_times", "create_time"]):
            times = process.info["cpu_times"]
            if times is not None and process.info["create_time"] is not None:
                key = process.pid, process.info["create_time"]
                processes[key] = process.info["name"] or "", times.user + times.system
    return processes


def _activity(before: _Moment, after: _Moment, elapsed_s: float) -> Activity:
    total_s = after.total_s - before.total_s
    own = (after.own_s - before.own_s) / elapsed_s
    others = [
        Offender(pid, cut(name, 40), (seconds - before.processes[pid, started][1]) / elapsed_s)
        for (pid, started), (name, seconds) in after.processes.items()
        if (pid, started) in before.processes and pid != os.getpid()
    ]
    known = total_s > 0
    return Activity(
        elapsed_s,
        max(0.0, (after.busy_s - before.busy_s) / elapsed_s - own) if known else None,
        min(1.0, max(0.0, after.stolen_s - before.stolen_s) / total_s) if known else None,
        tuple(sorted(others, key=lambda other: -other.processors)),
        frequencies_hz(),
        None if before.throttled is None or after.throttled is None else after.throttled - before.throttled,
    )


def disturbances(activity: Activity, processors: float) -> list[str]:
    """What of it a measurement will show, in words; nothing of a quiet machine."""
    found = []
    busy = activity.other_processors
    if busy is not None and busy > LOADED * processors:
        top = next(
            (f", most by {o.name} (pid {o.pid})" for o in activity.offenders if o.processors > 0.05), ""
        )
        found.append(f"others keep {busy:.1f} of {processors:g} processors busy{top}")
    if activity.stolen is not None and activity.stolen > STOLEN_SHARE:
        found.append(f"the hypervisor took {activity.stolen:.1%} of the processors' time")
    if activity.throttled:
        found.append("heat holds the processors' clocks down")
    return found
