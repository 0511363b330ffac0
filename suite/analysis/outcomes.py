"""Outcomes of runs: the last record of each backend and case, with the ceiling of the same rounds."""

from __future__ import annotations

import contextlib
import functools
import gc
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from suite.analysis import reduce
from suite.analysis.folders import Given, expand, names
from suite.analysis.reduce import Timing, Timings
from suite.cases.case import Case
from suite.records.merge import by_process
from suite.records.record import Clock, Environment, Fact, Memory, Record, Status, Traffic
from suite.records.store import Refused, Run, StoreError
from suite.units import count

Key = tuple[str, str, Case]
"""(device, backend, case): one outcome a run."""

MAX_REFUSED_NAMED = 3
MIN_S, MAX_S = 1e-12, 1e9
HUGE = 2**60


@dataclass(frozen=True, slots=True)
class Outcome:
    """The last record of a backend on a case, its samples reduced to medians.

    Attributes:
        run: the name of its run.
        backend, device, case, status, reason, measurement, clock, converged, traffic, memory, telemetry,
            method: as in ``Record``.
        medians: in seconds, by timing, of each round in order (of many processes: of each process); nan where
            it has no samples. Empty of a failure.
        samples: how many samples its clock took; 0 of a failure.
        autocorrelation: lag-1, within rounds, of those samples.
        calls_per_sample, held: as in ``Samples``; null of a failure.
        ceiling: the outcome of the copy that took turns with it; null where none is ok.
    """

    run: str
    backend: str
    device: str
    case: Case
    status: Status
    reason: str | None
    measurement: str
    clock: Clock | None
    converged: bool | None
    traffic: Traffic | None
    memory: Memory
    telemetry: Mapping[str, Fact]
    method: int
    medians: Mapping[Timing, tuple[float, ...]]
    samples: int
    autocorrelation: float | None
    calls_per_sample: int | None
    held: bool | None
    ceiling: Outcome | None = None

    @classmethod
    def of(cls, run: str, record: Record, timings: Timings) -> Outcome:
        """The outcome of a record, without the ceiling beside it."""
        samples, head = record.samples, timings.get(record.clock) if record.clock else None
        processes = samples.processes if samples else ()
        return cls(
            run=run,
            backend=record.backend,
            device=record.device,
            case=record.case,
            status=record.status,
            reason=record.reason,
            measurement=record.measurement,
            clock=record.clock,
            converged=record.converged,
            traffic=record.traffic,
            memory=record.memory,
            telemetry=record.telemetry,
            method=record.method,
            medians={timing: by_process(one.medians, processes) for timing, one in timings.items()},
            samples=head.samples if head else 0,
            autocorrelation=head.autocorrelation if head else None,
            calls_per_sample=samples.calls_per_sample if samples else None,
            held=samples.held if samples else None,
        )

    @property
    def key(self) -> Key:
        """What it is the outcome of, within its run."""
        return self.device, self.backend, self.case

    @property
    def completed(self) -> bool:
        """Whether it has a time; else it has a reason."""
        return self.status == "ok"

    def times(self, timing: Timing | None) -> tuple[float, ...]:
        """The medians of one timing; empty where that was not read."""
        return self.medians.get(timing, ()) if timing else ()

    @property
    def rounds(self) -> tuple[float, ...]:
        """The medians by its own clock, which are its result."""
        return self.times(self.clock)


@dataclass(frozen=True, slots=True)
class Results:
    """Runs read: their environments by run name, their outcomes in order, and notes on what is wrong."""

    environments: dict[str, Environment]
    outcomes: tuple[Outcome, ...]
    notes: tuple[str, ...]


def read(patterns: Iterable[Given]) -> Results:
    """Read runs; what can't be read becomes a note, as long as something can.

    Raises:
        StoreError: nothing can be shown; a line for each thing that is wrong.
    """
    environments: dict[str, Environment] = {}
    outcomes: list[Outcome] = []
    notes: list[str] = []
    folders = expand(patterns)
    for folder, name in zip(folders, names(folders), strict=True):
        try:
            run = Run.open(folder)
            with uncollected():
                own = _outcomes(run, name, notes)
        except StoreError as error:
            notes.append(str(error))
            continue
        if not own:
            notes.append(f"{folder}: holds no records; nothing of it to show")
        environments[name] = run.environment
        outcomes += own
    if not outcomes:
        raise StoreError("\n".join(notes) or "no run given; give a folder that suite.run made")
    return Results(environments, tuple(outcomes), tuple(notes))


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """Pause the garbage collector: a search of 100,000 records for cycles takes seconds."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            if not gc.get_freeze_count():  # moves what was allocated meanwhile to the oldest generation
                gc.freeze()
                gc.unfreeze()
            gc.enable()


def _outcomes(run: Run, name: str, notes: list[str]) -> list[Outcome]:
    last: dict[Key, Outcome] = {}
    ceilings: dict[tuple[str, str], Outcome] = {}
    refused: list[Refused] = []
    known = 0
    for record, timings in reduce.reduced(_records(run, refused)):
        if why := _impossible(record, timings):
            notes.append(f"{name}: {record.backend} on {record.case}: {why}; the record is left out")
            continue
        outcome = Outcome.of(name, record, timings)
        if record.role == "backend":
            known += 1
            last[outcome.key] = outcome
        elif outcome.completed:
            ceilings[record.measurement, record.device] = outcome
    notes += map(str, refused[:MAX_REFUSED_NAMED])
    if len(refused) > MAX_REFUSED_NAMED:
        more = count(len(refused) - MAX_REFUSED_NAMED, "more line")
        notes.append(f"{run.path}: {more} that can't be read as records; left out")
    if replaced := known - len(last):
        notes.append(
            f"{name}: {count(replaced, 'record')} replaced by a later one of the same backend and case"
        )
    own = [_beside(outcome, ceilings.get((outcome.measurement, outcome.device))) for outcome in last.values()]
    if bare := sum(o.completed and o.ceiling is None for o in own):
        notes.append(
            f"{name}: {count(bare, 'result')} without a ceiling measured beside; no fraction of it is given"
        )
    return own


def _beside(outcome: Outcome, ceiling: Outcome | None) -> Outcome:
    return replace(outcome, ceiling=ceiling) if ceiling else outcome


def _records(run: Run, refused: list[Refused]) -> Iterator[Record]:
    for item in run.read():
        if isinstance(item, Refused):
            refused.append(item)
        else:
            yield item


def _impossible(record: Record, timings: Timings) -> str | None:
    """Why no machine can have produced this record, well formed as it is."""
    if _is_huge(record.case):
        return "more bytes than any memory has"
    memory, traffic = record.memory, record.traffic
    sizes = [memory.table_bytes or 0, memory.prepare_bytes or 0, memory.extra_bytes or 0]
    if traffic:
        sizes += [traffic.distinct, traffic.touched_bytes, traffic.cache_bytes]
    if min(sizes) < 0 or max(sizes) >= HUGE:
        return "a number of bytes that can't be"
    if record.clock is None:
        return None
    if any(one.samples and (one.least < MIN_S or one.most > MAX_S) for one in timings.values()):
        return "a time that can't be"
    if record.clock not in timings or not timings[record.clock].samples:
        return "no samples by its clock"
    return None


@functools.lru_cache(1024)
def _is_huge(case: Case) -> bool:
    return case.table_bytes + case.payload_bytes >= HUGE


NAME = "replay"
"""What stands for the run where there is none on disk."""


def outcomes_of(records: Sequence[Record]) -> dict[str, Outcome]:
    """The outcomes of one measurement's records, by backend, each with the ceiling beside it."""
    own = [(record.role, Outcome.of(NAME, record, timings)) for record, timings in reduce.reduced(records)]
    copy = next((outcome for role, outcome in own if role == "ceiling" and outcome.completed), None)
    return {outcome.backend: _beside(outcome, copy) for role, outcome in own if role == "backend"}
