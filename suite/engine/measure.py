"""The protocol. One case, its backends: prepare, check, time in turns, check again."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import perf_counter  # bound before any backend could put another in its place

import numpy as np

from backends import Choice
from suite import stats
from suite.cases import ids
from suite.cases.case import Case
from suite.engine import check, turns
from suite.engine.arrays import Array, Arrays, Host
from suite.engine.clocks.cuda import Flushes
from suite.engine.contender import Contender, Shared, best_copy
from suite.engine.meter import meter_of
from suite.engine.operands import Operands, lay_out
from suite.engine.placement.residency import Residency
from suite.engine.rotation import Rotation, flush_of, rotation_of, touched_bytes
from suite.machine import threads
from suite.records.record import Fact, Record, Traffic
from suite.telemetry.host import quota_watch
from suite.telemetry.observer import Observer
from suite.telemetry.reading import Reading

Notice = Callable[[str | None, str], None]
"""Takes the backend of the next step (None: the suite's own) and its name, so that a death has a culprit."""
Report = Callable[[str, str], None]
"""Takes a backend and the whole of what it raised."""
Gate = Callable[[], bool]
"""Returns when a round may begin, others having had theirs in between; false if there is to be none."""

MIN_ROUNDS = 6
MAX_ROUNDS = 500
MOST_OVER_S = 10.0
"""So much longer than it was given a case may take for its least number of rounds."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How long and how well to measure a case.

    Attributes:
        precision: relative half width of the median's interval at which a backend is done.
        limit_s: time for the rounds of one case.
        seed: of ids, orders and spot checks.
        cache_bytes: what has to be emptied for a lookup to be cold.
        sustain_s: length of the phase for counters, after the timed samples; 0 for none.
        copy: the plain copy that an earlier pass found fastest; null to try them all.
        pass_number: the turns of each pass come in an order of its own.
        least_rounds: no fewer, even where they take longer than ``limit_s``, up to MOST_OVER_S.
    """

    precision: float = 0.01
    limit_s: float = 8.0
    seed: int = 0
    cache_bytes: int = 2**25
    sustain_s: float = 0.0
    copy: str | None = None
    pass_number: int = 1
    least_rounds: int = 1


@dataclass(frozen=True, slots=True)
class Setup:
    """A case on a device, ready to be measured.

    Attributes:
        table: (vocab, dim) of bits, as ``operands.build_table`` made it.
        table_memory: bytes it took as allocated.
        observer: reads the device's counters between the phases.
        telemetry: facts of the device from before the case.
        file_ids: the user's own ids, where the case's distribution is a file. file_lengths: of their bags.
    """

    case: Case
    arrays: Arrays
    table: Array
    table_memory: Reading[int]
    observer: Observer
    settings: Settings
    telemetry: dict[str, Fact] = field(default_factory=dict)
    file_ids: ids.Ids | None = None
    file_lengths: ids.Ids | None = None


def measure(
    setup: Setup,
    choices: Sequence[Choice],
    measurement: str,
    notice: Notice,
    *,
    report: Report = lambda *_: None,
    gate: Gate = lambda: True,
) -> list[Record]:
    """Measure a case: one record for every backend, and one for the ceiling that took turns with them.

    Args:
        measurement: names the rounds that these records share.
        report: told of each backend that raised. gate: asked before each round.
    """
    case, settings, observer = setup.case, setup.settings, setup.observer
    rng = np.random.default_rng([settings.seed, settings.pass_number, case.vocab, case.dim, case.batch])
    watched = _watch(observer)

    notice(None, "lay out the operands")
    meter_of(threaded=False)  # made before a backend could put something in its place
    distinct, rotation = _rotation(setup)
    operands = operands_of(setup, rotation)
    pages = Residency.of(setup.table, case, distinct)
    flushes = _flushes(setup, rotation, pages)
    backends = _contenders(choices, operands, flushes, pages)
    _prepare_and_check(backends, observer, settings.seed, notice)
    turn_s = _turn_s(settings, sum(backend.running for backend in backends) + 1)
    seen = _warm_up(backends, turn_s, notice)
    notice(None, "choose the plain copy")
    contenders = [*backends, best_copy(operands, flushes, turn_s, settings.copy)]

    _time_in_turns(contenders, settings, rng, notice, gate)
    _check_again(backends, operands, settings.seed, notice)
    _sustain(contenders, observer, settings.sustain_s, notice)
    _tell_of_errors(backends, report)
    traffic, table = _traffic(setup, distinct, rotation), setup.table_memory
    seen, full_speed_s = {**setup.telemetry, **seen, **watched()}, _full_speed_s(contenders)
    shared = Shared(measurement, settings.precision, traffic, table, seen, full_speed_s)
    return [contender.record(shared) for contender in contenders]


def _rotation(setup: Setup) -> tuple[int, Rotation]:
    """How many ids of a batch are distinct, and the rotation that follows."""
    first = ids.draw(setup.case, 0, setup.settings.seed, setup.file_ids)
    distinct = len(np.unique(first))
    return distinct, rotation_of(setup.case, distinct, setup.settings.cache_bytes)


def operands_of(setup: Setup, rotation: Rotation | None = None) -> Operands:
    """Table, batches of ids and outputs of a case."""
    batches = _batches(setup, rotation or _rotation(setup)[1])
    case, seed = setup.case, setup.settings.seed
    return lay_out(case, setup.arrays, setup.table, batches, seed, setup.file_lengths)


def _contenders(
    choices: Sequence[Choice], operands: Operands, flushes: Flushes, pages: Residency | None
) -> list[Contender]:
    watch = pages.watch if pages else lambda: None
    return [Contender(choice, "backend", operands, flushes, watch=watch()) for choice in choices]


def _turn_s(settings: Settings, contenders: int) -> float:
    """In little time, shorter turns rather than too few rounds: without rounds there is no interval."""
    return min(turns.TURN_S, settings.limit_s / contenders / (2 * MIN_ROUNDS))


def _flushes(setup: Setup, rotation: Rotation, pages: Residency | None) -> Flushes:
    """What empties the caches: before samples where it must, on a GPU also before what is called again.

    Of a table in a file that is to be cold, the page cache.
    """
    if not rotation.flush and not (setup.arrays.device.is_gpu and setup.case.cache == "cold"):
        return Flushes()
    if pages is not None and setup.case.evicted:
        return Flushes(pages.evict, pages.evict)
    flush = flush_of(setup.arrays, setup.settings.cache_bytes)
    return Flushes(flush if rotation.flush else None, flush)


def _batches(setup: Setup, rotation: Rotation) -> list[Host]:
    """One batch as its distribution draws it for hot; for cold, batches that share no row while rows last."""
    case, seed = setup.case, setup.settings.seed
    if case.repeats:
        return [ids.draw(case, 0, seed, setup.file_ids)]
    return ids.draw_apart(case, rotation.slots, seed, setup.file_ids)


def _traffic(setup: Setup, distinct: int, rotation: Rotation) -> Traffic:
    return Traffic(
        distinct=distinct,
        touched_bytes=touched_bytes(setup.case, distinct),
        cache_bytes=setup.settings.cache_bytes,
        cache_resident=setup.case.table_bytes <= setup.settings.cache_bytes,
        rotated=rotation.slots,
        flushed=rotation.flush,
        huge_pages=setup.arrays.huge_pages(setup.table),
    )


def _watch(observer: Observer) -> Callable[[], dict[str, Fact]]:
    """Start watching what holds the device or this process up; the returned call says what did."""
    clocks, quota = observer.watch(), quota_watch()
    return lambda: {**clocks(), **quota()}


def _prepare_and_check(backends: Sequence[Contender], observer: Observer, seed: int, notice: Notice) -> None:
    for backend in backends:
        notice(backend.name, "prepare")
        backend.prepare(observer)
        if backend.running:
            notice(backend.name, "check")
            backend.check(0, seed)
        if backend.running:
            backend.find_out()


def _warm_up(backends: Sequence[Contender], turn_s: float, notice: Notice) -> dict[str, Fact]:
    """Make all ready to be timed; returns how many threads the libraries then say they use."""
    for backend in backends:
        if backend.running:
            notice(backend.name, "warm up")
            backend.warm_up(turn_s)
    notice(None, "count the threads")
    return threads.seen()


def _time_in_turns(
    contenders: Sequence[Contender],
    settings: Settings,
    rng: np.random.Generator,
    notice: Notice,
    gate: Gate,
) -> None:
    """Rounds of turns in shuffled order, until every median is known well enough or the time is spent."""
    orders = rng.spawn(1)[0]  # of its own, since how much else is drawn depends on times
    gc.collect()
    gc.disable()  # a collection would fall into a random turn
    spent_s = 0.0
    try:
        for number in range(1, MAX_ROUNDS + 1):
            if not gate():
                return
            began = perf_counter()
            for position in orders.permutation(len(contenders)):
                if contenders[position].running:
                    notice(contenders[position].name, "time")
                    contenders[position].take_turn(rng)
            known = number >= MIN_ROUNDS and _known(contenders, settings.precision)
            spent_s += perf_counter() - began
            enough = number >= settings.least_rounds or spent_s >= settings.limit_s + MOST_OVER_S
            if known or (enough and spent_s >= settings.limit_s):
                return
    finally:
        gc.enable()


def _known(contenders: Sequence[Contender], precision: float) -> bool:
    full_speed_s = _full_speed_s(contenders)
    return all(each.is_known(precision, full_speed_s) for each in contenders if each.running)


def _full_speed_s(contenders: Sequence[Contender]) -> dict[int, float]:
    """What the meter reads at this measurement's full speed, by its number of threads."""
    each = [contender.turns for contender in contenders if contender.turns]
    return stats.full_speed((of.clock.meter_threads, [turn.meter_s for turn in of.past]) for of in each)


def _sustain(contenders: Sequence[Contender], observer: Observer, seconds: float, notice: Notice) -> None:
    for contender in contenders:
        if contender.running:
            notice(contender.name, "sustain")
            contender.sustain(observer, seconds)
    contenders[-1].operands.restore()  # the next case finds its table as it was


def _tell_of_errors(backends: Sequence[Contender], report: Report) -> None:
    for backend in backends:
        if backend.trace:
            report(backend.name, backend.trace)


def _check_again(backends: Sequence[Contender], operands: Operands, seed: int, notice: Notice) -> None:
    """Check that what was right before is right after, and that ids and rows are what they were."""
    notice(None, "compare the operands")
    check.require_operands(operands)
    for backend in backends:
        if backend.running:
            notice(backend.name, "check again")
            backend.check(len(operands.slots) - 1, seed + 1)
