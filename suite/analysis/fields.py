"""Columns of the table: name, pandas type, meaning and unit of each."""

from __future__ import annotations

_TEXT, _COUNT, _NUMBER, _FLAG = "string", "Int64", "float64", "boolean"

_COLUMNS: tuple[tuple[str, str, str], ...] = (
    ("run", _TEXT, "folder of the run"),
    ("backend", _TEXT, "its name"),
    ("status", _TEXT, "`ok`, or the kind of failure; a failure has no numbers"),
    ("reason", _TEXT, "why it failed"),
    ("device", _TEXT, "`cpu` or `cuda:N`"),
    ("operation", _TEXT, "what was computed: `lookup`, unless asked otherwise"),
    ("variant", _TEXT, "which kind of it; of a lookup empty"),
    ("vocab", _COUNT, "rows of the table"),
    ("dim", _COUNT, "elements of a row"),
    ("dtype", _TEXT, "type of the elements"),
    ("index_dtype", _TEXT, "type of the ids"),
    ("batch", _COUNT, "ids in one lookup; of another operation what it counts, such as bags"),
    ("distribution", _TEXT, "distribution that the ids are drawn from"),
    (
        "cache",
        _TEXT,
        "`cold`: since ids, rows and output were last touched, more was than the caches hold; `hot`: again",
    ),
    ("offset", _COUNT, "bytes by which the table's first row lies off the start of a page"),
    ("placement", _TEXT, "where the table lies: `memory` is the device's own"),
    ("clock", _TEXT, "clock of the result: `kernel` or `call` time"),
    (
        "median_us",
        _NUMBER,
        "time of one lookup by its clock, the result: median over rounds, mean over passes",
    ),
    (
        "ci_low_us",
        _NUMBER,
        "lower end of its 95 % interval over passes; of one pass over rounds, from 6 on",
    ),
    ("ci_high_us", _NUMBER, "upper end"),
    ("samples", _COUNT, "number of samples by that clock"),
    (
        "rounds",
        _COUNT,
        "number of rounds that the result is of: those at full speed unless too few",
    ),
    ("passes", _COUNT, "how many passes over the cases, each with new processes and tables"),
    (
        "full_speed_fraction",
        _NUMBER,
        "share of its rounds at full speed; missing without a meter",
    ),
    ("at_full_speed", _FLAG, "whether enough were; if not, the result is of all and decides nothing"),
    ("converged", _FLAG, "whether the interval reached the precision asked for"),
    (
        "rank",
        _COUNT,
        "place among the backends of its case and device by that clock: 1 the fastest and all tied with it; "
        "missing where only the host timed it and others have kernel times, or the run does not rank",
    ),
    ("kernel_us", _NUMBER, "device time without dispatch (GPU)"),
    ("kernel_low_us", _NUMBER, "lower end of its 95 % interval"),
    ("kernel_high_us", _NUMBER, "upper end"),
    (
        "graph_us",
        _NUMBER,
        "device time of the lookup as a part of a CUDA graph that is replayed (GPU)",
    ),
    ("graph_low_us", _NUMBER, "lower end of its 95 % interval"),
    ("graph_high_us", _NUMBER, "upper end"),
    ("enqueue_us", _NUMBER, "host time until the call returns (GPU)"),
    ("enqueue_low_us", _NUMBER, "lower end of its 95 % interval"),
    ("enqueue_high_us", _NUMBER, "upper end"),
    ("call_us", _NUMBER, "host time until the rows are complete"),
    ("call_low_us", _NUMBER, "lower end of its 95 % interval"),
    ("call_high_us", _NUMBER, "upper end"),
    ("row_bytes", _COUNT, "one row of the table, as it is stored"),
    ("payload_bytes", _COUNT, "of a lookup batch · (index + 2 · row): every row read and written"),
    ("compulsory_bytes", _COUNT, "batch · (index + row) + distinct · row: a repeated id's row read once"),
    ("distinct_fraction", _NUMBER, "share of the ids in a batch that are distinct"),
    ("gb_per_s", _NUMBER, "payload over the result"),
    ("ceiling_gb_per_s", _NUMBER, "speed of the contiguous copy of the same rows in the same rounds"),
    (
        "fraction_of_ceiling",
        _NUMBER,
        "payload a second over the copy's bytes a second, within rounds; above 1 caches helped",
    ),
    ("fraction_of_ceiling_low", _NUMBER, "lower end of its 95 % interval"),
    ("fraction_of_ceiling_high", _NUMBER, "upper end"),
    ("fraction_of_peak", _NUMBER, "payload a second over the memory's theoretical peak (GPU)"),
    ("prepare_memory_bytes", _COUNT, "memory that `prepare` added: library, kernels, pools"),
    ("extra_memory_bytes", _COUNT, "peak of the first lookup beyond that and its operands"),
    ("allocates", _FLAG, "whether the lookup returned memory of its own instead of the given tensor"),
    ("touched_bytes", _COUNT, "distinct rows, ids and output of one lookup"),
    ("cache_bytes", _COUNT, "last-level cache"),
    ("cache_resident", _FLAG, "whether the whole table fits there"),
    ("huge_pages_fraction", _NUMBER, "share of the table on huge pages (CPU)"),
    ("autocorrelation", _NUMBER, "lag-1, of samples within rounds"),
    ("held", _FLAG, "whether the queue was full during every kernel sample (GPU)"),
    (
        "sustained_gb_per_s",
        _NUMBER,
        "payload a second over the phase in which the counters were read: lookups on end, no cache flushed",
    ),
    ("dram_gb_per_s", _NUMBER, "memory traffic by the counters in that phase, of all processes on the GPU"),
    ("dram_bytes_per_lookup", _NUMBER, "the same, for each lookup"),
    ("dram_missing", _TEXT, "why those two are missing"),
    ("joules_per_lookup", _NUMBER, "energy of GPU or processor package in that phase, for each lookup"),
    ("joules_per_gb", _NUMBER, "the same, for each GB of payload"),
    ("mean_power_w", _NUMBER, "the same, for each second"),
    ("energy_missing", _TEXT, "why the energy is missing"),
    ("sm_clock_before_mhz", _NUMBER, "clock of the multiprocessors when that phase began"),
    ("sm_clock_after_mhz", _NUMBER, "and when it ended"),
    (
        "throttled_s",
        _NUMBER,
        "longest time for which one cause held the GPU's clocks down in the rounds of the case",
    ),
    ("file_resident_fraction_before", _NUMBER, "share of a table file in the page cache before a turn"),
    ("file_resident_fraction_after", _NUMBER, "and after it"),
    ("file_read_pages_per_lookup", _NUMBER, "pages of it that a lookup brought into the page cache"),
    ("file_read_bytes_per_lookup", _NUMBER, "bytes that a lookup had read from the device"),
    ("file_over_read", _NUMBER, "the same, over the bytes of the distinct rows that were looked up"),
    ("file_system", _TEXT, "kind of the file system that a table file lies on"),
    ("file_device", _TEXT, "block device under it"),
    (
        "accumulates_in",
        _TEXT,
        "type that bags are added up in, by a trial: float32 or wider, or the table's own",
    ),
    ("measurement", _TEXT, "name of the rounds it took part in, shared by the backends that took turns"),
    ("environment", _TEXT, "name of its Python environment, where several took turns"),
    ("whose", _TEXT, "whose code it is: `library`, `kernel of this suite`, or another's"),
    ("created", _TEXT, "when its run was begun, in UTC (ISO 8601)"),
    ("machine", _TEXT, "digest that tells the machine from others"),
    ("device_name", _TEXT, "model of the processor or the GPU"),
    ("threads", _COUNT, "threads that a library might use"),
    ("commit", _TEXT, "commit of the suite"),
    ("dirty", _FLAG, "whether its code differed from that; missing where unknown"),
    ("method", _COUNT, "version of how times are measured"),
    ("packages", _TEXT, "the backend's own packages, with their versions"),
)
COLUMNS = {name: kind for name, kind, _ in _COLUMNS}
"""The columns of the table and of records.csv, in order, with their pandas types."""
ORIGIN = ("created", "machine", "device_name", "threads", "commit", "dirty", "method", "packages")
"""Columns that say where and with what a row was measured."""
MEANINGS = {name: text for name, _, text in _COLUMNS}
"""Meaning of each column."""

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
    """The unit of a quantity, from its name; empty for text, flags and counts."""
    stem = name.removesuffix("_before").removesuffix("_after")
    if name.startswith("fraction_of_"):
        return _UNITS["_fraction"]
    return next((text for end, text in _UNITS.items() if f"_{stem}".endswith(end)), "")
