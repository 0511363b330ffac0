"""Time budget of a run, shared out over its tasks."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable

LEAST_S = 0.2


class Budget:
    """Shares the time that is left over the tasks that are left, less what each costs beside its rounds.

    Args:
        total_s: time for all tasks, which they use up. None: each has ``limit_s``, and all have ``most_s``.
    """

    def __init__(
        self,
        total_s: float | None,
        tasks: int,
        limit_s: float,
        most_s: float = math.inf,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.now = now
        self.limit_s = math.inf if total_s else limit_s
        self.end = now() + (total_s or most_s)
        self.left = tasks
        self.beside_s = [1.0]
        self.given_s = limit_s
        self.began = now()

    def next_limit_s(self) -> float:
        """Time for the rounds of the next task."""
        self.began = self.now()
        share = (self.end - self.began) / max(self.left, 1)
        self.given_s = min(self.limit_s, max(LEAST_S, share - statistics.median_low(self.beside_s)))
        return self.given_s

    def finished(self) -> None:
        """A task is over; learn what it took beside its rounds, if it used all of their time."""
        self.left -= 1
        beside = self.now() - self.began - self.given_s
        if beside > 0:
            self.beside_s.append(beside)  # the median: a table that took long to build is built once
