"""Records of a run: samples, memory, traffic, the environment; to JSON and back, strictly."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Literal, TypeVar

from suite.cases.case import Case
from suite.records import fast, strict

SCHEMA = 1
"""Version of the fields below; a reader refuses any other."""
METHOD = 5
"""Version of how times are measured; results/README.md has the changelog."""
AS_ON_A_CPU = {5: 4}
"""Versions that measure on a CPU, and read its meter, as an earlier one does."""

Status = Literal[
    "ok",
    "wrong",
    "unsupported",
    "unavailable",
    "out_of_memory",
    "timed_out",
    "crashed",
    "error",
    "left_out",
]
Clock = Literal["kernel", "call"]
Role = Literal["backend", "ceiling"]
Fact = str | int | float | bool | None
Rounds = tuple[tuple[float, ...], ...]
"""Times in seconds, in the order taken, an inner tuple a round."""


@dataclass(frozen=True, slots=True)
class Samples:
    """Raw timings of one lookup, in seconds, in the order taken, one inner tuple a round; none dropped.

    Attributes:
        kernel_s: device time, with the queue kept full so that it includes no dispatch (CUDA).
        enqueue_s: host time until the call returns (CUDA).
        call_s: host time until the rows are complete.
        settling_s: the warm-up: the first calls of each turn, kept apart, as the turn before slows them.
        calls_per_sample: lookups between two readings of the clock; times are already divided by it.
        held: whether the queue was full during every kernel sample; null where there is no queue.
        overhead_s: time to read the clock, included in every sample (divided by calls_per_sample).
        began_s: when each turn began, in seconds since the epoch.
        meter_s: what the meter read in each turn: before it, between samples, after it; empty without one. By
            a kernel clock, what 10,000 cycles of the GPU took in each hold of the queue.
        meter_threads: how many threads the meter ran on; null without one, and of a GPU's.
        graph_s: device time of a lookup as a part of a CUDA graph of lookups that is replayed (CUDA).
        graph_missing: why there are no such times; null where there are, and without a GPU.
    """

    call_s: Rounds
    kernel_s: Rounds | None = None
    enqueue_s: Rounds | None = None
    settling_s: Rounds = ()
    calls_per_sample: int = 1
    held: bool | None = None
    overhead_s: float | None = None
    began_s: tuple[float, ...] = ()
    meter_s: Rounds = ()
    meter_threads: int | None = None
    graph_s: Rounds | None = None
    graph_missing: str | None = None

    def times(self, clock: Clock) -> Rounds:
        """The samples by one clock, by round; none where that clock was not read."""
        return (self.kernel_s if clock == "kernel" else self.call_s) or ()

    @property
    def numbers_of_rounds(self) -> list[int]:
        """How many rounds each clock that was read has."""
        return [len(times) for times in (self.call_s, self.kernel_s, self.enqueue_s, self.graph_s) if times]


@dataclass(frozen=True, slots=True)
class Memory:
    """Memory of a case and of one backend's lookups, in bytes; null where it was not measured.

    Attributes:
        table_bytes: the table as allocated: its resident pages; on a GPU the growth of memory in use.
        prepare_bytes: memory that ``prepare`` added: library, kernels, pools.
        extra_bytes: the peak of the first lookup beyond that and its operands.
        allocates: whether the lookup returned memory of its own instead of ``out``.
        reason: why a null is null.
    """

    table_bytes: int | None = None
    prepare_bytes: int | None = None
    extra_bytes: int | None = None
    allocates: bool | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Traffic:
    """Bytes that the lookups of a case touch, against the cache they go through.

    Attributes:
        distinct: distinct ids in a batch, the median over the batches in rotation.
        touched_bytes: distinct rows, ids and output of one lookup.
        cache_bytes: the last-level cache (CPU: with the level above it; GPU: L2).
        cache_resident: whether the whole table fits there.
        rotated: number of batches of ids in rotation.
        flushed: whether the caches were flushed before each turn because rotation was not enough.
        huge_pages: the share of the table on huge pages (CPU); null where unknown.
    """

    distinct: int
    touched_bytes: int
    cache_bytes: int
    cache_resident: bool
    rotated: int
    flushed: bool
    huge_pages: float | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """The outcome of one backend on one case. Status and numbers never share a field.

    Attributes:
        backend: its name; of a ceiling, the kind of copy.
        device: ``cpu`` or ``cuda:N``.
        case: the table and the ids of the lookup.
        status: ``ok``, or the kind of failure; ``left_out`` where it was not tried: after failures
            elsewhere, or for want of time.
        reason: why it failed; null if it is ok.
        measurement: name of the rounds it took part in; ratios are taken between records that share it.
        role: ``ceiling`` for the contiguous copy of the same bytes that took turns with the backends.
        clock: which of the times is the result: ``kernel`` or ``call``; null without samples.
        samples: every timing taken; null of a failure.
        converged: whether the median's interval reached the asked precision; null without samples.
        traffic: bytes that the lookups touch; null where the case was never set up.
        memory: memory held for it.
        telemetry: figures of NVML or of the host's counters, each a value, or null with a reason beside it.
        schema: version of these fields.
        method: version of how times are measured.
        pass_number: which pass over the cases of the run it is of, from 1; each has new processes and tables.
        environment: name of the Python environment, where several took turns; null for the run's own; of one
            in ``environment-2.json``, ``NAME+2`` or ``2``.
    """

    backend: str
    device: str
    case: Case
    status: Status
    reason: str | None
    measurement: str
    role: Role = "backend"
    clock: Clock | None = None
    samples: Samples | None = None
    converged: bool | None = None
    traffic: Traffic | None = None
    memory: Memory = field(default_factory=Memory)
    telemetry: dict[str, Fact] = field(default_factory=dict)
    schema: int = SCHEMA
    method: int = METHOD
    pass_number: int = 1
    environment: str | None = None

    def __post_init__(self) -> None:
        if (self.status == "ok") != (self.samples is not None):
            raise ValueError("a record has samples if and only if its status is ok")
        if (self.status == "ok") != (self.reason is None):
            raise ValueError("a record has a reason if and only if its status is not ok")
        if (self.samples is None) != (self.clock is None):
            raise ValueError("a record names a clock if and only if it has samples")
        if self.samples is not None and len(set(self.samples.numbers_of_rounds)) > 1:
            raise ValueError("a record's times are of the same rounds, by each clock")

    @property
    def rounds(self) -> Rounds:
        """The samples that are its result: those by its own clock; none of a failure."""
        return self.samples.times(self.clock) if self.samples and self.clock else ()


@dataclass(frozen=True, slots=True)
class Environment:
    """Where and how a run was made; one for each run.

    Attributes:
        created: when, in UTC (ISO 8601).
        argv: the arguments as given.
        seed: the seed of ids and orders.
        plan: a digest of the planned cases, backends and settings; a run is resumed only under the same plan.
        commit: the commit of the suite.
        dirty: whether its code differed from that; null where unknown.
        machine: a digest of the host's name and hardware, the same in all runs of one machine.
        devices: the devices measured.
        packages: versions of the packages that backends need; null where not installed.
        cpu: the processor as the kernel reports it: model, caches, clocks, what this process may use.
        system: kernel, libraries, memory, load at the start; how many runs measured at once on the host.
        gpu: the GPU as NVML reports it: name, driver, clocks, limits, theoretical peak; empty without one.
        settings: limits of the measurement: precision, budgets, threads, the counters' phase.
        noise_floor: the relative difference that equal things showed between passes; null if not measured.
        schema: version of these fields.
        method: version of how times are measured.
        full_speed_s: what the meter reads at this machine's full speed, by its number of threads.
        environments: of each Python environment that took turns: its interpreter and versions of packages.
        whose: of each backend, whose code a lookup is: a call of a ``library``, a kernel of this ``suite``,
            or ``other``.
        digests: what tells the contents of its inputs from others: of the ``suite``'s code, of ``ids NAME``
            and ``ids text``, of each ``backend NAME`` and what it imports from beside it.
        requires: of each backend, the distributions it needs, as it names them.
    """

    created: str
    argv: tuple[str, ...]
    seed: int
    plan: str
    commit: str
    dirty: bool | None
    machine: str
    devices: tuple[str, ...]
    packages: dict[str, Fact]
    cpu: dict[str, Fact]
    system: dict[str, Fact]
    gpu: dict[str, Fact] = field(default_factory=dict)
    settings: dict[str, Fact] = field(default_factory=dict)
    noise_floor: float | None = None
    schema: int = SCHEMA
    method: int = METHOD
    full_speed_s: dict[str, Fact] = field(default_factory=dict)
    environments: dict[str, dict[str, Fact]] = field(default_factory=dict)
    whose: dict[str, Fact] = field(default_factory=dict)
    digests: dict[str, Fact] = field(default_factory=dict)
    requires: dict[str, Fact] = field(default_factory=dict)

    @property
    def measured_as(self) -> int:
        """The version of the method that its times are comparable with."""
        on_a_cpu = not any(device.startswith("cuda") for device in self.devices)
        return AS_ON_A_CPU.get(self.method, self.method) if on_a_cpu else self.method


T = TypeVar("T", Record, Environment)


def to_json(value: Record | Environment) -> str:
    """One line of JSON. Raises ValueError for NaN or infinity: they are never written."""
    return json.dumps(dataclasses.asdict(value), allow_nan=False, ensure_ascii=False, separators=(",", ":"))


def from_json(kind: type[T], line: bytes) -> T:
    """Read what ``to_json`` wrote, as UTF-8.

    Raises:
        ValueError: not UTF-8, not JSON, another schema, an unknown, missing or doubled key, a wrong type,
            NaN, or nested too deep; the message says which.
    """
    value = fast.read(kind, line)
    if value is not None and value.schema == SCHEMA:
        return value
    try:
        tree = strict.parse(line.decode())
    except UnicodeDecodeError:
        raise ValueError("not UTF-8") from None
    if tree.get("schema") != SCHEMA:
        raise ValueError(f"schema {tree.get('schema')!r}, this reader knows {SCHEMA}")
    return strict.build(kind, tree)
