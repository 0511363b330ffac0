"""What each column of the table and each figure of the counters is called, holds, and means."""

from __future__ import annotations

_TEXT, _COUNT, _NUMBER, _FLAG = "string", "Int64", "float64", "boolean"

_COLUMNS: tuple[tuple[str, str, str], ...] = (
    ("run", _TEXT, "folder of the run"),
    ("backend", _TEXT, "who looked up"),
    ("status", _TEXT, "`ok`, or how it failed; a failure has no numbers"),
    ("reason", _TEXT, "why it failed"),
    ("device", _TEXT, "`cpu` or `cuda:N`"),
    ("vocab", _COUNT, "rows of the table"),
    ("dim", _COUNT, "elements of a row"),
    ("dtype", _TEXT, "type of the elements"),
    ("index_dtype", _TEXT, "type of the ids"),
    ("batch", _COUNT, "ids in one lookup"),
    ("distribution", _TEXT, "law the ids are drawn by"),
    ("cache", _TEXT, "`cold`: ids, rows and output untouched since more than the caches hold; `hot`: again"),
    ("offset", _COUNT, "bytes by which the table's first row lies off the start of a page"),
    ("clock", _TEXT, "what the result is: `kernel` or `call` time"),
    ("median_us", _NUMBER, "the result: time of one lookup by its clock, median over rounds"),
    ("ci_low_us", _NUMBER, "lower end of its 95 % interval; missing under 6 rounds"),
    ("ci_high_us", _NUMBER, "upper end"),
    ("samples", _COUNT, "timings taken by that clock"),
    ("rounds", _COUNT, "turns they were taken in"),
    ("converged", _FLAG, "whether the interval reached the precision asked for"),
    ("enqueue_us", _NUMBER, "host time until the call returns (GPU)"),
    ("enqueue_low_us", _NUMBER, "lower end of its 95 % interval"),
    ("enqueue_high_us", _NUMBER, "upper end"),
    ("call_us", _NUMBER, "host time until the rows are there"),
    ("call_low_us", _NUMBER, "lower end of its 95 % interval"),
    ("call_high_us", _NUMBER, "upper end"),
    ("payload_bytes", _COUNT, "batch · (index + 2 · row): every row read and written"),
    ("compulsory_bytes", _COUNT, "batch · (index + row) + distinct · row: a repeated id's row read once"),
    ("distinct_fraction", _NUMBER, "share of the ids in a batch that are distinct"),
    ("gb_per_s", _NUMBER, "payload over the result"),
    ("ceiling_gb_per_s", _NUMBER, "what the contiguous copy of the same rows reached in the same rounds"),
    (
        "fraction_of_ceiling",
        _NUMBER,
        "payload a second over the copy's, within rounds; above 1 caches helped",
    ),
    ("fraction_of_ceiling_low", _NUMBER, "lower end of its 95 % interval"),
    ("fraction_of_ceiling_high", _NUMBER, "upper end"),
    ("fraction_of_peak", _NUMBER, "payload a second over the memory's theoretical peak (GPU)"),
    ("prepare_memory_bytes", _COUNT, "what preparing added: library, kernels, pools"),
    ("extra_memory_bytes", _COUNT, "the most that the first lookup held beyond that and its operands"),
    ("allocates", _FLAG, "whether the lookup returned memory of its own instead of the given tensor"),
    ("touched_bytes", _COUNT, "distinct rows, ids and output of one lookup"),
    ("cache_bytes", _COUNT, "last-level cache"),
    ("cache_resident", _FLAG, "whether the whole table fits there"),
    ("huge_pages_fraction", _NUMBER, "share of the table that lies on huge pages (CPU)"),
    ("autocorrelation", _NUMBER, "lag-1, of samples within rounds"),
    ("held", _FLAG, "whether the queue was full in every kernel sample (GPU)"),
    (
        "sustained_gb_per_s",
        _NUMBER,
        "payload a second over the phase in which the counters were read: lookups on end, nothing swept",
    ),
    ("dram_gb_per_s", _NUMBER, "memory traffic that the counters saw in that phase, of all who use the GPU"),
    ("dram_bytes_per_lookup", _NUMBER, "the same, for each lookup"),
    ("dram_missing", _TEXT, "why those two are missing"),
    ("joules_per_lookup", _NUMBER, "energy of GPU or processor package in that phase, for each lookup"),
    ("joules_per_gb", _NUMBER, "the same, for each GB of payload"),
    ("mean_power_w", _NUMBER, "the same, for each second"),
    ("energy_missing", _TEXT, "why the energy is missing"),
    ("sm_clock_before_mhz", _NUMBER, "clock of the multiprocessors when that phase began"),
    ("sm_clock_after_mhz", _NUMBER, "and when it ended"),
    ("throttled_s", _NUMBER, "how long the GPU's clocks were held down while the case was measured"),
    ("measurement", _TEXT, "the rounds it took part in, shared by those that took turns"),
)
COLUMNS = {name: kind for name, kind, _ in _COLUMNS}
"""The columns of the table and of records.csv, in order, and the pandas type of each."""
MEANINGS = {name: text for name, _, text in _COLUMNS}
"""What each of them holds."""

CASE_THROTTLED = "case_throttled_"
_CAUSES = {
    "software_power_cap": "the power limit",
    "sync_boost": "a group of GPUs that is kept alike",
    "software_thermal": "temperature, by the driver",
    "hardware_thermal": "temperature, by the hardware",
    "hardware_power_brake": "the power supply",
}
TELEMETRY = {
    "memory_before_bytes": "memory in use on the device before this process, by others (GPU)",
    "context_bytes": "memory that the process's context took (GPU)",
    **{
        f"{CASE_THROTTLED}{name}_s": f"clocks held down by {why}, all rounds of the case"
        for name, why in _CAUSES.items()
    },
    "sustained_lookups": "lookups in the phase of nothing else in which the counters are read",
    "sustained_s": "how long that phase took",
    "payload_bytes_per_s": "declared bytes a second in it (GPU)",
    "dram_bytes_per_s": "memory traffic of all who use the GPU: utilisation times peak (Hopper or newer)",
    "dram_bytes_per_lookup": "the same, for each lookup",
    "dram_utilisation_fraction": "memory traffic as a share of the theoretical peak, as GPM tells it",
    "energy_j": "energy of the GPU, or of all processor packages (powercap)",
    "joules_per_lookup": "the same, for each lookup",
    "joules_per_gb": "the same, for each GB of payload",
    "mean_power_w": "the same, for each second",
    "sm_utilisation_fraction": "share of the time in which the multiprocessors had work (GPU)",
    "sm_occupancy_fraction": "warps resident, of those that could be (GPU)",
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
    **{f"throttled_{name}_s": f"clocks held down by {why}, in the phase" for name, why in _CAUSES.items()},
}
"""The figures in ``Record.telemetry``; beside a null stands ``<name>_missing``, the reason."""

_UNITS = {
    "_fraction": "of 1",
    "_gb_per_s": "GB/s",
    "_bytes_per_s": "bytes/s",
    "_bytes_per_lookup": "bytes",
    "joules_per_lookup": "J",
    "joules_per_gb": "J/GB",
    "_bytes": "bytes",
    "_mhz": "MHz",
    "_hz": "Hz",
    "_us": "µs",
    "_s": "s",
    "_w": "W",
    "_j": "J",
    "_c": "°C",
}


def unit(name: str) -> str:
    """The unit of a quantity, from its name; nothing for text, flags and counts."""
    stem = name.removesuffix("_before").removesuffix("_after")
    if name.startswith("fraction_of_"):
        return _UNITS["_fraction"]
    return next((text for end, text in _UNITS.items() if f"_{stem}".endswith(end)), "")
