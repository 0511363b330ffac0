"""Turns: how long one is, how many lookups make a sample, in which order slots come, and what a turn gave."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from time import process_time, sleep, thread_time, time  # bound before any backend could replace them
from typing import Protocol

import numpy as np

from backends import Array, Lookup
from suite.records.record import Clock as ClockName
from suite.stats import FULL_SPEED_TOLERANCE

TURN_S = 0.02
"""Length of a turn's samples: the machine drifts, so turns that are to be compared must be close together."""
WARM_UP_S = 0.002
"""Length of a turn's first calls, set apart: threads of the turn before still spin, its own must wake up, and
what another streamed past the caches must come back into them."""
SAMPLES = 64
"""So many samples a turn; of short lookups a sample is the mean of several."""
SHORTEST_QUEUED_S = 20e-6
"""On a GPU a sample is no shorter: events resolve 0.5 µs."""


THREADED = 1.3
"""A lookup is threaded if it takes so many times the processor time of its calling thread. On a busy machine
that holds too, where its threads have to wait for a processor."""
IDLE_S = 0.001
MOST_IDLE_WAITS = 20
"""OpenMP's threads look for work for up to 8 ms before they sleep, unless told otherwise."""


@dataclass(slots=True)
class Turn:
    """What one turn of one backend gave, in seconds, in order; ``result`` is what its last call returned.

    Attributes:
        settling_s: its first calls, set apart.
        graph_s: times of a lookup in a CUDA graph; none where there is none.
        held: whether a GPU's queue was full in every kernel sample; null without one.
        whole: whether it took all the samples it was to take.
        meter_s: what the meter read, before, between and after its calls; of a GPU's clock what 10,000 of its
            cycles took, in each hold of the queue; none of a clock without one.
        began_s: when it began, in seconds since the epoch.
    """

    settling_s: list[float] = field(default_factory=list)
    call_s: list[float] = field(default_factory=list)
    kernel_s: list[float] = field(default_factory=list)
    enqueue_s: list[float] = field(default_factory=list)
    graph_s: list[float] = field(default_factory=list)
    held: bool | None = None
    whole: bool = True
    result: Array = None
    meter_s: list[float] = field(default_factory=list)
    began_s: float = field(default_factory=time)

    def times(self, clock: ClockName) -> list[float]:
        """The samples by one clock."""
        return self.kernel_s if clock == "kernel" else self.call_s

    def paces(self) -> list[float]:
        """What a lookup takes of the turn's length: its time, or the host's to enqueue it if longer."""
        return list(map(max, self.kernel_s, self.enqueue_s)) or self.call_s

    def set_last_apart(self) -> None:
        """Move the last sample to the first calls: it was a spot check."""
        for times in (self.kernel_s, self.enqueue_s) if self.kernel_s else (self.call_s,):
            self.settling_s += times[-1:]
            del times[-1:]


class Clock(Protocol):
    """Times the lookups of a turn, in order, each ``repeat`` of them together."""

    name: ClockName
    overhead_s: float
    max_queued: int
    """Lookups that its queue takes; 0 without one."""
    calls: int
    """Lookups beside the samples that it times from call to rows; 0 where that is what the samples are."""

    @property
    def meter_threads(self) -> int | None:
        """Threads that its meter runs on; none without one."""

    def use_meter(self, threaded: bool) -> None:
        """From now on, read the meter of all threads or of the calling one in every turn."""

    def turn(
        self,
        warm_up: Sequence[Lookup],
        lookups: Sequence[Lookup],
        repeat: int,
        called: Sequence[Lookup] = (),
    ) -> Turn:
        """Call all in order: what warms up, set apart in few readings; what is ``called``; the samples."""

    def add_graph(self, turn: Turn) -> None:
        """Time a CUDA graph of the lookups, once the turn was checked: it writes to its outputs."""


@dataclass(frozen=True, slots=True)
class Order:
    """The slots of a turn: of its warm-up calls, of those timed from call to rows, of its samples."""

    warm_up: list[int]
    called: list[int]
    timed: list[int]


@dataclass(slots=True)
class Turns:
    """The turns of one lookup: its slots rotate over them, and each is as long as its time asks for.

    Attributes:
        lookups: one a slot. hot: whether they are one, again and again.
        turn_s: length of a turn's samples.
        flushed: whether caches are flushed before each turn, which then is one pass over the slots.
        alone: whether a turn is one lookup, as one leaves nothing cold for the next.
        estimate_s: time of a lookup. pace_s: what it takes of a turn's length, as ``Turn.paces``.
        repeat: how many lookups make a sample.
        past: the turns taken, in order.
    """

    lookups: Sequence[Lookup]
    clock: Clock
    turn_s: float
    hot: bool
    flushed: bool
    alone: bool = False
    estimate_s: float = 1e-5
    pace_s: float = 1e-5
    repeat: int = 1
    cursor: int = 0
    past: list[Turn] = field(default_factory=list)

    @property
    def rounds(self) -> list[list[float]]:
        """The samples by its clock, in seconds, by round."""
        return [turn.times(self.clock.name) for turn in self.past]

    def rounds_at(self, full_speed_s: Mapping[int, float]) -> list[list[float]]:
        """The samples of the rounds at full speed, as far as the meter tells; of all rounds without one.

        Args:
            full_speed_s: what the meter reads at full speed, by its number of threads.
        """
        threads = self.clock.meter_threads
        if threads is None:
            return self.rounds
        most_s = full_speed_s[threads] * (1 + FULL_SPEED_TOLERANCE)
        return [turn.times(self.clock.name) for turn in self.past if max(turn.meter_s) <= most_s]

    def warm_up(self) -> None:
        """Call until the time of a lookup is known well enough to size its turns, and choose its meter."""
        _wait_for_idle_threads()
        times: list[float] = []
        paces: list[float] = []
        in_all, in_caller = process_time(), thread_time()
        while len(times) < 3 or (sum(paces) < self.turn_s and len(times) < SAMPLES):
            turn = self.clock.turn([], [self.lookups[len(times) % len(self.lookups)]], 1)
            times += turn.times(self.clock.name)
            paces += turn.paces()
        self.clock.use_meter(process_time() - in_all > THREADED * (thread_time() - in_caller))
        self.estimate_s = max(float(np.median(times[1:])), 1e-7)
        self.pace_s = max(float(np.median(paces[1:])), 1e-7)
        if not self.alone:
            self.repeat = self.lookups_per_sample()

    def lookups_per_sample(self) -> int:
        """How many lookups make a sample, by what one takes."""
        lasting = (self.estimate_s, self.pace_s)
        return lookups_per_sample(
            lasting, self.turn_s, len(self.lookups), self.hot, self.flushed, self.clock.max_queued
        )

    def next_slots(self, rng: np.random.Generator) -> Order:
        """The slots of the next turn, in the order in which they come."""
        slots = len(self.lookups)
        if self.alone:
            self.cursor = (self.cursor + 1) % slots
            return Order([], [], [self.cursor])
        warm_up, count = sizes(self.pace_s, self.turn_s, self.repeat, slots, self.flushed, rng)
        called = min(self.clock.calls, max(1, round(self.turn_s / self.pace_s / 2)))
        order = [(self.cursor + k) % slots for k in range(warm_up + called + count)]
        self.cursor = (order[-1] + 1) % slots
        return Order(order[:warm_up], order[warm_up : warm_up + called], order[warm_up + called :])

    def take(self, warm_up: Sequence[Lookup], timed: Sequence[Lookup], called: Sequence[Lookup] = ()) -> Turn:
        """Time a turn of these calls and keep what it gave."""
        turn = self.clock.turn(warm_up, timed, self.repeat, called)
        self.past.append(turn)
        return turn


def _wait_for_idle_threads() -> None:
    """Until threads of earlier lookups look for work no longer, as far as that happens."""
    for _ in range(MOST_IDLE_WAITS):
        before = process_time()
        sleep(IDLE_S)
        if process_time() - before < IDLE_S / 4:
            return


def lookups_per_sample(
    lasting: tuple[float, float], turn_s: float, slots: int, hot: bool, flushed: bool, max_queued: int
) -> int:
    """So many that a turn has no more samples than it should, each lookup as cold as one alone.

    Args:
        lasting: time of a lookup, and what it takes of the turn's length. turn_s: length of a turn.
        slots: batches that rotate. hot: whether they are one, again and again.
        flushed: whether caches are flushed before a turn, which then is one pass over the slots.
        max_queued: how many lookups a GPU's queue takes; 0 without one.
    """
    time_s, pace_s = lasting
    count = math.ceil(turn_s / SAMPLES / pace_s)
    if max_queued:
        count = min(max(count, math.ceil(SHORTEST_QUEUED_S / time_s)), max_queued)
    if hot:
        return count
    return min(count, max(1, slots // SAMPLES) if flushed else slots)


def sizes(
    pace_s: float, turn_s: float, repeat: int, slots: int, flushed: bool, rng: np.random.Generator
) -> tuple[int, int]:
    """Warm-up calls and timed calls of a turn; its end, where spot checks happen, can't be foreseen."""
    warm_up = max(1, round(WARM_UP_S / pace_s))
    if pace_s < WARM_UP_S:  # of long ones, one call more would be time that gives no sample
        warm_up += int(rng.integers(0, 2))
    samples = min(SAMPLES, max(2, round(turn_s / pace_s / repeat)))
    samples += int(rng.integers(0, max(2, samples // 8)))
    if not flushed:
        return warm_up, samples * repeat
    # One pass over the slots is all that a flush buys.
    warm_up = min(warm_up, slots // 8)
    spare = int(rng.integers(0, 1 + -(-slots // 8)))
    count = max(1, min(samples * repeat, slots - warm_up - spare))
    return warm_up, max(count // repeat * repeat, min(count, repeat))
