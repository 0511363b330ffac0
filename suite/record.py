"""What a run writes down: samples, records, the environment; to and from JSON, strictly."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Literal, TypeVar, get_args

from suite import strict
from suite.case import Case

SCHEMA = 1
"""Version of the fields below. A reader refuses what it does not know."""
METHOD = 1
"""Version of how times are taken; results/README.md has the changelog."""

Status = Literal[
    "ok", "wrong", "unsupported", "unavailable", "out_of_memory", "timed_out", "crashed", "error"
]
STATUSES: tuple[str, ...] = get_args(Status)
Clock = Literal["kernel", "call"]
Role = Literal["backend", "ceiling"]
Fact = str | int | float | bool | None


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
    """

    call_s: tuple[tuple[float, ...], ...]
    kernel_s: tuple[tuple[float, ...], ...] | None = None
    enqueue_s: tuple[tuple[float, ...], ...] | None = None
    settling_s: tuple[tuple[float, ...], ...] = ()
    calls_per_sample: int = 1
    held: bool | None = None
    overhead_s: float | None = None


@dataclass(frozen=True, slots=True)
class Memory:
    """Memory of a case and of one backend's lookups, in bytes; null where it was not measured.

    Attributes:
        table_bytes: the table as allocated.
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
    """

    distinct: int
    touched_bytes: int
    cache_bytes: int
    cache_resident: bool
    rotated: int
    flushed: bool


@dataclass(frozen=True, slots=True)
class Record:
    """The outcome of one backend on one case. Status and numbers never share a field.

    Attributes:
        measurement: the rounds it took part in; ratios are taken between records that share one.
        role: ``ceiling`` for the contiguous copy of the same bytes that took turns with the backends.
        clock: which of the times is the result: ``kernel`` or ``call``.
        converged: whether the median's interval reached the asked precision; null without samples.
        telemetry: what NVML or the host's counters saw, each figure a value or null, the reason beside it.
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


@dataclass(frozen=True, slots=True)
class Environment:
    """Where and how a run was made; one a run.

    Attributes:
        plan: a digest of the cases, backends and settings planned, so that a run is resumed as it began.
        machine: a digest of the host's name and hardware: runs of one machine share it.
        noise_floor: the relative difference this machine showed between a backend and itself.
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


def from_json(kind: type[T], line: str) -> T:
    """Read what ``to_json`` wrote.

    Raises:
        ValueError: not JSON, another schema, an unknown, missing or doubled key, a wrong type, NaN, or
            nested too deep; the message says which.
    """
    tree = strict.parse(line)
    if tree.get("schema") != SCHEMA:
        raise ValueError(f"schema {tree.get('schema')!r}, this reader knows {SCHEMA}")
    return strict.build(kind, tree)
