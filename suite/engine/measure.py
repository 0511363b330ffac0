"""The protocol. One case, its backends: prepare, check, time in turns, check again."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter

import numpy as np

from suite import stats
from suite.cases import ids
from suite.cases.case import Case
from suite.engine import check, contender, operands, turns
from suite.engine.arrays import Array, Arrays, Host
from suite.engine.contender import Contender
from suite.engine.rotation import rotation, sweeper, touched_bytes
from suite.records.record import Record, Traffic
from suite.telemetry.observer import Observer

Notice = Callable[[str | None, str], None]
"""Told whose the next step is (None: the suite's own) and what it is, so that a death has a culprit."""

MIN_ROUNDS = 6
MAX_ROUNDS = 500


@dataclass(frozen=True, slots=True)
class Settings:
    """How long and how well to measure a case.

    Attributes:
        precision: relative half width of the median's interval at which a backend is done.
        limit_s: time for the rounds of one case.
        seed: of ids, orders and spot checks.
        cache_bytes: what has to be emptied for a lookup to be cold.
        sustain_s: length of the phase for counters, after the timed samples; 0 for none.
    """

    precision: float = 0.01
    limit_s: float = 8.0
    seed: int = 0
    cache_bytes: int = 2**25
    sustain_s: float = 0.0


def measure(
    case: Case,
    which: Sequence[str],
    arrays: Arrays,
    table: Array,
    observer: Observer,
    settings: Settings,
    measurement: str,
    notice: Notice,
    file_ids: ids.Ids | None = None,
) -> list[Record]:
    """Measure a case: one record for every backend, and one for the ceiling that took turns with them.

    Args:
        which: backends by name or path.
        table: (vocab, dim) of bits, as ``data.build_table`` made it.
        observer: reads the device's counters between the phases.
        measurement: names the rounds that these records share.
        file_ids: the user's own ids, where the case's distribution is a file.
    """
    rng = np.random.default_rng([settings.seed, case.vocab, case.dim, case.batch])

    notice(None, "lay out the operands")
    distinct = len(np.unique(ids.draw(case, 0, settings.seed, file_ids)))
    kept_cold = rotation(case, distinct, settings.cache_bytes)
    field = operands.lay_out(case, arrays, table, _batches(case, kept_cold.slots, settings.seed, file_ids))
    sweep = sweeper(arrays, settings.cache_bytes) if kept_cold.sweep else None

    contenders = [contender.of_backend(each, field) for each in which]
    # In little time, shorter turns rather than too few rounds: without rounds there is no interval.
    turn_s = min(turns.TURN_S, settings.limit_s / (len(which) + 1) / (2 * MIN_ROUNDS))
    for each in contenders:
        each.turn_s = turn_s
        _prepare_and_check(each, sweep, observer, settings.seed, notice)

    notice(None, "choose the plain copy")
    best_copy = contender.best_copy(field, sweep, turn_s)

    _time_in_turns([*contenders, best_copy], sweep, settings, rng, notice)
    _check_again(contenders, field, settings.seed, notice)
    for each in [*contenders, best_copy]:
        if each.running:
            notice(each.name, "sustain")
            each.sustain(observer, settings.sustain_s)

    traffic = Traffic(
        distinct=distinct,
        touched_bytes=touched_bytes(case, distinct),
        cache_bytes=settings.cache_bytes,
        cache_resident=case.table_bytes <= settings.cache_bytes,
        rotated=kept_cold.slots,
        flushed=kept_cold.sweep,
        huge_pages=arrays.huge_pages(table),
    )
    return [each.record(measurement, settings.precision, traffic) for each in [*contenders, best_copy]]


def _batches(case: Case, slots: int, seed: int, file_ids: ids.Ids | None) -> list[Host]:
    """One batch as its law draws it for hot; for cold, batches that share no row while rows last."""
    if case.cache == "hot":
        return [ids.draw(case, 0, seed, file_ids)]
    return ids.draw_apart(case, slots, seed, file_ids)


def _prepare_and_check(
    each: Contender, sweep: contender.Sweep, observer: Observer, seed: int, notice: Notice
) -> None:
    notice(each.name, "prepare")
    each.prepare(sweep, observer)
    if each.running:
        notice(each.name, "check")
        each.check(0, seed)
    if each.running:
        notice(each.name, "warm up")
        each.warm_up(sweep is not None)


def _time_in_turns(
    contenders: Sequence[Contender],
    sweep: contender.Sweep,
    settings: Settings,
    rng: np.random.Generator,
    notice: Notice,
) -> None:
    """Rounds of turns in shuffled order, until every median is known well enough or the time is spent."""
    orders = rng.spawn(1)[0]  # of its own, since how much else is drawn depends on times
    gc.collect()
    gc.disable()  # a collection would fall on whoever has the turn
    deadline = perf_counter() + settings.limit_s
    try:
        for number in range(1, MAX_ROUNDS + 1):
            for position in orders.permutation(len(contenders)):
                if contenders[position].running:
                    notice(contenders[position].name, "time")
                    contenders[position].take_turn(sweep, rng)
            known = number >= MIN_ROUNDS and _known([c for c in contenders if c.running], settings.precision)
            if known or perf_counter() >= deadline:
                return
    finally:
        gc.enable()


def _known(contenders: Sequence[Contender], precision: float) -> bool:
    return all(stats.median(each.rounds).precision <= precision for each in contenders)


def _check_again(contenders: Sequence[Contender], field: operands.Field, seed: int, notice: Notice) -> None:
    """What was right before must be right after, and nobody may have touched the ids or their rows."""
    notice(None, "compare the operands")
    check.require_operands(field)
    for each in contenders:
        if each.running:
            notice(each.name, "check again")
            each.check(len(field.slots) - 1, seed + 1)
