"""One case measured by several processes: their records merged into one, and their rounds by process."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from suite import stats
from suite.records.record import Record, Rounds, Samples

FEWEST = 6
"""Of fewer values than these the interval of a median is unbounded."""


def by_process(medians: Sequence[float], processes: Sequence[int]) -> tuple[float, ...]:
    """The independent values of a time: a median of each process where there are many, else of each round.

    What a process gets once (addresses, pages, threads) all its rounds share, so the rounds of few processes
    say less than their number suggests. The interval is then still over rounds, as for one process.

    Args:
        medians: of each round, in order; nan of a round without samples. processes: how many of the rounds
            each process took, in order; empty of one process.
    """
    if len(processes) < FEWEST:
        return tuple(medians)
    values: list[float] = []
    start = 0
    for count in processes:
        values.append(stats.order_statistics(medians[start : start + count]).value)
        start += count
    return tuple(values)


def merged(parts: Sequence[Sequence[Record]], precision: float) -> list[Record]:
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
            in_use = first.measurement in names.values()
            names[shared] = f"{first.measurement}-{first.backend}" if in_use else first.measurement
            beside = [known[name] for known, name in zip(ceilings, shared, strict=True) if name in known]
            if len(beside) == len(parts):
                copies.append(_merged(beside, names[shared], precision))
        backends.append(_merged(own, names[shared], precision))
    return backends + copies


def _of(backend: str, part: Sequence[Record]) -> Record:
    return next(r for r in part if r.role == "backend" and r.backend == backend)


def _merged(own: Sequence[Record], measurement: str, precision: float) -> Record:
    """All samples, with memory and counters of the first process; the first failure if one failed."""
    failed = [(number, record) for number, record in enumerate(own, 1) if record.status != "ok"]
    if failed:
        number, record = failed[0]
        everywhere = len(failed) == len(own)
        reason = record.reason if everywhere else f"in process {number} of {len(own)}: {record.reason}"
        return replace(record, measurement=measurement, reason=reason)
    samples = _chained([record.samples for record in own if record.samples])
    record = replace(
        own[0],
        backend=" or ".join(dict.fromkeys(record.backend for record in own)),
        measurement=measurement,
        samples=samples,
    )
    medians = [stats.order_statistics(times).value for times in record.rounds]
    values = by_process(medians, samples.processes)
    return replace(record, converged=stats.order_statistics(values).precision <= precision)


def _chained(parts: Sequence[Samples]) -> Samples:
    first = parts[0]
    return Samples(
        call_s=_joined(s.call_s for s in parts),
        kernel_s=_joined(s.kernel_s or () for s in parts) if first.kernel_s else None,
        enqueue_s=_joined(s.enqueue_s or () for s in parts) if first.enqueue_s else None,
        settling_s=_joined(s.settling_s for s in parts),
        calls_per_sample=first.calls_per_sample,
        held=None if first.held is None else all(s.held for s in parts),
        overhead_s=first.overhead_s,
        processes=tuple(len(s.call_s) for s in parts),
    )


def _joined(processes: Iterable[Rounds]) -> Rounds:
    return tuple(samples for rounds in processes for samples in rounds)
