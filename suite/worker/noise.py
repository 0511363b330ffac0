"""A/A test: one backend in one new process after another; the noise floor is what they differ by."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from time import monotonic

from backends import Choice
from suite import stats
from suite.cases.case import Case, Sweep
from suite.engine.measure import Settings
from suite.records.device import Device
from suite.records.record import Record
from suite.worker.messages import Job
from suite.worker.supervisor import Supervisor

SUBJECT = {"cpu": "numpy_take", "cuda": "torch_index_select"}
"""The backend that is measured, by kind of device."""
LIMIT_S = 1.0
PASSES = 6
"""As many as odd against even need for an interval of each; FEWEST_PASSES where time is short."""
FEWEST_PASSES, MOST_S = 4, 140.0
FEWEST = 4
"""With fewer comparisons the floor is unknown."""
CASES: tuple[Case, ...] = tuple(
    case
    for dim, batches in ((64, (512, 8192)), (768, (17, 512)))
    for case in Sweep((50257,), (dim,), ("float32",), batches, cache=("cold", "hot"))
)


def measured_floor(device: Device, supervisor: Supervisor, cache_bytes: int) -> float | None:
    """The noise floor of a device, in about two minutes of measuring; see ``floor_of``.

    Args:
        cache_bytes: what has to be emptied for a lookup to be cold.
    """
    return floor_of(passes(device, supervisor, cache_bytes))


def passes(device: Device, supervisor: Supervisor, cache_bytes: int) -> list[list[Record]]:
    """The records of each pass over all cases, each pass in a new process."""
    name, settings = SUBJECT[device.kind], Settings(limit_s=LIMIT_S, cache_bytes=cache_bytes)
    choice = Choice(name, name)
    began, found = monotonic(), list[list[Record]]()
    while len(found) < PASSES and (len(found) < FEWEST_PASSES or monotonic() - began < MOST_S):
        supervisor.close()
        jobs = (Job(case, device, (choice,), f"noise-{len(found)}", settings) for case in CASES)
        found.append([record for job in jobs for record in supervisor.measure(job)])
    return found


def floor_of(passes: Sequence[Sequence[Record]]) -> float | None:
    """The noise floor of equal things in different processes: a case's odd passes against its even ones.

    Only rounds at full speed count, and only passes with enough of them.

    Args:
        passes: the records of each.

    Returns:
        The floor, such as 0.013 for 1.3 %; None with fewer than FEWEST usable cases.
    """
    samples = [record.samples for of in passes for record in of if record.samples is not None]
    full = stats.full_speed((one.meter_threads, one.meter_s) for one in samples)
    values: dict[Case, list[float]] = {}
    for of in passes:
        for record in of:
            if record.role == "backend" and record.samples is not None:
                values.setdefault(record.case, []).append(_time(record, full))
    spread = stats.spread_of(values.values())
    return stats.floor_of((stats.halves_ratio(of, spread) for of in values.values()), FEWEST)


def _time(record: Record, full: Mapping[int, float]) -> float:
    """The median of its rounds at full speed, in seconds; nan if they are too few."""
    assert record.samples is not None
    threads, rounds = record.samples.meter_threads, record.rounds
    if threads is not None:
        most = full[threads] * (1 + stats.FULL_SPEED_TOLERANCE)
        turns = zip(rounds, record.samples.meter_s, strict=True)
        rounds = tuple(of for of, readings in turns if max(readings) <= most)
    medians = stats.round_medians(rounds)
    return stats.order_statistics(medians).value if len(medians) >= stats.FEWEST_ROUNDS else math.nan
