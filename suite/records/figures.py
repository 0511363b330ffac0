"""Figures of the counters: every name that ``Record.telemetry`` may hold, with its meaning."""

from __future__ import annotations

CASE = "case_"
"""Begins the names of what is of all rounds of a case, and not of the phase for the counters."""
CASE_THROTTLED, THROTTLED = f"{CASE}throttled_", "throttled_"
"""Begin the names of the times for which clocks were held down."""
GAUGES = {
    "temperature_c": "temperature of the GPU",
    "memory_temperature_c": "temperature of the GPU's memory",
    "sm_clock_hz": "clock of the multiprocessors",
    "memory_clock_hz": "clock of the memory",
}
"""What is read at a moment."""
CAUSES = {
    "software_power_cap": "the power limit",
    "sync_boost": "a group of GPUs with synchronised clocks",
    "software_thermal": "temperature, by the driver",
    "hardware_thermal": "temperature, by the hardware",
    "hardware_power_brake": "the power supply",
}
"""Why clocks are held down."""
THREADS = "threads_"
"""Begins the numbers of threads: what was asked for, and what each library says after the first lookups."""
QUOTA = "quota_throttled_"
"""Begins how often and how long a control group's quota of processor time held the process up."""
TELEMETRY = {
    "memory_before_bytes": "memory in use on the device before this process, by others (GPU)",
    "context_bytes": "memory of the process's context (GPU)",
    f"{THREADS}asked": "threads that each library was told to use",
    f"{THREADS}torch": "threads that PyTorch says it uses, after the first lookups of the case",
    f"{THREADS}numba": "threads of Numba's own pool",
    f"{THREADS}openmp": "threads of the OpenMP that PyTorch is linked to",
    f"{THREADS}blas": "threads of the BLAS that NumPy is linked to",
    f"{QUOTA}periods": "periods in which a quota of processor time held the process up, in the case",
    f"{QUOTA}s": "time of its processors for which it did",
    **{
        f"{CASE_THROTTLED}{name}_s": f"clocks held down by {why}, all rounds of the case"
        for name, why in CAUSES.items()
    },
    **{f"{CASE}{name}_before": f"{what} when the case began" for name, what in GAUGES.items()},
    **{f"{CASE}{name}_after": f"{what} when it ended" for name, what in GAUGES.items()},
    "sustained_lookups": "number of lookups in the phase of nothing else, in which the counters are read",
    "sustained_s": "length of that phase",
    "sustained_busy_fraction": "share of it in which the device worked, by the device time of a lookup; "
    "under 0.8 the figures of energy and memory traffic are null (GPU)",
    "payload_bytes_per_s": "declared bytes a second in it (GPU)",
    "dram_bytes_per_s": "memory traffic of all on the GPU: utilisation times peak (Hopper or newer)",
    "dram_bytes_per_lookup": "the same, for each lookup",
    "dram_utilisation_fraction": "memory traffic as a share of the theoretical peak, as GPM reports it",
    "energy_j": "energy of the GPU, or of all processor packages (powercap)",
    "joules_per_lookup": "the same, for each lookup",
    "joules_per_gb": "the same, for each GB of payload",
    "mean_power_w": "the same, for each second",
    "sm_utilisation_fraction": "share of the time in which the multiprocessors had work (GPU)",
    "sm_occupancy_fraction": "resident warps as a share of the most possible (GPU)",
    "pcie_tx_bytes_per_s": "traffic to the host (GPU)",
    "pcie_rx_bytes_per_s": "traffic from the host (GPU)",
    "temperature_c_before": "of the GPU when the phase began",
    "temperature_c_after": "and when it ended",
    "memory_temperature_c_before": "of the GPU's memory when the phase began",
    "memory_temperature_c_after": "and when it ended",
    "sm_clock_hz_before": "clock of the multiprocessors when the phase began",
    "sm_clock_hz_after": "and when it ended",
    "memory_clock_hz_before": "clock of the memory when the phase began",
    "memory_clock_hz_after": "and when it ended",
    "file_resident_fraction_before": "share of the pages of a table's file in the page cache before a turn",
    "file_resident_fraction_after": "and after it: means over the first turns",
    "file_read_pages_per_lookup": "pages of it that came into the page cache in these turns, for each lookup",
    "file_read_bytes_per_lookup": "bytes that the process had read from devices, for each lookup in turns",
    "file_over_read": "the same, over the bytes of the distinct rows of a lookup",
    "file_system": "kind of the file system that the table's file lies on",
    "file_device": "name of the block device under it",
    "file_read_ahead_bytes": "how much the kernel reads around a page of a mapping that is missing",
    **{f"{THROTTLED}{name}_s": f"clocks held down by {why}, in the phase" for name, why in CAUSES.items()},
}
"""The figures in ``Record.telemetry``; beside a null stands ``<name>_missing``, the reason."""
