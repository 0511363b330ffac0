"""Plausible runs made up from a seed: what the tests of store, report and compare read."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from suite.cases.case import Case
from suite.records.record import Environment, Fact, Memory, Record, Samples, Traffic
from suite.records.store import Run
from tests.support import operations

CASES = (
    Case(50257, 768, "float32", 512),
    Case(128256, 4096, "bfloat16", 8192),
    Case(1_000_000, 64, "float32", 65536, distribution="zipf"),
)
CASE = CASES[0]
SPEED = {"torch_index_select": 1.0, "numba_cpu": 0.5, "numpy_take": 2.0}
"""Backends and how many times longer than the first they take."""
COPY_BYTES_PER_S = 20e9
BEGAN_S = 1.7e9
METER_S = 1.5e-5
"""What the meter reads at full speed."""
TURN_S = 0.02
SLOW = 1.4
"""How many times longer all takes in a slow stretch."""
ENVIRONMENT = Environment(
    created="2026-11-23T12:00:00+00:00",
    argv=("suite.run", "--preset", "smoke"),
    seed=0,
    plan="0" * 16,
    commit="1" * 40,
    dirty=False,
    machine="a" * 16,
    devices=("cpu",),
    packages={"numpy": "2.4.0"},
    cpu={"model": "a processor", "physical_cores": 4},
    system={"distribution": "Some Linux 1"},
    noise_floor=0.02,
)


def rounds(seconds: float, draw: random.Random, count: int = 12, each: int = 5, noise: float = 0.004) -> Any:
    """Samples around a time, in rounds."""
    return tuple(tuple(seconds * draw.lognormvariate(0.0, noise) for _ in range(each)) for _ in range(count))


def samples(seconds: float, draw: random.Random, clock: str = "call", **shape: Any) -> Samples:
    """Samples whose headline clock shows about ``seconds``."""
    if clock == "call":
        return Samples(call_s=rounds(seconds, draw, **shape), settling_s=rounds(seconds * 1.3, draw, 2, 1))
    return Samples(
        call_s=rounds(seconds + 9e-6, draw, **shape),
        kernel_s=rounds(seconds, draw, **shape),
        enqueue_s=rounds(4e-6, draw, **shape),
        held=True,
    )


def traffic(case: Case) -> Traffic:
    distinct = -(-9 * case.batch // 10)
    return Traffic(distinct, case.compulsory_bytes(distinct), 32 * 2**20, case.table_bytes < 2**25, 8, False)


def counted(case: Case, seconds: float, dram: float = 1.0, joules_per_gb: float = 0.1) -> dict[str, Fact]:
    """What a GPU's counters would say of such lookups; ``dram``: bytes moved in times of those declared."""
    rate, lookups = case.payload_bytes / seconds, int(1.5 / seconds)
    joules = joules_per_gb * case.payload_bytes / 1e9
    return {
        "sustained_lookups": lookups,
        "sustained_s": lookups * seconds,
        "payload_bytes_per_s": rate,
        "dram_bytes_per_s": dram * rate,
        "dram_bytes_per_lookup": dram * case.payload_bytes,
        "dram_utilisation_fraction": dram * rate / 3.35e12,
        "energy_j": joules * lookups,
        "joules_per_lookup": joules,
        "joules_per_gb": joules_per_gb,
        "mean_power_w": joules / seconds,
        "sm_clock_hz_before": 1_980_000_000,
        "sm_clock_hz_after": 1_755_000_000,
        "case_throttled_software_power_cap_s": 0.0,
        "case_throttled_hardware_thermal_s": None,
        "case_throttled_hardware_thermal_s_missing": "not supported",
    }


def record(
    backend: str, case: Case, seconds: float, draw: random.Random, measurement: str, **changes: Any
) -> Record:
    """One record that is ok, unless ``changes`` says otherwise."""
    shape = changes.pop("shape", {})
    clock = changes.get("clock", "call")
    made = Record(
        backend=backend,
        device=changes.pop("device", "cpu"),
        case=case,
        status="ok",
        reason=None,
        measurement=measurement,
        clock=clock,
        samples=samples(seconds, draw, clock, **shape),
        converged=True,
        traffic=traffic(case),
        memory=Memory(table_bytes=case.table_bytes, prepare_bytes=2**20, extra_bytes=0, allocates=False),
    )
    return replace(made, **changes)


def failure(
    backend: str,
    case: Case,
    measurement: str,
    *,
    status: Any = "unsupported",
    reason: Any = "rows are odd",
    device: Any = "cpu",
) -> Any:
    return Record(backend, device, case, status, reason, measurement)


def measurement(
    case: Case,
    number: int = 0,
    speed: Mapping[str, float] = SPEED,
    seed: int = 0,
    **changes: Any,
) -> list[Record]:
    """The records of one measurement: the ceiling and each backend, in the order of ``speed``."""
    draw = random.Random(f"{seed} {number}")
    name, seconds = f"m{number}", case.payload_bytes / COPY_BYTES_PER_S * 2.5
    copy = case.ceiling_bytes / COPY_BYTES_PER_S
    ceiling = record("contiguous_copy", case, copy, draw, name, role="ceiling", **dict(changes))
    return [ceiling] + [
        record(backend, case, seconds * factor, draw, name, **dict(changes))
        for backend, factor in speed.items()
    ]


def holding(names: Iterable[str | None], environment: Environment = ENVIRONMENT) -> Environment:
    """An environment in which Python environments of these names take turns."""
    known = {name: {"version": "3.13.1"} for name in names if name is not None}
    return replace(environment, environments={**known, **environment.environments})


def steady(at_s: float) -> float:
    """How many times slower than at full speed a machine is that never changes."""
    return 1.0


def slow_between(*stretches: tuple[float, float]) -> Callable[[float], float]:
    """The same of one that is slow in some stretches, each its first and last second of the run."""
    return lambda at_s: SLOW if any(low <= at_s < high for low, high in stretches) else 1.0


def metered(
    records: Sequence[Record], began_s: float = 0.0, slowness: Callable[[float], float] = steady
) -> list[Record]:
    """The records of one measurement with a meter's readings around each turn, taken at a machine's speed.

    Args:
        began_s: seconds of the run before it. slowness: at a second of the run, how many times slower.
    """
    draw = random.Random(f"meter {began_s}")
    taken: list[Record] = []
    for place, one in enumerate(records):
        turns = [began_s + TURN_S * (place + len(records) * k) for k in range(len(one.rounds))]
        slow = [slowness(at_s) for at_s in turns]

        def slowed(rounds: Any, slow: Sequence[float] = slow) -> Any:
            return rounds and tuple(
                tuple(s * times for s in some) for some, times in zip(rounds, slow, strict=False)
            )

        meters = tuple(tuple(METER_S * times * draw.uniform(1, 1.01) for _ in range(2)) for times in slow)
        samples = replace(
            one.samples,
            **{name: slowed(getattr(one.samples, name)) for name in ("call_s", "kernel_s", "enqueue_s")},
            began_s=tuple(BEGAN_S + at_s for at_s in turns),
            meter_s=meters,
            meter_threads=1,
        )
        taken.append(replace(one, samples=samples))
    return taken


def passes(
    path: Path,
    cases: Iterable[Case] = CASES,
    count: int = 3,
    environments: Mapping[str | None, float] = MappingProxyType({None: 1.0}),
    slowness: Callable[[float], float] = steady,
    environment: Environment = ENVIRONMENT,
    speed: Mapping[str, float] = SPEED,
    **options: Any,
) -> Run:
    """A run on disk that went over its cases several times, the machine's speed measured with each turn.

    Args:
        environments: by name, how many times longer the backends take in it. slowness: as in ``metered``.
    """
    made, at_s = Run.create(path, holding(environments, environment)), 0.0
    for number in range(1, count + 1):
        for place, case in enumerate(cases):
            some = [
                replace(one, measurement=f"p{number}-m{place}", pass_number=number, environment=name)
                for k, (name, factor) in enumerate(environments.items())
                for one in measurement(
                    case, place, {b: factor * of for b, of in speed.items()}, 100 * number + k, **options
                )
            ]
            made.append(metered(some, at_s, slowness))
            at_s += TURN_S * len(some) * max(len(one.rounds) for one in some)
    return made


def run(
    path: Path,
    cases: Iterable[Case] = CASES,
    environment: Environment = ENVIRONMENT,
    extra: Iterable[Record] = (),
    **options: Any,
) -> Run:
    """A run on disk: a measurement a case, then ``extra`` records."""
    made = Run.create(path, environment)
    options = {"method": environment.method, **options}
    for number, case in enumerate(cases):
        made.append(measurement(case, number, **options))
    made.append(extra)
    return made


def of_two_operations(path: Path, environment: Environment = ENVIRONMENT, slower: float = 1.0) -> Run:
    """Lookups and ``pooled`` calls in turns; numba_cpu is the fastest of the first, the slowest of those.

    Args:
        slower: how many times longer than else the second of the pooling backends takes.
    """
    made = Run.create(path, environment)
    pools = {"pool_plain": 0.1, "pool_other": 0.2 * slower, "numba_cpu": 0.4}
    for number, case in enumerate(operations.beside_lookups()):
        made.append(measurement(case, number, SPEED if case.operation == "lookup" else pools))
    return made


def of_two_clocks(path: Path, cases: Iterable[Case] = (CASE,)) -> Run:
    """A run of a GPU: by kernel time x, then y; by call time z, which has only that, then y, then x."""
    made = Run.create(path, replace(ENVIRONMENT, devices=("cuda:0",)))
    own: dict[str, Any] = {"device": "cuda:0", "shape": {"noise": 0.0}}
    for number, case in enumerate(cases):
        copy, x, y = measurement(case, number, {"x": 1.0, "y": 3.0}, clock="kernel", **own)
        z = measurement(case, number, {"z": 0.9}, clock="call", **own)[1]
        x, y = (
            replace(
                one,
                samples=replace(one.samples, call_s=tuple(tuple(s * by for s in of) for of in one.rounds)),
            )
            for one, by in ((x, 4.0), (y, 1.2))
        )
        made.append([copy, z, y, x])
    return made
