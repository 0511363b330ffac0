"""Steps timed in turns by the suite's clock, in shuffled rounds, as its backends are."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any

import numpy as np

from suite.engine import turns
from suite.engine.clocks.choice import clock_of
from suite.engine.turns import Turns
from suite.records.device import Device

Call = Callable[[], Any]

MAX_ROUNDS = 60
LONG_S = 0.05
"""A call that takes longer is a turn by itself."""
TRIAL_CALLS = 3


class Timed:
    """A step and its turns.

    Args:
        calls: used in turn, so that what each reads is as cold as it should be.
    """

    def __init__(self, name: str, calls: Sequence[Call], device: Device) -> None:
        self.name = name
        self.calls = calls
        self.turns = Turns(calls, clock_of(device, "device"), turns.TURN_S, len(calls) == 1, False)

    @property
    def rounds(self) -> list[list[float]]:
        """The samples in seconds, by round."""
        return self.turns.rounds

    @property
    def estimate_s(self) -> float:
        """About how long a call takes."""
        return self.turns.estimate_s

    def warm_up(self) -> None:
        """Call it until its time is known well enough to size its turns: twice, thrice if it is short."""
        times: list[float] = []
        paces: list[float] = []
        while len(times) < TRIAL_CALLS and not (len(times) > 1 and times[-1] > LONG_S):
            self._take([], [self._next_slot()])
            turn = self.turns.past.pop()
            times += turn.times(self.turns.clock.name)
            paces += turn.paces()
        self.turns.estimate_s, self.turns.pace_s = max(min(times), 1e-7), max(min(paces), 1e-7)
        self.turns.repeat = self.turns.lookups_per_sample()

    def take_turn(self, rng: np.random.Generator) -> None:
        """Warm up briefly, then take the samples of a round."""
        if self.estimate_s < LONG_S:
            order = self.turns.next_slots(rng)
            self._take(order.warm_up, order.timed, order.called)
        else:
            self._take([], [self._next_slot()])

    def _next_slot(self) -> int:
        slot = self.turns.cursor
        self.turns.cursor = (slot + 1) % len(self.calls)
        return slot

    def _take(self, *slots: Sequence[int]) -> None:
        """A turn of the calls in these slots: warm-up, timed, from call to end."""
        turn = self.turns.take(*([self.calls[k] for k in some] for some in slots))
        turn.result = None  # its memory is free for the next step


def in_turns(steps: Sequence[Timed], seconds: float, seed: int) -> None:
    """Warm up every step, then time rounds in shuffled order until the time is over; at least one."""
    rng = np.random.default_rng(seed)
    end = perf_counter() + seconds
    for step in steps:
        step.warm_up()
    gc.collect()
    gc.disable()
    try:
        for _ in range(MAX_ROUNDS):
            for number in rng.permutation(len(steps)):
                steps[number].take_turn(rng)
            if perf_counter() >= end:
                return
    finally:
        gc.enable()
