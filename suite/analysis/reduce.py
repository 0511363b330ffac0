"""Samples of very many records reduced to medians at once: suite.stats defines them, this makes them fast."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

from suite import stats
from suite.records.record import Record, Rounds

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Counts = NDArray[np.int64]

Timing = Literal["kernel", "call", "enqueue", "graph"]
"""A time that records have samples of; a result is the kernel or the call time."""
TIMINGS: tuple[Timing, ...] = get_args(Timing)

BATCH_SAMPLES = 30_000
"""How many samples are in memory at a time, and what the last record has beyond."""


class Reduced(NamedTuple):
    """What is kept of a record's samples of one timing.

    Attributes:
        medians: of each round in seconds, in order; nan of a round without samples.
        samples: how many there were. least, most: of them, in seconds; both 0 of none.
        autocorrelation: lag-1, of samples within rounds; null where they don't vary or are too few.
    """

    medians: tuple[float, ...]
    samples: int
    least: float
    most: float
    autocorrelation: float | None


class Estimates(NamedTuple):
    """As ``stats.Estimate``, an array for many; ``counts``: how many values each is of."""

    value: Floats
    low: Floats
    high: Floats
    counts: Counts

    @property
    def bounded(self) -> NDArray[np.bool_]:
        """As ``stats.Estimate.bounded``."""
        import numpy as np

        return np.isfinite(self.high) & (self.low > 0)


Timings = Mapping[Timing, Reduced]


def medians(many: Sequence[Sequence[float]]) -> Estimates:
    """The medians of independent values with their intervals, each as ``stats.order_statistics`` has it.

    Args:
        many: values such as the medians of a record's rounds, one sequence a record; nan is no value.
    """
    import numpy as np

    lengths = np.fromiter(map(len, many), np.int64, len(many))
    flat = np.fromiter(itertools.chain.from_iterable(many), np.float64, int(lengths.sum()))
    missing = np.isnan(flat)
    if missing.any():
        lengths -= np.bincount(np.repeat(np.arange(len(many)), lengths)[missing], minlength=len(many))
        flat = flat[~missing]
    value, low, high = (np.full(len(many), bound) for bound in (np.nan, 0.0, np.inf))
    for places, rows in _ordered(flat, lengths):
        n = rows.shape[1]
        value[places] = _middle(rows)
        rank = stats.interval_rank(n)
        if rank >= 1:
            low[places], high[places] = rows[:, rank - 1], rows[:, n - rank]
    return Estimates(value, low, high, lengths)


def reduced(records: Iterable[Record]) -> Iterator[tuple[Record, Timings]]:
    """The records, each with what is kept of its samples; a batch of them in memory at a time."""
    batch = _Batch()
    for record in records:
        batch.add(record)
        if len(batch.flat) >= BATCH_SAMPLES:
            yield from batch.reduced()
            batch = _Batch()
    yield from batch.reduced()


class _Batch:
    """Records with the samples of all of them in one list, to be reduced together.

    Attributes:
        flat: the samples. lengths: of the rounds.
        ends: of each record's samples of one timing: how many rounds, and how many samples, lie before their
            end.
    """

    def __init__(self) -> None:
        self.records: list[tuple[Record, list[Timing]]] = []
        self.flat: list[float] = []
        self.lengths: list[int] = []
        self.ends: list[tuple[int, int]] = []

    def add(self, record: Record) -> None:
        s = record.samples
        read: tuple[tuple[Timing, Rounds | None], ...] = ()
        if s:
            read = (
                *(("kernel", s.kernel_s), ("graph", s.graph_s)),
                *(("enqueue", s.enqueue_s), ("call", s.call_s)),
            )
        timings: list[Timing] = []
        for timing, rounds in read:
            if rounds is not None:
                timings.append(timing)
                for samples in rounds:
                    self.flat += samples
                self.lengths += map(len, rounds)
                self.ends.append((len(self.lengths), len(self.flat)))
        self.records.append((record, timings))

    def reduced(self) -> Iterator[tuple[Record, Timings]]:
        each = iter(_reduced(self.flat, self.lengths, self.ends))
        for record, timings in self.records:
            yield record, {timing: next(each) for timing in timings}


def _reduced(
    flat: Sequence[float], lengths: Sequence[int], ends: Sequence[tuple[int, int]]
) -> Iterator[Reduced]:
    import numpy as np

    samples, rounds = np.fromiter(flat, np.float64, len(flat)), np.array(lengths, np.int64)
    middles = np.full(len(lengths), np.nan)
    for places, rows in _ordered(samples, rounds):
        middles[places] = _middle(rows)
    counts = np.diff([end for _, end in ends], prepend=0)
    wholes = _wholes(samples, rounds[rounds > 0], counts[counts > 0])
    of_rounds = middles.tolist()
    start = 0
    for (end, _), count in zip(ends, counts.tolist(), strict=True):
        yield Reduced(tuple(of_rounds[start:end]), count, *(next(wholes) if count else _NOTHING))
        start = end


_NOTHING = (0.0, 0.0, None)


def _wholes(flat: Floats, lengths: Counts, counts: Counts) -> Iterator[tuple[float, float, float | None]]:
    """Least, most and autocorrelation of each ``counts`` samples, which are in rounds of ``lengths``."""
    import numpy as np

    if not flat.size:
        return iter(())
    rounds, starts = _starts(lengths), _starts(counts)
    with np.errstate(over="ignore", invalid="ignore"):  # of impossible times; ``most`` shows them
        # Less each round's first sample, so that equal samples give exactly 0.
        centred = flat - np.repeat(flat[rounds], lengths)
        centred -= np.repeat(np.add.reduceat(centred, rounds) / lengths, lengths)
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
    """The pieces of an array in ascending order, those of one length at a time, with their places."""
    import numpy as np

    starts = _starts(lengths)
    for length in np.unique(lengths):
        if length:
            places = np.flatnonzero(lengths == length)
            yield places, np.sort(flat[starts[places, None] + np.arange(length)], axis=1)


def _middle(rows: Floats) -> Floats:
    n = rows.shape[1]
    middle: Floats = rows[:, n // 2] if n % 2 else (rows[:, n // 2 - 1] + rows[:, n // 2]) / 2
    return middle
