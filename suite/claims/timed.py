"""Steps that take turns on the suite's clock, in shuffled rounds, as its backends do."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any

import numpy as np

from suite.engine import turns
from suite.engine.clocks import clock_of
from suite.records.device import Device

Call = Callable[[], Any]

MAX_ROUNDS = 60
LONG_S = 0.05
"""A call that takes so long is a turn by itself."""
TRIAL_CALLS = 3


class Timed:
    """One step: its calls, which take turns so that each finds what it reads as cold as it should be."""

    def __init__(self, name: str, calls: Sequence[Call], device: str) -> None:
        self.name = name
        self.calls = calls
        self.clock = clock_of(Device.of(device), "device", None, 1)
        self.rounds: list[list[float]] = []
        self.cursor = 0
        self.estimate_s = 0.0
        self.repeat = 1

    def warm_up(self) -> None:
        """Call until its time is known well enough to size its turns; the first call is set apart."""
        times: list[float] = []
        for _ in range(TRIAL_CALLS):
            times += self._turn(0, 1)
            if times[-1] > LONG_S and len(times) > 1:
                break
        self.estimate_s = max(min(times), 1e-7)
        slots = len(self.calls)
        self.repeat = turns.lookups_per_sample(
            self.estimate_s, turns.TURN_S, slots, slots == 1, False, self.clock.max_queued
        )

    def take_turn(self, rng: np.random.Generator) -> None:
        """Settle, and take the samples of a round."""
        settle, count = 0, 1
        if self.estimate_s < LONG_S:
            settle, count = turns.sizes(
                self.estimate_s, turns.TURN_S, self.repeat, len(self.calls), False, rng
            )
        self.rounds.append(self._turn(settle, count))

    def _turn(self, settle: int, count: int) -> list[float]:
        order = [self.calls[(self.cursor + k) % len(self.calls)] for k in range(settle + count)]
        self.cursor = (self.cursor + len(order)) % len(self.calls)
        turn = self.clock.turn(order[:settle], order[settle:], self.repeat)
        turn.result = None
        return turn.times(self.clock.name)


def in_turns(steps: Sequence[Timed], seconds: float, seed: int) -> None:
    """Warm all up, then rounds in shuffled order until the time is spent; at least one."""
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


def round_s(steps: Sequence[Timed]) -> float:
    """About how long a round of steps that are warmed up takes."""
    return sum(max(step.estimate_s, turns.TURN_S + turns.WARM_UP_S) for step in steps)
