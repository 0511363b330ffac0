"""What the kernel tells of this process and of the packages' energy: each figure, or why there is none."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace

import pytest

from suite.records.figures import CAUSES
from suite.telemetry.host import HostObserver, quota_watch
from suite.telemetry.nvidia import GpuObserver
from suite.telemetry.nvml.figures import Counters, Sustained
from suite.telemetry.reading import Reading
from suite.telemetry.sustained import OFF, Work, burst
from tests.support import fabricate
from tests.support.machines import machine

CASE = fabricate.CASES[0]
ENERGY = ("energy_j", "joules_per_lookup", "joules_per_gb", "mean_power_w")


def zone(root: Path, folder: str, name: str, energy_uj: str) -> Path:
    """A zone of powercap; returns the file of its counter."""
    made = root / "sys/class/powercap" / folder
    made.mkdir(parents=True)
    (made / "name").write_text(f"{name}\n")
    (made / "energy_uj").write_text(f"{energy_uj}\n")
    return made / "energy_uj"


def phase(
    root: Path, lookup: Callable[[], object] = lambda: None, seconds: float = 0.001
) -> dict[str, object]:
    return HostObserver(root).sustained(Work(CASE.payload_bytes, [lookup], lambda: None), seconds)


def assert_untold(seen: dict[str, object], reason: str) -> None:
    for name in ENERGY:
        assert seen[name] is None and seen[f"{name}_missing"] == reason


def test_packages_are_added_up_and_nothing_is_counted_twice(tmp_path: Path) -> None:
    first = zone(tmp_path, "intel-rapl:0", "package-0", "1000000")
    zone(tmp_path, "intel-rapl:1", "package-1", "5000000")
    counted_in_them = [
        zone(tmp_path, "intel-rapl:0:0", "core", "0"),
        zone(tmp_path, "intel-rapl:2", "psys", "0"),
        zone(tmp_path, "intel-rapl-mmio:0", "package-0", "0"),
    ]
    microjoules = itertools.count(2_000_000, 1_000_000)
    calls = []

    def lookup() -> None:
        calls.append(1)
        for counter in (first, *counted_in_them):
            counter.write_text(str(next(microjoules) if counter is first else 10**12))

    seen = phase(tmp_path, lookup)
    assert seen["energy_j"] == len(calls) == seen["sustained_lookups"], "a joule a lookup"
    assert seen["joules_per_lookup"] == 1.0
    assert seen["joules_per_gb"] == pytest.approx(1e9 / CASE.payload_bytes)
    assert seen["mean_power_w"] == pytest.approx(len(calls) / float(str(seen["sustained_s"])))


def test_without_powercap_or_turned_off_no_lookup_is_made(tmp_path: Path) -> None:
    def lookup() -> None:
        pytest.fail("for nothing")

    assert_untold(phase(tmp_path, lookup), "no powercap interface here")
    zone(tmp_path, "intel-rapl:1", "psys", "5")
    assert_untold(phase(tmp_path, lookup), "no powercap interface here")
    zone(tmp_path, "intel-rapl:0", "package-0", "5")
    assert_untold(phase(tmp_path, lookup, seconds=0.0), OFF)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (PermissionError(13, "Permission denied"), "no permission to read the package's energy"),
        (OSError(5, "Input/output error"), "the package's energy can't be read"),
    ],
)
def test_energy_that_is_refused_is_a_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: OSError, reason: str
) -> None:
    counter = zone(tmp_path, "intel-rapl:0", "package-0", "5")
    read = Path.read_text

    def refused(path: Path, *more: object, **named: object) -> str:
        if path == counter:
            raise error
        return read(path)

    monkeypatch.setattr(Path, "read_text", refused)
    assert_untold(phase(tmp_path), reason)


@pytest.mark.parametrize(
    ("after", "reason"),
    [
        ("5", "the energy counter stood still or ran over"),
        ("1", "the energy counter stood still or ran over"),
        ("?", "the package's energy can't be read"),
    ],
)
def test_energy_that_does_not_advance_is_a_reason(tmp_path: Path, after: str, reason: str) -> None:
    counter = zone(tmp_path, "intel-rapl:0", "package-0", "5")
    seen = phase(tmp_path, lambda: counter.write_text(after))
    assert_untold(seen, reason)
    assert seen["sustained_lookups"], "the phase was, all the same"


def test_the_peak_is_that_of_the_call(tmp_path: Path) -> None:
    process = tmp_path / "proc/self"
    process.mkdir(parents=True)
    observer = HostObserver(tmp_path)

    def call() -> None:
        assert (process / "clear_refs").read_text() == "5", "what was before it is forgotten"
        (process / "status").write_text("VmHWM:\t    2048 kB\nVmRSS:\t    1024 kB\n")

    assert observer.peak_bytes(call) == Reading(2048 * 1024)
    assert observer.held_bytes() == Reading(1024 * 1024)


def test_a_peak_that_is_not_told_does_not_keep_the_call_from_being_made(tmp_path: Path) -> None:
    calls = []
    none = HostObserver(tmp_path).peak_bytes(lambda: calls.append(1))
    assert none.reason == "the peak can't be reset (No such file or directory)" and calls == [1]
    process = tmp_path / "proc/self"
    process.mkdir(parents=True)
    untold = HostObserver(tmp_path).peak_bytes(lambda: (process / "status").write_text("VmRSS:\t1 kB\n"))
    assert untold == Reading(None, "VmHWM is not reported")
    (process / "status").unlink()
    reason = "/proc/self/status can't be read (No such file or directory)"
    assert HostObserver(tmp_path).held_bytes() == Reading(None, reason)


def seen_by_a_gpu(work: Work, lookups: int) -> dict[str, object]:
    """What is told of a second of work, by a GPU that tells every figure."""
    known = Reading(1.0, None)
    given = dict.fromkeys((field.name for field in fields(Counters)), known)
    counters = Counters(**{**given, "at_s": 0.0, "throttled_ns": dict.fromkeys(CAUSES, known)})
    whole = dict.fromkeys((field.name for field in fields(Sustained)), known)

    def phase(run: Callable[[], int], seconds: float) -> Sustained:
        return Sustained(**{**whole, "lookups": lookups, "elapsed_s": seconds})

    return GpuObserver(SimpleNamespace(counters=lambda: counters, sustained=phase)).sustained(work, 1.0)


@pytest.mark.parametrize(
    ("device_s", "busy", "reason"),
    [
        (3e-6, 0.3, "the device worked for 30% of the phase, not 80%"),
        (9e-6, 0.9, None),
        (2e-5, 1.0, None),
        (None, None, "only the host times it, so how long the device works is unknown"),
    ],
)
def test_of_a_gpu_that_waits_energy_and_traffic_say_nothing(
    device_s: float | None, busy: float | None, reason: str | None
) -> None:
    seen = seen_by_a_gpu(Work(100, [lambda: None], lambda: None, device_s=device_s), 100_000)
    assert seen["sustained_busy_fraction"] == (busy and pytest.approx(busy))
    for name in (*ENERGY, "dram_bytes_per_s", "dram_bytes_per_lookup", "dram_utilisation_fraction"):
        assert (seen[name] is None) == (reason is not None) and seen.get(f"{name}_missing") == reason, name
    assert seen["payload_bytes_per_s"] == pytest.approx(1e7), "what was done is told in any case"


def test_a_call_of_several_lookups_counts_as_these() -> None:
    calls: list[int] = []
    run = burst(Work(1, [lambda: calls.append(1)], lambda: None, lookups=64))
    assert run() == 64 and len(calls) == 1


def test_a_quota_holds_up_by_as_much_as_it_did_since(tmp_path: Path) -> None:
    def stat(periods: int, microseconds: int) -> dict[str, str | bytes | None]:
        return {"sys/fs/cgroup/cpu.stat": f"nr_throttled {periods}\nthrottled_usec {microseconds}\n"}

    since = quota_watch(machine(tmp_path / "none", stat(1, 1)))
    assert since() == {}, "without a quota"
    root = machine(tmp_path / "some", {"sys/fs/cgroup/cpu.max": "100000 100000", **stat(10, 500)})
    since = quota_watch(root)
    assert since() == {"quota_throttled_periods": 0, "quota_throttled_s": 0.0}
    machine(root, stat(17, 2_000_500))
    assert since() == {"quota_throttled_periods": 7, "quota_throttled_s": 2.0}
