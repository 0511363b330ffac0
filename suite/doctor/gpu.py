"""Findings of a GPU: what NVML and torch report of it, and what of that makes measurements noisy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from suite.command import BadRequest
from suite.doctor.finding import UNREPORTED, Finding
from suite.machine.cuda_device import CudaDevice
from suite.telemetry.nvidia import missing
from suite.telemetry.nvml.calls import HUNG
from suite.telemetry.nvml.figures import Counters, Difference, Memory, difference
from suite.telemetry.nvml.gpu import Gpu
from suite.telemetry.reading import Reading
from suite.units import gigabytes

NEAR_LIMIT = 0.95
"""The share of its power limit from which a GPU is about to lower its clocks."""


@dataclass(frozen=True, slots=True)
class GpuState:
    """One GPU as NVML reports it.

    Attributes:
        during: what the counters gained while the machine was watched.
        missing: the figures of a record that NVML does not report, with the reasons, on one line.
        cuda: the GPU as torch sees it, or why it does not; None if torch was not asked.
    """

    identity: dict[str, Reading[Any]]
    memory: Memory
    counters: Counters
    during: Difference
    missing: str | None = None
    cuda: CudaDevice | str | None = None


def open_gpu(name: str) -> Gpu:
    """Open a GPU by its index, UUID or PCI bus id.

    Raises:
        BadRequest: it can't be opened.
    """
    gpu = Gpu.open(name)
    if gpu.unavailable is not None:
        raise BadRequest(f"GPU {name}: {gpu.unavailable}; see nvidia-smi -L for those there are")
    return gpu


def state_since(gpu: Gpu, before: Counters) -> GpuState:
    """The state of a GPU whose counters were read once before."""
    now = gpu.counters()
    return GpuState(gpu.identity(), gpu.memory(), now, difference(before, now), missing(gpu))


def gpu_findings(state: GpuState) -> tuple[Finding, ...]:
    """All findings of a GPU: which it is, then in the order in which they are best put right."""
    hung = state.identity["name"].reason or ""
    if hung.startswith(HUNG):
        why = "a call that hangs can hold the driver's lock, which launches wait for"
        advice = "stop other users of the GPU, reset it or reboot; nvidia-smi may hang too"
        return (*cuda(state), Finding("GPU: driver", hung, advice, "warn", why))
    return (
        model(state),
        *cuda(state),
        other_processes(state),
        persistence(state),
        clocks(state),
        throttling(state),
        power(state),
        *mig(state),
        counters(state),
        memory(state),
    )


def model(state: GpuState) -> Finding:
    """Which GPU and driver it is: facts to know when comparing, not noise."""
    name, driver, ecc = (state.identity[key] for key in ("name", "driver_version", "ecc_enabled"))
    version, bus = (state.identity[key].value for key in ("cuda_driver_version", "pci_bus_id"))
    words = [str(name.value or "unknown GPU"), f"driver {driver.value or 'unknown'}"]
    if version is not None:
        words.append(f"CUDA {version}")
    if ecc.value is not None:  # GPUs without ECC report that it is not supported
        words.append(f"ECC {'on' if ecc.value else 'off'}")
    if bus is not None:
        words.append(f"at {bus.removeprefix('00000000:')}")
    return Finding("GPU: model", ", ".join(words), "", "ok")


def cuda(state: GpuState) -> tuple[Finding, ...]:
    """Whether a run would measure this GPU, the one torch calls by the same number; none if not asked."""
    device = state.cuda
    if device is None:
        return ()
    if isinstance(device, str):
        advice = "install a torch built for CUDA (README, On a GPU), or check CUDA_VISIBLE_DEVICES"
        return (Finding("GPU: torch", device, advice, "warn", "a run can't measure on this GPU"),)
    if not str(state.identity["uuid"].value or device.uuid).endswith(device.uuid):
        why = "NVML and torch number the GPUs differently, so a run would measure another one"
        advice = "export CUDA_DEVICE_ORDER=PCI_BUS_ID"
        return (Finding("GPU: torch", f"this number is another GPU: {device.name}", advice, "warn", why),)
    return (Finding("GPU: torch", f"sees this GPU, L2 cache {device.l2_bytes / 1e6:.1f} MB", "", "ok"),)


def memory(state: GpuState) -> Finding:
    """How large its memory is, how much is in use, and its peak bandwidth by clock and bus width."""
    total, used = state.memory.total_bytes, state.memory.used_bytes
    if total.value is None or used.value is None:
        return _unreported("GPU: memory", total if total.value is None else used)
    peak = state.identity["theoretical_peak_bytes_per_s"]
    words = f"{gigabytes(total.value)}, {gigabytes(used.value)} in use"
    if peak.value is not None:
        bits, clock = state.identity["bus_width_bits"], state.identity["max_memory_clock_hz"]
        words += f", peak {peak.value / 1e9:.0f} GB/s by {bits.value} bits at {_mhz(clock)} MHz"
    return Finding("GPU: memory", words, "", "ok")


def counters(state: GpuState) -> Finding:
    """Whether NVML reports the figures that records keep beside times."""
    if state.missing is None:
        return Finding("GPU: counters", "memory, energy, clocks, DRAM traffic: all available", "", "ok")
    why = "records lack these figures; timings are unaffected"
    advice = "for 'no permission' ask the administrator; the rest this GPU or driver lacks"
    return Finding("GPU: counters", f"not available: {state.missing}", advice, "unknown", why)


def other_processes(state: GpuState) -> Finding:
    """Whether other processes compute on it; the doctor itself does not."""
    processes = state.memory.processes
    if processes.value is None:
        return _unreported("GPU: other processes", processes)
    if not processes.value:  # a container hides those of its host
        return Finding("GPU: other processes", "none visible", "", "ok")
    pids = ", ".join(str(process.pid) for process in processes.value[:5])
    advice = f"stop them or use another GPU; see: nvidia-smi -i {_bus(state)}"
    why = "they compete for the GPU's time and memory bandwidth"
    return Finding("GPU: other processes", f"{len(processes.value)} (pid {pids})", advice, "warn", why)


def persistence(state: GpuState) -> Finding:
    """Whether the driver stays loaded between processes."""
    reading = state.identity["persistence_enabled"]
    if reading.value is None:
        return _unreported("GPU: persistence mode", reading)
    if reading.value:
        return Finding("GPU: persistence mode", "on", "", "ok")
    why = "between processes the driver drops locked clocks and counters"
    return Finding("GPU: persistence mode", "off", f"sudo nvidia-smi -i {_bus(state)} -pm 1", "warn", why)


def clocks(state: GpuState) -> Finding:
    """How fast it runs now; an idle GPU rests below its maximum, so that alone is no warning."""
    now, most = state.counters.sm_clock_hz, state.identity["max_sm_clock_hz"]
    if now.value is None or most.value is None:
        return _unreported("GPU: clocks", now if now.value is None else most)
    memory, memory_most = state.counters.memory_clock_hz, state.identity["max_memory_clock_hz"]
    words = f"SM {_mhz(now)} of {_mhz(most)} MHz, memory {_mhz(memory)} of {_mhz(memory_most)} MHz"
    if now.value >= most.value:
        return Finding("GPU: clocks", words, "", "ok")
    return Finding(
        "GPU: clocks",
        words,
        f"sudo nvidia-smi -i {_bus(state)} -lgc {_mhz(most)} (undo: -rgc)",
        "unknown",
        "clocks that are not locked follow load and temperature",
    )


def throttling(state: GpuState) -> Finding:
    """Whether anything held the clocks down while the doctor watched."""
    known = {cause: r.value for cause, r in state.during.throttled_s.items() if r.value is not None}
    causes = [cause.replace("_", " ") for cause, seconds in known.items() if seconds > 0]
    heat = state.counters.temperature_c.then(lambda degrees: f", {degrees} °C").value or ""
    heat += state.counters.memory_temperature_c.then(lambda degrees: f", memory {degrees} °C").value or ""
    if causes:
        why = "the GPU runs at lower clocks meanwhile"
        advice = f"cool it, or wait; see: nvidia-smi -i {_bus(state)} -q -d PERFORMANCE"
        return Finding("GPU: throttling", ", ".join(causes) + heat, advice, "warn", why)
    if not known:
        none: Reading[Any] = Reading(None, "no counters")
        return _unreported("GPU: throttling", next(iter(state.during.throttled_s.values()), none))
    return Finding("GPU: throttling", f"none in {state.during.elapsed_s:.1f} s{heat}", "", "ok")


def power(state: GpuState) -> Finding:
    """How much power it may draw and how near to that it is."""
    limit, drawn = state.identity["power_limit_w"], state.counters.power_w
    if limit.value is None:
        return _unreported("GPU: power limit", limit)
    if drawn.value is None:
        return Finding("GPU: power limit", f"{limit.value:.0f} W", "", "ok")
    words = f"{limit.value:.0f} W, {drawn.value:.0f} W drawn"
    if drawn.value < NEAR_LIMIT * limit.value:
        return Finding("GPU: power limit", words, "", "ok")
    advice = f"stop other work on it; see: nvidia-smi -i {_bus(state)} -q -d POWER"
    return Finding("GPU: power limit", words, advice, "warn", "at its limit the GPU lowers its clocks")


def mig(state: GpuState) -> tuple[Finding, ...]:
    """Whether the GPU is divided; none if not, or if it can't be."""
    if not state.identity["mig_enabled"].value:
        return ()
    why = "an instance has a share of caches and bandwidth, and its power is not measured apart"
    advice = "measure on an undivided GPU, or name the instance beside the result"
    return (Finding("GPU: MIG", "on", advice, "warn", why),)


def _unreported(subject: str, reading: Reading[Any]) -> Finding:
    return Finding(subject, reading.reason or UNREPORTED, "", "unknown")


def _mhz(clock: Reading[Any]) -> str:
    return "?" if clock.value is None else f"{clock.value / 1e6:.0f}"


def _bus(state: GpuState) -> str:
    # By its place on the bus, since nvidia-smi counts GPUs in another order than CUDA.
    return str(state.identity["pci_bus_id"].value or 0)
