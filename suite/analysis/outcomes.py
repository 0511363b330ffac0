"""Outcomes of runs: the last record of each backend and case, with the ceiling of the same rounds."""

from __future__ import annotations

import contextlib
import functools
import gc
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from suite.analysis import reduce, speed
from suite.analysis.folders import Given, expand, names, part_name
from suite.analysis.outcome import NO_SPREADS, Key, Outcome, Spreads
from suite.analysis.passes import counted, kind_of, merged, spreads_of
from suite.analysis.reduce import Timings
from suite.analysis.speed import Judged, Metered, Moment, References
from suite.cases.case import Case
from suite.records.record import Clock, Environment, Fact, Record, Role
from suite.records.store import Refused, Run, StoreError
from suite.stats import over_passes
from suite.text import plain
from suite.units import count

Turns = dict[speed.Key, Metered]
Rounds = tuple[str, str, str | None]
"""(measurement, device, environment): what contenders share whose turns are in the same rounds."""
MAX_REFUSED_NAMED = 3
MIN_S, MAX_S = 1e-12, 1e9
HUGE = 2**60
MOST_PASSES = 10_000


@dataclass(frozen=True, slots=True)
class Results:
    """Runs read.

    Attributes:
        environments: by name of the run. outcomes: in order. notes: on what is wrong.
        speeds: by name of the run, the machine's speed over it; empty without a meter.
        full_speed_s: by name of the run, what the meter reads at full speed, by its number of threads.
    """

    environments: dict[str, Environment]
    outcomes: tuple[Outcome, ...]
    notes: tuple[str, ...]
    speeds: Mapping[str, tuple[Moment, ...]] = field(default_factory=dict)
    full_speed_s: Mapping[str, References] = field(default_factory=dict)


def read(patterns: Iterable[Given], together: bool = False, clock: Clock | None = None) -> Results:
    """Read runs; what can't be read becomes a note, as long as something can.

    Args:
        together: whether runs of one machine are held against the fullest speed that any of them knows.
        clock: whose times are the results, of those that have them; null for each one's own.

    Raises:
        StoreError: nothing can be shown; a line for each thing that is wrong.
    """
    notes: list[str] = []
    runs = parts(expand(patterns), notes)
    fullest = speed.fullest(run.environment for run in runs.values()) if together else {}
    results = _read(runs, fullest, notes, clock)
    if not results.outcomes:
        raise StoreError("\n".join(results.notes) or "no run given; give a folder that suite.run made")
    return results


def read_part(run: Run) -> Results:
    """Read one run in one environment; it may hold no records yet."""
    return _read({run.path.resolve().name: run}, {}, [])


def parts(folders: Sequence[Path], notes: list[str]) -> dict[str, Run]:
    """The runs in folders by name, each once for every environment it went on in; of others a note."""
    runs: dict[str, Run] = {}
    for folder, name in zip(folders, names(folders), strict=True):
        try:
            found = Run.parts(folder)
        except StoreError as error:
            notes.append(str(error))
            continue
        several = len(found) > 1
        runs |= {part_name(name, run.number) if several else name: run for run in found}
    return runs


def _read(
    runs: Mapping[str, Run], fullest: speed.Fullest, notes: list[str], clock: Clock | None = None
) -> Results:
    environments: dict[str, Environment] = {}
    outcomes: list[Outcome] = []
    speeds: dict[str, tuple[Moment, ...]] = {}
    full_speed_s: dict[str, References] = {}
    for name, run in runs.items():
        try:
            with uncollected():
                known = fullest.get(speed.meter_of(run.environment), run.environment.full_speed_s)
                own, judged = _outcomes(run, name, known, notes, clock)
                speeds[name], full_speed_s[name] = judged.moments, judged.full_speed_s
        except StoreError as error:
            notes.append(str(error))
            continue
        if not own:
            notes.append(f"{run.path}: holds no records; nothing of it to show")
        environments[name] = run.environment
        outcomes += own
    return Results(environments, tuple(outcomes), tuple(notes), speeds, full_speed_s)


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


@dataclass(slots=True)
class _Found:
    """What one run's records showed so far.

    Attributes:
        parts: of each contender, the outcome of each pass. ceilings: of each measurement on a device.
        metered: of each measurement on a device, the turns of its contenders.
    """

    parts: dict[Key, dict[int, Outcome]] = field(default_factory=dict)
    ceilings: dict[Rounds, Outcome] = field(default_factory=dict)
    metered: dict[speed.Place, dict[speed.Key, Metered]] = field(default_factory=lambda: defaultdict(dict))
    known: int = 0

    def add(self, record: Record, outcome: Outcome) -> None:
        """One more record; a later one of the same contender and pass takes the place of the earlier."""
        if record.role == "backend":
            self.known += 1
            self.parts.setdefault(outcome.key, {})[record.pass_number] = outcome
        elif outcome.completed:
            self.ceilings[record.measurement, record.device, record.environment] = outcome
        if metered := Metered.of(record):
            self.metered[record.measurement, record.device][_contender(outcome, record.role)] = metered

    def judge(self, known: Mapping[str, Fact]) -> Judged:
        """Note which rounds were at full speed.

        Args:
            known: what the meter reads at full speed, as far as earlier runs know.
        """
        judged = speed.judge(self.metered, known)

        def flagged(outcome: Outcome, role: Role) -> Outcome:
            of = judged.flags.get((outcome.measurement, outcome.device), {}).get(_contender(outcome, role))
            metered = of and outcome.completed and not outcome.case.evicted  # which waits for a disk
            return replace(outcome, full_speed=of) if metered else outcome

        if judged.flags:
            for passes in self.parts.values():
                passes.update({number: flagged(part, "backend") for number, part in passes.items()})
            self.ceilings = {place: flagged(one, "ceiling") for place, one in self.ceilings.items()}
        return judged

    def outcomes(self, precision: Fact) -> list[Outcome]:
        """One outcome of each contender, with the ceiling beside it."""
        own, copies = list[Outcome](), dict[tuple[tuple[str, ...], str, str | None], Outcome | None]()
        for passes in self.parts.values():
            outcome = _chosen(merged([passes[number] for number in sorted(passes)]))
            places = outcome.measurements, outcome.device, outcome.environment
            if places not in copies:
                copies[places] = self._ceiling(outcome)
            ceiling = copies[places]
            own.append(outcome.beside(ceiling) if ceiling else outcome)
        spreads = spreads_of(own)
        return [
            _over_passes(o, spreads.get(kind_of(o), NO_SPREADS), precision) if len(o.passes) > 1 else o
            for o in own
        ]

    def _ceiling(self, outcome: Outcome) -> Outcome | None:
        """The copy that took turns with it; null unless it did in each of its passes."""
        copies = [
            self.ceilings.get((measurement, outcome.device, outcome.environment))
            for measurement in outcome.measurements
        ]
        known = [copy for copy in copies if copy is not None]
        return _chosen(merged(known)) if known and len(known) == len(copies) else None


def _contender(outcome: Outcome, role: Role) -> speed.Key:
    return outcome.environment, role, outcome.backend


def _chosen(outcome: Outcome) -> Outcome:
    places = counted(outcome)
    return outcome if places is None else replace(outcome, chosen=places)


def _over_passes(outcome: Outcome, spreads: Spreads, precision: Fact) -> Outcome:
    """An outcome of several passes, with what their run knows of how they scatter."""
    time = over_passes(outcome.by_pass(outcome.rounds), spreads.times)
    converged = time.precision <= precision if isinstance(precision, float) else outcome.converged
    return replace(outcome, spreads=spreads, converged=converged and outcome.decides)


def _outcomes(
    run: Run, name: str, known: Mapping[str, Fact], notes: list[str], clock: Clock | None
) -> tuple[list[Outcome], Judged]:
    found = _Found()
    for record, timings in possible(run, name, notes):
        found.add(record, Outcome.of(name, record, timings, clock))
    if replaced := found.known - sum(map(len, found.parts.values())):
        notes.append(
            f"{name}: {count(replaced, 'record')} replaced by a later one of the same backend and case"
        )
    judged = found.judge(known)
    own = found.outcomes(run.environment.settings.get("precision"))
    if bare := sum(o.completed and o.ceiling is None for o in own):
        notes.append(
            f"{name}: {count(bare, 'result')} without a ceiling measured beside; no fraction of it is given"
        )
    return own, judged


def possible(run: Run, name: str, notes: list[str]) -> Iterator[tuple[Record, Timings]]:
    """The records of a run that a machine can have produced, reduced; of others a note, after the last."""
    refused: list[Refused] = []
    for record, timings in reduce.reduced(_records(run, refused)):
        if why := _impossible(record, timings):
            notes.append(plain(f"{name}: {record.backend} on {record.case}: {why}; the record is left out"))
        else:
            yield record, timings
    notes += map(str, refused[:MAX_REFUSED_NAMED])
    if len(refused) > MAX_REFUSED_NAMED:
        more = count(len(refused) - MAX_REFUSED_NAMED, "more line")
        notes.append(f"{run.path}: {more} that can't be read as records; left out")


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
    if not 1 <= record.pass_number <= MOST_PASSES:
        return "a number of a pass that can't be"
    if record.clock is None:
        return None
    if any(one.samples and (one.least < MIN_S or one.most > MAX_S) for one in timings.values()):
        return "a time that can't be"
    if record.samples and not all(MIN_S <= s <= MAX_S for of in record.samples.meter_s for s in of):
        return "a reading of the meter that can't be"
    if record.clock not in timings or not timings[record.clock].samples:
        return "no samples by its clock"
    return None


@functools.lru_cache(1024)
def _is_huge(case: Case) -> bool:
    return case.table_bytes + case.payload_bytes >= HUGE


NAME = "replay"
"""What stands for the run where there is none on disk."""


def outcomes_of(records: Sequence[Record], run: str = NAME) -> dict[str, Outcome]:
    """The outcomes of one task's records, by backend, each with the ceiling beside it.

    Args:
        run: what stands for the name of their run.
    """
    found = _Found()
    for record, timings in reduce.reduced(records):
        found.add(record, Outcome.of(run, record, timings))
    found.judge({})
    return {outcome.name: outcome for outcome in found.outcomes(None)}
