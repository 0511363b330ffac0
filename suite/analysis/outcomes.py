"""What runs came to: the last word on every backend and case, its rounds, and the ceiling beside it."""

from __future__ import annotations

import contextlib
import functools
import gc
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from suite.analysis import reduce
from suite.analysis.folders import Given, expand, names
from suite.cases.case import Case
from suite.records.record import Environment, Record
from suite.records.store import Refused, Run, StoreError
from suite.units import count

Key = tuple[str, str, Case]
"""(device, backend, case): one outcome a run."""

MAX_REFUSED_NAMED = 3
MIN_S, MAX_S = 1e-12, 1e9
HUGE = 2**60


@dataclass(frozen=True, slots=True)
class Outcome:
    """The last record of a backend on a case, each round of its samples reduced to the median.

    Attributes:
        run: the name of its run. record: with one sample a round.
        ceiling: the record of the copy that took turns with it, in the same form; null where none is ok.
        samples: how many the headline clock took before they were reduced.
        autocorrelation: lag-1, within rounds, of those samples.
    """

    run: str
    record: Record
    ceiling: Record | None
    samples: int
    autocorrelation: float | None

    @property
    def key(self) -> Key:
        """What it is the outcome of, within its run."""
        return self.record.device, self.record.backend, self.record.case


@dataclass(frozen=True, slots=True)
class Results:
    """Several runs, read: their environments by run name, their outcomes in order, and what was amiss."""

    environments: dict[str, Environment]
    outcomes: tuple[Outcome, ...]
    notes: tuple[str, ...]


def read(patterns: Iterable[Given]) -> Results:
    """Read runs. What can't be read is noted, as long as something can.

    Raises:
        StoreError: nothing can be shown; one line for each thing that is amiss.
    """
    environments: dict[str, Environment] = {}
    outcomes: list[Outcome] = []
    notes: list[str] = []
    folders = expand(patterns)
    for folder, name in zip(folders, names(folders), strict=True):
        try:
            run = Run.open(folder)
            with uncollected():
                found = _outcomes(run, name, notes)
        except StoreError as error:
            notes.append(str(error))
            continue
        if not found:
            notes.append(f"{folder}: holds no records; nothing of it to show")
        environments[name] = run.environment
        outcomes += found
    if not outcomes:
        raise StoreError("\n".join(notes) or "no run given; give a folder that suite.run made")
    return Results(environments, tuple(outcomes), tuple(notes))


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """Without the collector: to look for cycles among 100,000 records, which have none, takes seconds."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            if not gc.get_freeze_count():  # what was made counts as old from now on, and is not looked at
                gc.freeze()
                gc.unfreeze()
            gc.enable()


def _outcomes(run: Run, name: str, notes: list[str]) -> list[Outcome]:
    last: dict[Key, tuple[Record, int, float | None]] = {}
    ceilings: dict[tuple[str, str], Record] = {}
    refused: list[Refused] = []
    met = 0
    for item, taken in reduce.condensed(_records(run, refused)):
        if why := _impossible(item, taken):
            notes.append(f"{name}: {item.backend} on {item.case}: {why}; the record is left out")
        elif item.role == "ceiling":
            if item.status == "ok":
                ceilings[item.measurement, item.device] = reduce.reduced(item, taken)
        else:
            head = taken.get(item.clock or "")
            met += 1
            last[item.device, item.backend, item.case] = (
                reduce.reduced(item, taken),
                head.samples if head else 0,
                head and head.autocorrelation,
            )
    notes += map(str, refused[:MAX_REFUSED_NAMED])
    if len(refused) > MAX_REFUSED_NAMED:
        more = count(len(refused) - MAX_REFUSED_NAMED, "more line")
        notes.append(f"{run.path}: {more} that can't be read as records; left out")
    doubles = met - len(last)
    if doubles:
        notes.append(
            f"{name}: {count(doubles, 'record')} replaced by a later one of the same backend and case"
        )
    found = [
        Outcome(name, record, ceilings.get((record.measurement, record.device)), samples, autocorrelation)
        for record, samples, autocorrelation in last.values()
    ]
    bare = sum(o.ceiling is None and o.record.status == "ok" for o in found)
    if bare:
        notes.append(
            f"{name}: {count(bare, 'result')} without a ceiling measured beside; no fraction of it is given"
        )
    return found


def _records(run: Run, refused: list[Refused]) -> Iterator[Record]:
    for item in run.read():
        if isinstance(item, Refused):
            refused.append(item)
        else:
            yield item


def _impossible(record: Record, taken: reduce.Taken) -> str | None:
    """Why no machine can have made this record, well formed as it is."""
    if _is_huge(record.case):
        return "more bytes than any memory has"
    memory, traffic = record.memory, record.traffic
    sizes = [memory.table_bytes or 0, memory.prepare_bytes or 0, memory.extra_bytes or 0]
    if traffic:
        sizes += [traffic.distinct, traffic.touched_bytes, traffic.cache_bytes]
    if min(sizes) < 0 or max(sizes) >= HUGE:
        return "a number of bytes that can't be"
    if record.samples is None or record.clock is None:
        return None
    if any(one.samples and (one.least < MIN_S or one.most > MAX_S) for one in taken.values()):
        return "a time that can't be"
    if record.clock not in taken or not taken[record.clock].samples:
        return "no samples by its clock"
    return None


@functools.lru_cache(1024)
def _is_huge(case: Case) -> bool:
    return case.table_bytes + case.payload_bytes >= HUGE


NAME = "replay"
"""What stands for the run where there is none on disk."""


def outcomes_of(records: Sequence[Record]) -> dict[str, Outcome]:
    """The outcomes of one measurement's records, by backend, each with the ceiling beside it."""
    found = [(reduce.reduced(record, taken), taken) for record, taken in reduce.condensed(records)]
    copy = next((r for r, _ in found if r.role == "ceiling" and r.status == "ok"), None)
    return {r.backend: _outcome(r, taken, copy) for r, taken in found if r.role == "backend"}


def _outcome(record: Record, taken: reduce.Taken, copy: Record | None) -> Outcome:
    # A dead worker's backends were not in the rounds that the copy took part in, or they are no number.
    head = taken.get(record.clock or "")
    return Outcome(NAME, record, copy, head.samples if head else 0, head and head.autocorrelation)
