"""What makes numbers noisy on a GPU: NVML's readings in, findings out."""

from __future__ import annotations

from typing import Any

from suite.doctor.activity import GpuState
from suite.doctor.finding import Finding
from suite.telemetry.nvml.calls import HUNG
from suite.telemetry.reading import Reading
from suite.units import gigabytes

NEAR_LIMIT = 0.95
"""From this share of its power limit on a GPU is about to lower its clocks."""


def gpu_findings(state: GpuState) -> tuple[Finding, ...]:
    """Everything there is to say of a GPU, in the order it is best put right."""
    hung = state.identity["name"].reason or ""
    if hung.startswith(HUNG):
        why = "a call that hangs can hold the driver's lock, and launches wait for it"
        advice = "end what else uses the GPU, reset or reboot; nvidia-smi may hang as well"
        return (*cuda(state), Finding("GPU: driver", hung, advice, "warn", why))
    return (
        *cuda(state),
        other_processes(state),
        persistence(state),
        clocks(state),
        throttling(state),
        power(state),
        *mig(state),
        counters(state),
        memory(state),
        kind(state),
    )


def kind(state: GpuState) -> Finding:
    """Which GPU it is, by which driver: facts to know when comparing, not noise."""
    name, driver, ecc = (state.identity[key] for key in ("name", "driver_version", "ecc_enabled"))
    cuda, bus = (state.identity[key].value for key in ("cuda_driver_version", "pci_bus_id"))
    words = [str(name.value or "of unknown name"), f"driver {driver.value or 'unknown'}"]
    if cuda is not None:
        words.append(f"CUDA {cuda}")
    if ecc.value is not None:  # GPUs that have none say that it is not supported
        words.append(f"ECC {'on' if ecc.value else 'off'}")
    if bus is not None:
        words.append(f"at {bus.removeprefix('00000000:')}")
    return Finding("GPU: kind", ", ".join(words), "", "ok")


def cuda(state: GpuState) -> tuple[Finding, ...]:
    """Whether a run would measure this GPU: what torch calls by the same number; nothing if not asked."""
    seen = state.cuda
    if seen is None:
        return ()
    if isinstance(seen, str):
        advice = (
            "install a torch built for CUDA (README, On a GPU); if it is, see what CUDA_VISIBLE_DEVICES hides"
        )
        return (Finding("GPU: torch", seen, advice, "warn", "a run can't measure on it"),)
    if not str(state.identity["uuid"].value or seen.uuid).endswith(seen.uuid):
        why = "NVML and torch count GPUs otherwise here, so a run would measure another one"
        advice = "set CUDA_DEVICE_ORDER=PCI_BUS_ID"
        return (Finding("GPU: torch", f"calls another GPU by this number: {seen.name}", advice, "warn", why),)
    return (Finding("GPU: torch", f"sees it; L2 cache {seen.l2_bytes / 1e6:.1f} MB", "", "ok"),)


def memory(state: GpuState) -> Finding:
    """How large its memory is, how much of it is in use, and how fast it can be by its clock and width."""
    total, used = state.memory.total_bytes, state.memory.used_bytes
    if total.value is None or used.value is None:
        return _untold("GPU: memory", total if total.value is None else used)
    peak = state.identity["theoretical_peak_bytes_per_s"]
    words = f"{gigabytes(total.value)}, {gigabytes(used.value)} in use"
    if peak.value is not None:
        bits, clock = state.identity["bus_width_bits"], state.identity["max_memory_clock_hz"]
        words += f"; {bits.value} bits at {_mhz(clock)} MHz: {peak.value / 1e9:.0f} GB/s at most"
    return Finding("GPU: memory", words, "", "ok")


def counters(state: GpuState) -> Finding:
    """Whether NVML tells what records want to know beside times."""
    if state.missing is None:
        return Finding("GPU: counters", "memory, energy, clocks, DRAM traffic: all told", "", "ok")
    why = "records have no value for these; times do not need them"
    advice = "of no permission: ask who runs the machine; else this GPU or its driver has none"
    return Finding("GPU: counters", f"no {state.missing}", advice, "unknown", why)


def other_processes(state: GpuState) -> Finding:
    """Whether others compute on it; the doctor itself does not."""
    processes = state.memory.processes
    if processes.value is None:
        return _untold("GPU: other processes", processes)
    if not processes.value:
        return Finding("GPU: other processes", "none", "", "ok")
    pids = ", ".join(str(process.pid) for process in processes.value[:5])
    advice = f"stop them or choose another GPU; look with: nvidia-smi -i {_name(state)}"
    why = "they take turns on the GPU and share its memory's bandwidth"
    return Finding("GPU: other processes", f"{len(processes.value)} (pid {pids})", advice, "warn", why)


def persistence(state: GpuState) -> Finding:
    """Whether the driver stays loaded between processes."""
    reading = state.identity["persistence_enabled"]
    if reading.value is None:
        return _untold("GPU: persistence mode", reading)
    if reading.value:
        return Finding("GPU: persistence mode", "on", "", "ok")
    why = "between processes the driver lets go of the GPU, and locked clocks and counters with it"
    return Finding("GPU: persistence mode", "off", f"sudo nvidia-smi -i {_name(state)} -pm 1", "warn", why)


def clocks(state: GpuState) -> Finding:
    """How fast it runs now; an idle GPU rests below its maximum, so that alone tells nothing."""
    now, most = state.counters.sm_clock_hz, state.identity["max_sm_clock_hz"]
    if now.value is None or most.value is None:
        return _untold("GPU: clocks", now if now.value is None else most)
    memory, memory_most = state.counters.memory_clock_hz, state.identity["max_memory_clock_hz"]
    words = f"SM {_mhz(now)} of {_mhz(most)} MHz, memory {_mhz(memory)} of {_mhz(memory_most)} MHz"
    if now.value >= most.value:
        return Finding("GPU: clocks", words, "", "ok")
    return Finding(
        "GPU: clocks",
        words,
        f"to hold them: sudo nvidia-smi -i {_name(state)} -lgc {_mhz(most)}   (undo: -rgc)",
        "unknown",
        "clocks that are not locked follow load and temperature",
    )


def throttling(state: GpuState) -> Finding:
    """Whether something held the clocks down while the doctor watched."""
    known = {cause: r.value for cause, r in state.during.throttled_s.items() if r.value is not None}
    causes = [cause.replace("_", " ") for cause, seconds in known.items() if seconds > 0]
    heat = state.counters.temperature_c.then(lambda degrees: f"; {degrees} °C").value or ""
    heat += state.counters.memory_temperature_c.then(lambda degrees: f", memory {degrees} °C").value or ""
    if causes:
        why = "the GPU lowers its clocks while it lasts"
        advice = f"cool it, or wait; look with: nvidia-smi -i {_name(state)} -q -d PERFORMANCE"
        return Finding("GPU: throttling", ", ".join(causes) + heat, advice, "warn", why)
    if not known:
        missing: Reading[Any] = next(iter(state.during.throttled_s.values()), Reading(None, "no counters"))
        return _untold("GPU: throttling", missing)
    return Finding("GPU: throttling", f"none in {state.during.elapsed_s:.1f} s{heat}", "", "ok")


def power(state: GpuState) -> Finding:
    """How much it may draw and how near it is."""
    limit, drawn = state.identity["power_limit_w"], state.counters.power_w
    if limit.value is None:
        return _untold("GPU: power limit", limit)
    if drawn.value is None:
        return Finding("GPU: power limit", f"{limit.value:.0f} W", "", "ok")
    words = f"{limit.value:.0f} W, {drawn.value:.0f} W drawn"
    if drawn.value < NEAR_LIMIT * limit.value:
        return Finding("GPU: power limit", words, "", "ok")
    advice = f"stop what else runs; look with: nvidia-smi -i {_name(state)} -q -d POWER"
    return Finding("GPU: power limit", words, advice, "warn", "at its limit the GPU lowers its clocks")


def mig(state: GpuState) -> tuple[Finding, ...]:
    """Whether the GPU is divided; nothing to say if not, or if it can't be."""
    if not state.identity["mig_enabled"].value:
        return ()
    why = (
        "an instance has a part of the caches and bandwidth, and its power can't be told from its neighbours'"
    )
    advice = "measure on a GPU that is not divided, or say which instance it was"
    return (Finding("GPU: MIG", "on", advice, "warn", why),)


def _untold(subject: str, reading: Reading[Any]) -> Finding:
    return Finding(subject, reading.reason or "not told", "", "unknown")


def _mhz(clock: Reading[Any]) -> str:
    return "?" if clock.value is None else f"{clock.value / 1e6:.0f}"


def _name(state: GpuState) -> str:
    # Its place on the bus: nvidia-smi counts GPUs in another order than CUDA.
    return str(state.identity["pci_bus_id"].value or 0)
