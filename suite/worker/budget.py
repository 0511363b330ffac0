"""Time budget of a run, shared out over its passes and their tasks."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Sequence

LEAST_S = 0.2
"""The least time for the rounds of a task in a pass: some six rounds of a few short backends."""
MOST_PASSES = 10
"""A run goes no more often over a task; of ten passes the spread is known well enough."""


class Budget:
    """Shares the time that is left over the passes and tasks left, less what each costs beside its rounds.

    A pass is planned, and begun, only if each of its tasks can have the least in it: in little time there are
    fewer passes, each of them whole. Beyond that more passes are worth more than longer ones, since the
    rounds of one process share what it was given once.

    Args:
        total_s: time for all tasks. None: each has ``limit_s``, and all have ``most_s``.
        tasks: how many a pass has; they are known by their places in it, from 0.
        limit_s: time for the rounds of a task in all passes.
        least_s: the least that a task has in a pass.
        passes: how many there are to be. Of several, in a total time, each has what leaves some for
            MOST_PASSES of those that need them.
    """

    def __init__(
        self,
        total_s: float | None,
        tasks: int,
        limit_s: float,
        most_s: float = math.inf,
        now: Callable[[], float] = time.monotonic,
        passes: int = 1,
        least_s: float = LEAST_S,
    ) -> None:
        self.now = now
        self.least_s = least_s
        self.tasks = tasks
        self.limit_s = limit_s / passes
        if total_s:
            alone = total_s / max(tasks, 1) / MOST_PASSES
            self.limit_s = math.inf if passes == 1 else max(self.limit_s, alone)
        self.end = now() + (total_s or most_s)
        self.beside_s: dict[int, float] = {}
        self.given_s = limit_s
        self.began = now()
        self.place = 0
        self.begin(range(tasks), passes - 1)

    @property
    def ends(self) -> bool:
        """Whether there is an end at all."""
        return math.isfinite(self.end)

    def begin(self, places: Sequence[int], later: int) -> None:
        """A pass begins over the tasks in these places; so many passes over all are to come after it."""
        self.waiting, self.later = list(places), later
        self.once_s: list[float] = []

    def fits(self, places: Sequence[int]) -> bool:
        """Whether there is time for a pass over these tasks."""
        return self.end - self.now() >= self._beside_s(places) + self.least_s * len(places)

    def next_limit_s(self) -> float:
        """Time for the rounds of the next task of the pass."""
        self.began = self.now()
        here, every = list(self.waiting), range(self.tasks)
        self.place = self.waiting.pop(0)
        once_s = statistics.median_low(self.once_s or [0.0]) * len(here)
        spare_s = self.end - self.began - self._beside_s(here) - once_s
        pass_s = self._beside_s(every)
        later = (spare_s - self.least_s * len(here)) / (pass_s + self.least_s * self.tasks)
        later = int(max(0.0, min(self.later, later)))
        share_s = (spare_s - later * pass_s) / (len(here) + later * self.tasks)
        self.given_s = min(self.limit_s, max(self.least_s, share_s))
        return self.given_s

    def finished(self, once_s: float = 0.0) -> None:
        """A task is over; learn what it took beside its rounds, if it used all of their time.

        Args:
            once_s: how much of that only this pass takes, for each of its tasks.
        """
        self.once_s.append(once_s)
        beside_s = self.now() - self.began - self.given_s - once_s
        if beside_s > 0:
            self.beside_s[self.place] = beside_s

    def _beside_s(self, places: Sequence[int]) -> float:
        """What these tasks take beside their rounds: as they did before, or else as the middle one did.

        The middle one, since a table that takes long to build is built once in a pass.
        """
        middle_s = statistics.median_low([1.0, *self.beside_s.values()])
        return sum(self.beside_s.get(place, middle_s) for place in places)
