"""Observer of the host: resident memory and the energy of its processor packages."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path

from suite.machine.cgroup import throttled
from suite.machine.procfs import ROOT, mapped_bytes
from suite.records.figures import QUOTA
from suite.records.record import Fact
from suite.telemetry.reading import Reading, facts
from suite.telemetry.sustained import OFF, PER_ENERGY, Work, burst

_PACKAGE = re.compile(r"intel-rapl:[0-9]+")


def quota_watch(root: Path = ROOT) -> Callable[[], dict[str, Fact]]:
    """Start watching the quota of processor time; the returned call says how it held the process up since.

    It says nothing where there is no quota.
    """
    before = throttled(root)

    def since() -> dict[str, Fact]:
        after = throttled(root)
        if before is None or after is None:
            return {}
        seconds = round(after.seconds - before.seconds, 6)
        return {f"{QUOTA}periods": after.periods - before.periods, f"{QUOTA}s": seconds}

    return since


class HostObserver:
    """What the kernel reports of this process, and of the packages' energy where it may be read.

    Args:
        root: the directory that holds proc and sys.
    """

    def __init__(self, root: Path = ROOT) -> None:
        self.root = root

    def held_bytes(self) -> Reading[int]:
        return self._status("VmRSS")

    def taken_bytes(self, span: tuple[int, int], before: Reading[int]) -> Reading[int]:
        # By its own pages: the memory of the whole process varies by megabytes of scratch memory.
        try:
            return Reading(mapped_bytes(self.root, span, "Rss"))
        except OSError as error:
            return Reading(None, f"/proc/self/smaps can't be read ({error.strerror})")

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
        def nothing() -> dict[str, Fact]:
            return {}

        return nothing

    def sustained(self, work: Work, seconds: float) -> dict[str, Fact]:
        before: Reading[float] = self._energy_j() if seconds > 0 else Reading(None, OFF)
        if before.value is None:
            return facts(dict.fromkeys(("energy_j", *PER_ENERGY), before))
        start_s, run = time.monotonic(), burst(work)
        count = run()
        while time.monotonic() < start_s + seconds:
            count += run()
        elapsed, after = time.monotonic() - start_s, self._energy_j()
        spent = after.then(lambda joules: joules - (before.value or 0.0))
        if spent.value is not None and spent.value <= 0:
            spent = Reading(None, "the energy counter stood still or ran over")
        return facts(
            {
                "sustained_lookups": Reading(count, None),
                "sustained_s": Reading(elapsed, None),
                "energy_j": spent,
                "joules_per_lookup": spent.then(lambda joules: joules / count),
                "joules_per_gb": spent.then(lambda joules: joules / count / work.payload_bytes * 1e9),
                "mean_power_w": spent.then(lambda joules: joules / elapsed),
            }
        )

    def _status(self, key: str) -> Reading[int]:
        try:
            text = (self.root / "proc/self/status").read_text()
        except OSError as error:
            return Reading(None, f"/proc/self/status can't be read ({error.strerror})")
        match = re.search(rf"^{key}:\s+([0-9]+) kB$", text, re.MULTILINE)
        return Reading(int(match[1]) * 1024) if match else Reading(None, f"{key} is not reported")

    def _energy_j(self) -> Reading[float]:
        """Energy of all packages since an arbitrary time, from the kernel's powercap interface."""
        folder = self.root / "sys/class/powercap"
        zones = [zone for zone in folder.glob("*") if _PACKAGE.fullmatch(zone.name)]
        try:
            # The zone of the whole platform includes the packages; they must not count twice.
            packages = [zone for zone in zones if (zone / "name").read_text().startswith("package")]
            if not packages:
                return Reading(None, "no powercap interface here")
            return Reading(sum(int((zone / "energy_uj").read_text()) for zone in packages) / 1e6, None)
        except PermissionError:
            return Reading(None, "no permission to read the package's energy")
        except (OSError, ValueError):
            return Reading(None, "the package's energy can't be read")
