"""One case measured by several processes: their records put together, and their rounds by process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from suite import stats
from suite.records.record import Record, Samples

Taken = tuple[tuple[float, ...], ...]

FEWEST = 6
"""Under so many values the interval of a median is unbounded."""


def by_process(rounds: Taken, processes: Sequence[int]) -> Taken:
    """The units that samples vary by: the median of each of many processes, else the rounds as they are.

    What a process is dealt once (addresses, pages, threads) all its rounds share, so rounds of few processes
    tell less than their number. The interval is then still over them, as it is of one process.

    Args:
        processes: how many of the rounds each took, in order.
    """
    if len(processes) < FEWEST:
        return rounds
    units: list[tuple[float, ...]] = []
    start = 0
    for count in processes:
        medians = stats.round_medians(rounds[start : start + count])
        units.append((stats.median([(one,) for one in medians]).value,) if medians else ())
        start += count
    return tuple(units)


def together(parts: Sequence[Sequence[Record]], precision: float) -> list[Record]:
    """One record of each backend, and of each ceiling that took part in the same rounds of every process.

    Args:
        parts: what each process measured of one task, the same backends. precision: the one asked for.
    """
    if len(parts) == 1:
        return list(parts[0])
    ceilings = [{r.measurement: r for r in part if r.role == "ceiling"} for part in parts]
    names: dict[tuple[str, ...], str] = {}
    backends: list[Record] = []
    copies: list[Record] = []
    for first in (r for r in parts[0] if r.role == "backend"):
        own = [_of(first.backend, part) for part in parts]
        shared = tuple(r.measurement for r in own)
        if shared not in names:
            taken = first.measurement in names.values()
            names[shared] = f"{first.measurement}-{first.backend}" if taken else first.measurement
            beside = [known[name] for known, name in zip(ceilings, shared, strict=True) if name in known]
            if len(beside) == len(parts):
                copies.append(_one(beside, names[shared], precision))
        backends.append(_one(own, names[shared], precision))
    return backends + copies


def _of(backend: str, part: Sequence[Record]) -> Record:
    return next(r for r in part if r.role == "backend" and r.backend == backend)


def _one(own: Sequence[Record], measurement: str, precision: float) -> Record:
    """All samples, and what the first process saw of memory and counters; else the first failure."""
    failed = [(number, record) for number, record in enumerate(own, 1) if record.status != "ok"]
    if failed:
        number, record = failed[0]
        everywhere = len(failed) == len(own)
        reason = record.reason if everywhere else f"in process {number} of {len(own)}: {record.reason}"
        return replace(record, measurement=measurement, reason=reason)
    head, taken = own[0], [record.samples for record in own if record.samples]
    samples = Samples(
        call_s=_chained([s.call_s for s in taken]),
        kernel_s=_chained([s.kernel_s for s in taken if s.kernel_s]) if taken[0].kernel_s else None,
        enqueue_s=_chained([s.enqueue_s for s in taken if s.enqueue_s]) if taken[0].enqueue_s else None,
        settling_s=_chained([s.settling_s for s in taken]),
        calls_per_sample=taken[0].calls_per_sample,
        held=None if taken[0].held is None else all(s.held for s in taken),
        overhead_s=taken[0].overhead_s,
        processes=tuple(len(s.call_s) for s in taken),
    )
    units = by_process(samples.kernel_s or samples.call_s, samples.processes)
    return replace(
        head,
        backend=" or ".join(dict.fromkeys(record.backend for record in own)),
        measurement=measurement,
        samples=samples,
        converged=stats.median(units).precision <= precision,
    )


def _chained(rounds: Sequence[Taken]) -> Taken:
    return tuple(one for process in rounds for one in process)
