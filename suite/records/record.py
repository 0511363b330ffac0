"""What a run writes down: samples, records, the environment; to and from JSON, strictly."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Literal, TypeVar

from suite.cases.case import Case
from suite.records import fast, strict

SCHEMA = 1
"""Version of the fields below. A reader refuses what it does not know."""
METHOD = 3
"""Version of how times are taken; results/README.md has the changelog."""

Status = Literal[
    "ok", "wrong", "unsupported", "unavailable", "out_of_memory", "timed_out", "crashed", "error"
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
        kernel_s: device time, the queue held full so that dispatch is not in it (CUDA).
        enqueue_s: host time until the call returns (CUDA).
        call_s: host time until the rows are there.
        settling_s: the first calls of each turn, set apart: they pay for the turn before.
        calls_per_sample: lookups between two readings of the clock; times are already divided by it.
        held: whether the queue was full in every kernel sample; null where there is no queue.
        overhead_s: what reading the clock costs, included in every sample (divided by calls_per_sample).
        processes: how many of the rounds each process took, where several measured; empty of one.
    """

    call_s: Rounds
    kernel_s: Rounds | None = None
    enqueue_s: Rounds | None = None
    settling_s: Rounds = ()
    calls_per_sample: int = 1
    held: bool | None = None
    overhead_s: float | None = None
    processes: tuple[int, ...] = ()

    def times(self, clock: Clock) -> Rounds:
        """The samples by one clock, by round; none where that clock was not read."""
        return (self.kernel_s if clock == "kernel" else self.call_s) or ()


@dataclass(frozen=True, slots=True)
class Memory:
    """Memory of a case and of one backend's lookups, in bytes; null where it was not measured.

    Attributes:
        table_bytes: the table as allocated: its resident pages; on a GPU what came into use with it.
        prepare_bytes: what ``prepare`` added: library, kernels, pools.
        extra_bytes: the most that the first lookup held beyond that and its operands.
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
    """What the lookups of a case touch, in bytes, against the cache they go through.

    Attributes:
        distinct: distinct ids in a batch, the median over the batches rotated.
        touched_bytes: distinct rows, ids and output of one lookup.
        cache_bytes: the last-level cache (CPU: with the level above it; GPU: L2).
        cache_resident: whether the whole table fits there.
        rotated: how many batches of distinct ids took turns.
        flushed: whether the caches were swept before each turn because rotation could not do it.
        huge_pages: the share of the table that lies on huge pages (CPU); null where it was not seen.
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
        backend: who looked up; of a ceiling, how it was copied.
        device: ``cpu`` or ``cuda:N``.
        case: what was looked up.
        status: ``ok``, or how it failed.
        reason: why, in words; null if it is ok.
        measurement: the rounds it took part in; ratios are taken between records that share one.
        role: ``ceiling`` for the contiguous copy of the same bytes that took turns with the backends.
        clock: which of the times is the result: ``kernel`` or ``call``; null without samples.
        samples: every timing taken; null of a failure.
        converged: whether the median's interval reached the asked precision; null without samples.
        traffic: what the lookups touch; null where the case was never set up.
        memory: what was held for it.
        telemetry: what NVML or the host's counters saw, each figure a value or null, the reason beside it.
        schema: version of these fields.
        method: version of how times are taken.
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

    def __post_init__(self) -> None:
        if (self.status == "ok") != (self.samples is not None):
            raise ValueError("a record has samples if and only if its status is ok")
        if (self.status == "ok") != (self.reason is None):
            raise ValueError("a record has a reason if and only if its status is not ok")
        if (self.samples is None) != (self.clock is None):
            raise ValueError("a record names a clock if and only if it has samples")

    @property
    def rounds(self) -> Rounds:
        """The samples that are its result: those by its own clock; none of a failure."""
        return self.samples.times(self.clock) if self.samples and self.clock else ()


@dataclass(frozen=True, slots=True)
class Environment:
    """Where and how a run was made; one a run.

    Attributes:
        created: when, in UTC (ISO 8601).
        argv: the arguments as given.
        seed: what ids and orders were drawn from.
        plan: a digest of the cases, backends and settings planned, so that a run is resumed as it began.
        commit: of the suite.
        dirty: whether its code differed from that; null where that is not known.
        machine: a digest of the host's name and hardware: runs of one machine share it.
        devices: those measured.
        packages: versions of what backends need; null where it is not installed.
        cpu: the processor as the kernel tells it: model, caches, clocks, what this process may use.
        system: kernel, libraries, memory, load when it began.
        gpu: the GPU as NVML tells it: name, driver, clocks, limits, theoretical peak; empty without one.
        settings: what bounds the measuring: precision, budgets, threads, the counters' phase.
        noise_floor: the relative difference this machine showed between a backend and itself, if known.
        schema: version of these fields.
        method: version of how times are taken.
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


T = TypeVar("T")


def to_json(value: Record | Environment) -> str:
    """One line of JSON. Raises ValueError for NaN or infinity: they are never written."""
    return json.dumps(dataclasses.asdict(value), allow_nan=False, ensure_ascii=False, separators=(",", ":"))


def from_json(kind: type[T], line: bytes) -> T:
    """Read a dataclass from a line of UTF-8; of the kinds that have a schema, only this one's.

    Raises:
        ValueError: not UTF-8, not JSON, another schema, an unknown, missing or doubled key, a wrong type,
            NaN, or nested too deep; the message says which.
    """
    value = fast.read(kind, line)
    if value is not None and getattr(value, "schema", SCHEMA) == SCHEMA:
        return value
    try:
        tree = strict.parse(line.decode())
    except UnicodeDecodeError:
        raise ValueError("not UTF-8") from None
    if "schema" in kind.__annotations__ and tree.get("schema") != SCHEMA:
        raise ValueError(f"schema {tree.get('schema')!r}, this reader knows {SCHEMA}")
    return strict.build(kind, tree)
