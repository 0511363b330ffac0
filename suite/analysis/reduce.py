"""Samples of very many records reduced at once: the definitions are in suite.stats, the speed is here."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, NamedTuple

from suite import stats
from suite.records.merge import by_process
from suite.records.record import Record, Samples

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Counts = NDArray[np.int64]

BATCH_SAMPLES = 30_000
"""So many are held in memory at a time, and whatever the last record has beyond."""


class Condensed(NamedTuple):
    """What is kept of a record's samples by one clock.

    Attributes:
        medians: of each round, in order; none where the round is empty.
        samples: how many there were. least, most: of them, in seconds; both 0 for none.
        autocorrelation: as ``stats.autocorrelation`` has it.
    """

    medians: tuple[tuple[float, ...], ...]
    samples: int
    least: float
    most: float
    autocorrelation: float | None


class Estimates(NamedTuple):
    """As ``stats.Estimate``, a place in each array for each that was asked for."""

    value: Floats
    low: Floats
    high: Floats


Taken = Mapping[str, Condensed]
"""What is kept of a record, by clock."""


def medians(many: Sequence[Sequence[float]]) -> Estimates:
    """The medians of independent values with their intervals, as ``stats.median`` gives them.

    Args:
        many: values of one sort, such as the medians of a record's rounds; as often as there are records.
    """
    import numpy as np

    found = Estimates(*(np.full(len(many), bound) for bound in (np.nan, 0.0, np.inf)))
    lengths = np.fromiter(map(len, many), np.int64, len(many))
    flat = np.fromiter(itertools.chain.from_iterable(many), np.float64, int(lengths.sum()))
    for which, rows in _ordered(flat, lengths):
        n = rows.shape[1]
        found.value[which] = _middle(rows)
        rank = stats.interval_rank(n)
        if rank >= 1:
            found.low[which], found.high[which] = rows[:, rank - 1], rows[:, n - rank]
    return found


def condensed(records: Iterable[Record]) -> Iterator[tuple[Record, Taken]]:
    """The records, each with what is kept of its samples; a batch of them in memory at a time."""
    batch = _Batch()
    for record in records:
        batch.add(record)
        if len(batch.flat) >= BATCH_SAMPLES:
            yield from batch.condensed()
            batch = _Batch()
    yield from batch.condensed()


class _Batch:
    """Records with the samples of all of them in one list, to be reduced together."""

    def __init__(self) -> None:
        self.records: list[tuple[Record, list[str]]] = []
        self.flat: list[float] = []
        self.lengths: list[int] = []
        self.ends: list[tuple[int, int]] = []
        """Of each run of samples by one clock: how many rounds, and how many samples, lie before its end."""

    def add(self, record: Record) -> None:
        s = record.samples
        times = (("kernel", s.kernel_s), ("enqueue", s.enqueue_s), ("call", s.call_s)) if s else ()
        clocks = []
        for clock, rounds in times:
            if rounds is not None:
                clocks.append(clock)
                for samples in rounds:
                    self.flat += samples
                self.lengths += map(len, rounds)
                self.ends.append((len(self.lengths), len(self.flat)))
        self.records.append((record, clocks))

    def condensed(self) -> Iterator[tuple[Record, Taken]]:
        few = iter(_condensed(self.flat, self.lengths, self.ends))
        for record, clocks in self.records:
            yield record, {clock: next(few) for clock in clocks}


def reduced(record: Record, taken: Taken) -> Record:
    """The record with one sample a round (of many processes: one a process), the median, none set apart."""
    s = record.samples
    if s is None:
        return record
    units = {clock: by_process(one.medians, s.processes) for clock, one in taken.items()}
    kernel, enqueue = units.get("kernel"), units.get("enqueue")
    few = Samples(units["call"], kernel, enqueue, (), s.calls_per_sample, s.held, s.overhead_s)
    values = [*_values(record)]
    values[_SAMPLES] = few
    return Record(*values)


_NAMES = tuple(field.name for field in fields(Record))
_SAMPLES = _NAMES.index("samples")
_values = operator.attrgetter(*_NAMES)


def _condensed(
    flat: Sequence[float], lengths: Sequence[int], ends: Sequence[tuple[int, int]]
) -> list[Condensed]:
    import numpy as np

    samples, rounds = np.fromiter(flat, np.float64, len(flat)), np.array(lengths, np.int64)
    middles = np.zeros(len(lengths))
    for which, rows in _ordered(samples, rounds):
        middles[which] = _middle(rows)
    counts = np.diff([end for _, end in ends], prepend=0)
    wholes = iter(_wholes(samples, rounds[rounds > 0], counts[counts > 0]))
    each: list[tuple[float, ...]] = [*zip(middles.tolist(), strict=True)]
    for empty in np.flatnonzero(rounds == 0).tolist():
        each[empty] = ()
    found = []
    start = 0
    for (end, _), count in zip(ends, counts.tolist(), strict=True):
        found.append(Condensed(tuple(each[start:end]), count, *(next(wholes) if count else _NOTHING)))
        start = end
    return found


_NOTHING = (0.0, 0.0, None)


def _wholes(flat: Floats, lengths: Counts, counts: Counts) -> Iterator[tuple[float, float, float | None]]:
    """Least, most and autocorrelation of runs of ``counts`` samples, which are in rounds of ``lengths``."""
    import numpy as np

    if not flat.size:
        return iter(())
    rounds, starts = _starts(lengths), _starts(counts)
    # From each round's first sample, so that equal samples come to nothing exactly.
    centred = flat - np.repeat(flat[rounds], lengths)
    centred -= np.repeat(np.add.reduceat(centred, rounds) / lengths, lengths)
    with np.errstate(over="ignore", invalid="ignore"):  # of times that can't be; they are found by the most
        products = centred[:-1] * centred[1:]
        products[rounds[1:] - 1] = 0.0  # no neighbours: they are of two rounds
        pairs = np.add.reduceat(np.append(products, 0.0), starts)
        above = np.add.reduceat(centred * centred, starts)
        ratios = np.divide(pairs, above, out=np.full(len(starts), np.nan), where=above > 0).tolist()
    least, most = np.minimum.reduceat(flat, starts).tolist(), np.maximum.reduceat(flat, starts).tolist()
    known = (None if ratio != ratio else ratio for ratio in ratios)  # noqa: PLR0124 - nan
    return zip(least, most, known, strict=True)


def _starts(lengths: Counts) -> Counts:
    starts: Counts = lengths.cumsum() - lengths
    return starts


def _ordered(flat: Floats, lengths: Counts) -> Iterator[tuple[Counts, Floats]]:
    """The pieces of an array, each in ascending order: those of one length together, and which they are."""
    import numpy as np

    starts = _starts(lengths)
    for length in np.unique(lengths):
        if length:
            which = np.flatnonzero(lengths == length)
            yield which, np.sort(flat[starts[which, None] + np.arange(length)], axis=1)


def _middle(rows: Floats) -> Floats:
    n = rows.shape[1]
    middle: Floats = rows[:, n // 2] if n % 2 else (rows[:, n // 2 - 1] + rows[:, n // 2]) / 2
    return middle
