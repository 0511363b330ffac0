"""Time budget of a run, shared out over its passes and their tasks."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

LEAST_S = 0.2
"""The least time for the rounds of a task in a pass: some six rounds of a few short backends."""
LATE_S = 30.0
"""A task is begun if it is expected to end no later than this after the end: what a run begins with, such as
processes and their libraries, can't be foreseen."""
MOST_PASSES = 10
"""A run goes no more often over a task; of ten passes the spread is known well enough."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a task is expected to take, before anything of it is known.

    Attributes:
        beside_s: beside its rounds, in each pass. once_s: beyond that in the first pass, for the counters.
        least_s: for as many rounds in a pass as an interval needs.
        weight: its share of the time, 1 being a case's on the device that the run is about.
    """

    beside_s: float = 1.0
    once_s: float = 0.0
    least_s: float = LEAST_S
    weight: float = 1.0


class Budget:
    """Shares the time that is left over the passes and tasks left, less what each costs beside its rounds.

    A pass is planned, and begun, only if each of its tasks can have the least in it: in little time there are
    fewer passes, each of them whole, and in less than that fewer tasks (``affordable``). Beyond that more
    passes are worth more than longer ones, since the rounds of one process share what it was given once.

    Args:
        total_s: time for all tasks. None: each has ``limit_s``, and all have ``most_s``.
        tasks: what each task of a pass is expected to cost, or only how many there are; they are known by
            their places in it, from 0.
        limit_s: time for the rounds of a task of weight 1 in all passes.
        passes: how many there are to be. Of several, in a total time, each has what leaves some for
            MOST_PASSES of those that need them.

    Attributes:
        alone: whether for the task that was last given time there is none in a later pass.
    """

    def __init__(
        self,
        total_s: float | None,
        tasks: int | Sequence[Cost],
        limit_s: float,
        most_s: float = math.inf,
        now: Callable[[], float] = time.monotonic,
        passes: int = 1,
    ) -> None:
        self.now = now
        self.costs = [Cost()] * tasks if isinstance(tasks, int) else list(tasks)
        self.passes = passes
        self.limit_s = limit_s / passes
        if total_s:
            alone = total_s / max(self._weight(range(len(self.costs))), 1.0) / MOST_PASSES
            self.limit_s = math.inf if passes == 1 else max(self.limit_s, alone)
        self.whole_s = total_s or most_s
        self.end = now() + self.whole_s
        self.beside_s: dict[int, float] = {}
        self.given_s = limit_s
        self.began = now()
        self.place = 0
        self.alone = False
        self.begin(range(len(self.costs)), passes - 1, first=True)

    @property
    def ends(self) -> bool:
        """Whether there is an end at all."""
        return math.isfinite(self.end)

    def begin(self, places: Sequence[int], later: int, first: bool = False) -> None:
        """A pass begins over the tasks in these places; so many passes over all are to come after it.

        Args:
            first: whether it is the one with a phase for the counters.
        """
        self.waiting, self.later, self.first = list(places), later, first
        self.once_s: list[float] = []

    def fits(self, places: Sequence[int]) -> bool:
        """Whether there is time for a pass over these tasks."""
        return self.end - self.now() >= self.least_s(places)

    def least_s(self, places: Sequence[int]) -> float:
        """The least that a pass over these tasks takes."""
        return self._beside_s(places) + self._once_s(places) + self._rounds_s(places)

    def affordable(self, places: Sequence[int]) -> list[int]:
        """Of these tasks those that one pass has time for, in the time that was given for all.

        Those of less weight are left out first, then the dearest. One stays whatever it costs.
        """
        kept = list(places)
        dearest = sorted(places, key=lambda place: (self.costs[place].weight, -self.least_s([place])))
        for place in dearest[: max(0, len(dearest) - 1)]:
            if self.least_s(kept) <= self.whole_s:
                break
            kept.remove(place)
        return kept

    def in_time(self) -> bool:
        """Whether the next task of the pass would end, with its least, no later than LATE_S after the end."""
        return self.now() + self.least_s(self.waiting[:1]) < self.end + LATE_S

    def leave_out(self) -> None:
        """The next task of the pass is not measured."""
        self.waiting.pop(0)

    def next_limit_s(self) -> float:
        """Time for the rounds of the next task of the pass."""
        self.began = self.now()
        here, every = list(self.waiting), range(len(self.costs))
        self.place = self.waiting.pop(0)
        own = self.costs[self.place]
        spare_s = self.end - self.began - self.least_s(here)
        pass_s = self._beside_s(every) + self._rounds_s(every)
        later = int(max(0.0, min(self.later, spare_s / pass_s)))
        self.alone = self.first and not later
        weight = self._weight(here) + later * self._weight(every)
        share_s = own.least_s + own.weight * max(0.0, spare_s - later * pass_s) / weight
        self.given_s = max(own.least_s, min(self.limit_s * own.weight, share_s))
        return self.given_s

    def finished(self, once_s: float = 0.0) -> None:
        """A task is over; learn what it took beside its rounds, if it used all of their time.

        Args:
            once_s: how much of that only this pass takes, for each of its tasks.
        """
        if not self.costs[self.place].once_s:
            self.once_s.append(once_s)
        beside_s = self.now() - self.began - self.given_s - once_s
        if beside_s > 0:
            self.beside_s[self.place] = beside_s

    def _beside_s(self, places: Sequence[int]) -> float:
        """What these tasks take beside their rounds: as they did before, or what is expected of them.

        That in the measure of the middle one that is known, since a table that takes long to build is built
        once in a pass.
        """
        known = (took_s / self.costs[place].beside_s for place, took_s in self.beside_s.items())
        factor = statistics.median_low([1.0, *known])
        return sum(self.beside_s.get(place, factor * self.costs[place].beside_s) for place in places)

    def _once_s(self, places: Sequence[int]) -> float:
        """What only this pass takes of them: where nothing was expected, as much as the middle one took."""
        middle_s = statistics.median_low(self.once_s or [0.0])
        return sum(self.costs[place].once_s or middle_s for place in places) if self.first else 0.0

    def _rounds_s(self, places: Sequence[int]) -> float:
        return sum(self.costs[place].least_s for place in places)

    def _weight(self, places: Sequence[int]) -> float:
        return sum(self.costs[place].weight for place in places)
