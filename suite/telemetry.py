"""What the counters saw of one lookup: memory, and over a sustained phase energy and bandwidth."""

from __future__ import annotations

import dataclasses
import re
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from backends import Lookup
from suite.nvml import Gpu, Reading, difference
from suite.nvml_call import both
from suite.record import Fact

BURST_S = 0.01
OFF = "turned off"
GIVEN_BACK = "memory in use grew by less than the table: others gave some back meanwhile"
_PER_ENERGY = ("joules_per_lookup", "joules_per_gb", "mean_power_w")
_GAUGES = ("temperature_c", "memory_temperature_c", "sm_clock_hz", "memory_clock_hz")
_OF_A_PHASE = (
    *("energy_j", *_PER_ENERGY, "dram_bytes_per_s", "dram_bytes_per_lookup"),
    *(f"{gauge}_{when}" for gauge in _GAUGES for when in ("before", "after")),
)
_ROOT = Path("/")
_MAPPING = re.compile("([0-9a-f]+)-([0-9a-f]+) ")
_PACKAGE = re.compile(r"intel-rapl:[0-9]+")


class Observer(Protocol):
    """Reads counters between timed phases, never during one."""

    def held_bytes(self) -> Reading[int]:
        """Memory in use now: resident (CPU), or on the device by everybody (GPU)."""

    def taken_bytes(self, span: tuple[int, int], before: Reading[int]) -> Reading[int]:
        """Memory that a new array takes: of its first to last address, or more than was in use before it."""

    def peak_bytes(self, call: Callable[[], object]) -> Reading[int]:
        """The most memory in use at any time of a call, as far as this device tells."""

    def watch(self) -> Callable[[], dict[str, Fact]]:
        """Begin to watch the device; what is returned ends it, and says what held the clocks down."""

    def sustained(
        self, payload_bytes: int, lookups: Sequence[Lookup], wait: Callable[[], None], seconds: float
    ) -> dict[str, Fact]:
        """Figures over ``seconds`` of nothing but these lookups; beside a null, ``<name>_missing``.

        Each is declared to move ``payload_bytes``; of the copy they are known, which tries the counters.
        The lookups take turns as in a cold case, but no cache is swept between them.
        """


class HostObserver:
    """The kernel's account of this process, and the package's energy where it may be read.

    Args:
        root: the directory that holds proc and sys.
    """

    def __init__(self, root: Path = _ROOT) -> None:
        self.root = root

    def held_bytes(self) -> Reading[int]:
        return self._status("VmRSS")

    def taken_bytes(self, span: tuple[int, int], before: Reading[int]) -> Reading[int]:
        # Of its own pages: what the process holds goes up and down by megabytes of scratch memory besides.
        resident, inside = 0, False
        try:
            with (self.root / "proc/self/smaps").open() as lines:
                for line in lines:
                    if mapping := _MAPPING.match(line):
                        inside = int(mapping[1], 16) < span[1] and span[0] < int(mapping[2], 16)
                    elif inside and line.startswith("Rss:"):
                        resident += int(line.split()[1]) * 1024
        except OSError as error:
            return Reading(None, f"/proc/self/smaps can't be read ({error.strerror})")
        return Reading(resident)

    def peak_bytes(self, call: Callable[[], object]) -> Reading[int]:
        try:
            # 5 resets the high-water mark of resident memory (proc_pid_clear_refs(5)).
            (self.root / "proc/self/clear_refs").write_text("5")
        except OSError as error:
            call()
            return Reading(None, f"the peak can't be reset ({error.strerror})")
        call()
        return self._status("VmHWM")

    def watch(self) -> Callable[[], dict[str, Fact]]:
        return dict

    def sustained(
        self, payload_bytes: int, lookups: Sequence[Lookup], wait: Callable[[], None], seconds: float
    ) -> dict[str, Fact]:
        before: Reading[float] = self._energy_j() if seconds > 0 else Reading(None, OFF)
        if before.value is None:
            return facts(dict.fromkeys(("energy_j", *_PER_ENERGY), before))
        began, burst = time.monotonic(), _burst(lookups, wait)
        count = burst()
        while time.monotonic() < began + seconds:
            count += burst()
        elapsed, after = time.monotonic() - began, self._energy_j()
        spent = after.then(lambda joules: joules - (before.value or 0.0))
        if spent.value is not None and spent.value <= 0:
            spent = Reading(None, "the energy counter stood still or ran over")
        return facts(
            {
                "sustained_lookups": Reading(count, None),
                "sustained_s": Reading(elapsed, None),
                "energy_j": spent,
                "joules_per_lookup": spent.then(lambda joules: joules / count),
                "joules_per_gb": spent.then(lambda joules: joules / count / payload_bytes * 1e9),
                "mean_power_w": spent.then(lambda joules: joules / elapsed),
            }
        )

    def _status(self, key: str) -> Reading[int]:
        try:
            text = (self.root / "proc/self/status").read_text()
        except OSError as error:
            return Reading(None, f"/proc/self/status can't be read ({error.strerror})")
        found = re.search(rf"^{key}:\s+([0-9]+) kB$", text, re.MULTILINE)
        return Reading(int(found[1]) * 1024, None) if found else Reading(None, f"{key} is not reported")

    def _energy_j(self) -> Reading[float]:
        """Energy of all packages since some moment, from the kernel's powercap interface."""
        folder = self.root / "sys/class/powercap"
        zones = [zone for zone in folder.glob("*") if _PACKAGE.fullmatch(zone.name)]
        try:
            # The zone of the whole platform has the packages in it; they must not count twice.
            packages = [zone for zone in zones if (zone / "name").read_text().startswith("package")]
            if not packages:
                return Reading(None, "no powercap interface here")
            return Reading(sum(int((zone / "energy_uj").read_text()) for zone in packages) / 1e6, None)
        except PermissionError:
            return Reading(None, "no permission to read the package's energy")
        except (OSError, ValueError):
            return Reading(None, "the package's energy can't be read")


class GpuObserver:
    """NVML's account of one GPU."""

    def __init__(self, gpu: Gpu) -> None:
        self.gpu = gpu

    def held_bytes(self) -> Reading[int]:
        return self.gpu.memory().used_bytes

    def taken_bytes(self, span: tuple[int, int], before: Reading[int]) -> Reading[int]:
        # Of the whole device, so what others take meanwhile is in it.
        taken = both(before, self.held_bytes(), lambda a, b: b - a)
        too_little = taken.value is not None and taken.value < span[1] - span[0]
        return Reading(None, GIVEN_BACK) if too_little else taken

    def peak_bytes(self, call: Callable[[], object]) -> Reading[int]:
        # NVML has no high-water mark; pools give nothing back at once, so what is held after is the peak.
        call()
        return self.held_bytes()

    def watch(self) -> Callable[[], dict[str, Fact]]:
        before = self.gpu.counters()

        def seen() -> dict[str, Fact]:
            gained = difference(before, self.gpu.counters()).throttled_s
            return facts({f"case_throttled_{cause}_s": held_down_s for cause, held_down_s in gained.items()})

        return seen

    def sustained(
        self, payload_bytes: int, lookups: Sequence[Lookup], wait: Callable[[], None], seconds: float
    ) -> dict[str, Fact]:
        if seconds <= 0:
            return facts(dict.fromkeys(_OF_A_PHASE, Reading(None, OFF)))
        before = self.gpu.counters()
        seen = self.gpu.sustained(_burst(lookups, wait), seconds)
        after = self.gpu.counters()
        count, elapsed = seen.lookups, seen.elapsed_s
        figures: dict[str, Reading[Any]] = {
            "sustained_lookups": Reading(count, None),
            "sustained_s": Reading(elapsed, None),
            "payload_bytes_per_s": Reading(count * payload_bytes / elapsed, None),
            "dram_bytes_per_lookup": seen.dram_bytes_per_s.then(lambda rate: rate * elapsed / count),
            "joules_per_gb": seen.joules_per_lookup.then(lambda joules: joules / payload_bytes * 1e9),
        }
        for field in dataclasses.fields(seen):
            reading = getattr(seen, field.name)
            if isinstance(reading, Reading):
                figures[field.name] = reading
        for name in _GAUGES:
            figures[f"{name}_before"] = getattr(before, name)
            figures[f"{name}_after"] = getattr(after, name)
        for cause, held_down_s in difference(before, after).throttled_s.items():
            figures[f"throttled_{cause}_s"] = held_down_s
        return facts(figures)


def missing(gpu: Gpu) -> str | None:
    """Which figures of a record NVML does not tell of this GPU, and why, in a line; None if it tells all."""
    counters = gpu.counters()
    limited, heated = (counters.throttled_ns[cause] for cause in ("software_power_cap", "hardware_thermal"))
    figures: dict[str, Reading[Any]] = {
        "memory": gpu.memory().used_bytes,
        "energy": counters.energy_j,
        "clocks": counters.sm_clock_hz,
        "temperature": counters.temperature_c,
        "memory temperature": counters.memory_temperature_c,
        "throttling": limited,
        "DRAM traffic": gpu.dram_bytes_per_s(),
    }
    if limited.reason is None:  # older drivers tell some causes and not others
        figures["throttling by heat"] = heated
    names: dict[str, list[str]] = {}
    for name, figure in figures.items():
        if figure.reason is not None:
            names.setdefault(figure.reason, []).append(name)
    return "; ".join(f"{', '.join(those)} ({reason})" for reason, those in names.items()) or None


def facts(readings: Mapping[str, Reading[Any]]) -> dict[str, Fact]:
    """Readings as a record keeps them: each value by its name, and beside a null its reason."""
    found: dict[str, Fact] = {}
    for name, reading in readings.items():
        found[name] = reading.value
        if reading.reason is not None:
            found[f"{name}_missing"] = reading.reason
    return found


def _burst(lookups: Sequence[Lookup], wait: Callable[[], None]) -> Callable[[], int]:
    """A call that does some 10 ms of lookups, waits for their rows, and returns how many there were."""
    state = {"count": 1, "cursor": 0}

    def run() -> int:
        began, count = time.perf_counter(), state["count"]
        for _ in range(count):
            lookups[state["cursor"]]()
            state["cursor"] = (state["cursor"] + 1) % len(lookups)
        wait()
        took = time.perf_counter() - began
        if took < BURST_S / 2:
            state["count"] = min(4 * count, 4096)
        return count

    return run
