"""Result of one way for one case: every rank's samples, and what is read off them."""

from __future__ import annotations

import statistics
from dataclasses import dataclass

from suite import stats
from suite.cases.case import Case
from suite.stats import Estimate, Rounds

SCHEMA = 1
"""Version of a result's fields."""


@dataclass(frozen=True, slots=True)
class Ways:
    """A way, and how many ranks went it, over what.

    Attributes:
        name: of the way. sharding: ``row`` or ``column``.
        backend: what the ranks talked by. device: ``cpu`` or ``cuda``.
        nodes: how many hosts they were on.
    """

    name: str
    sharding: str
    ranks: int
    backend: str
    device: str
    nodes: int = 1


@dataclass(frozen=True, slots=True)
class Rank:
    """One rank's times, in seconds.

    Attributes:
        samples_s: by round, one a lookup, from the common start until this rank had its rows.
        lookup_s, exchange_s: of one lookup a round, whose phases were waited for.
        sent_bytes: that the network interfaces of its host sent in a lookup, for whichever rank or process.
    """

    samples_s: tuple[tuple[float, ...], ...]
    lookup_s: tuple[float, ...]
    exchange_s: tuple[float, ...]
    sent_bytes: float | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a way.

    Attributes:
        status: ``ok``; ``inexact``: right but for the sign of zeros; or how it failed. reason: then, why.
        of_ranks: the ranks' times, in order; none of a way that failed.
        wire_bytes: that a rank sends in one lookup, by the way's model.
        imbalance: rows asked of the busiest rank over those of an average one, where ranks hold rows.
    """

    case: Case
    way: Ways
    status: str
    reason: str | None = None
    of_ranks: tuple[Rank, ...] = ()
    wire_bytes: float | None = None
    imbalance: float | None = None

    @property
    def completed(self) -> bool:
        """Whether it has a time."""
        return self.status in ("ok", "inexact") and any(rank.samples_s for rank in self.of_ranks)

    @property
    def slowest(self) -> Rounds:
        """By round, for each lookup the time of the rank that had its rows last."""
        rounds = zip(*(rank.samples_s for rank in self.of_ranks), strict=True)
        return [[max(times) for times in zip(*each, strict=True)] for each in rounds]

    @property
    def time(self) -> Estimate:
        """Seconds of a lookup: the median over rounds of the slowest rank's, and its 95 % interval."""
        return stats.median(self.slowest)

    @property
    def lookup_s(self) -> float:
        """Seconds of the lookups alone, of the rank that takes longest."""
        return max(statistics.median(rank.lookup_s) for rank in self.of_ranks)

    @property
    def exchange_s(self) -> float:
        """Seconds of the exchanges alone, of the rank that waits least: the others wait for it."""
        return min(statistics.median(rank.exchange_s) for rank in self.of_ranks)

    def times(self, other: Result) -> Estimate:
        """How many times as long as another way of the same job it takes, within rounds."""
        return stats.ratio(self.slowest, other.slowest)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a worker says at its end: a result of every way, the same on all ranks."""

    results: tuple[Result, ...]
