"""CUDA's clock: device time by events behind a held queue, and beside it the host's times and a graph's."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter_ns  # bound before any backend could put another in its place
from typing import Any

import numpy as np

from backends import Array, Lookup
from suite.engine.clocks.graph import Graph, Graphs
from suite.engine.clocks.host import MAX_TURN_NS, HostClock, nothing
from suite.engine.rotation import Flush
from suite.engine.turns import Turn
from suite.records.record import Clock as ClockName

MAX_QUEUED = 256
"""Lookups behind one hold, and samples."""
MAX_ENTRIES = 512
"""Launches and events behind one hold, a lookup counted as one launch. The driver's queue takes about 1,000
before the next one blocks, so lookups of three launches still fit."""
FLUSH_ENTRIES = 2
"""A flush may be two launches."""
MAX_HOLD_S = 0.2
SPARE, SPARE_S = 1.5, 0.0002
"""A hold is so many times as long as enqueueing took before, and so much longer: the host has its delays."""
GIVEN_UP = 2
"""After so many queues that ran dry behind the longest hold, holds are short: the lookup waits inside."""
HELD_CYCLES = 10_000
"""So many cycles of the device's clock is what a reading of it is of."""
CALLS = 8
"""Lookups of a turn that are timed from call to rows."""
GRAPH_S = 0.0003
"""About so long is a graph: what launching it takes is little beside that."""
LONG = f"a lookup is longer than {GRAPH_S * 1e3:g} ms, beside which its launch is nothing"
MOST_IN_A_GRAPH = 64
REPLAYS = 3
"""Samples of a graph in a turn."""


@dataclass(frozen=True, slots=True)
class Flushes:
    """What empties the caches of a device, each null where that is not needed.

    Attributes:
        each: before each sample, where too few rows rotate.
        again: before what was just called is called again, where lookups are to be cold.
    """

    each: Flush | None = None
    again: Flush | None = None


NO_FLUSHES = Flushes()


class CudaClock:
    """Device time by events behind a held queue, the host's time to enqueue, and both together.

    Args:
        cuda: ``torch.cuda``, or what stands in for it.
        flushes: outside the events of samples.
        kept: as for ``HostClock``.
        graphs: captures the lookups that the clock is for; null for none.
    """

    name: ClockName = "kernel"
    max_queued = MAX_QUEUED
    calls = CALLS
    meter_threads = None

    def __init__(
        self, cuda: Any, flushes: Flushes = NO_FLUSHES, kept: int = 1, graphs: Graphs | None = None
    ) -> None:
        self.cuda = cuda
        self.flush, self.again = flushes.each, flushes.again
        self.graphs = graphs
        self.host = HostClock(cuda.synchronize, kept, lasting=False)
        self.kept = self.host.kept
        self.events = [
            (cuda.Event(enable_timing=True), cuda.Event(enable_timing=True)) for _ in range(MAX_QUEUED)
        ]
        self.hold = cuda.Event(enable_timing=True), cuda.Event(enable_timing=True)
        self.cycles_per_s = self._calibrate()
        self.hold_s = 0.001
        self.enqueue_s = 1e-5  # of a lookup and what belongs to it, as it was last
        self.dry = 0
        self.overhead_s = 0.0
        empty = self._queue([nothing] * 64, 1)
        self.overhead_s = float(np.median(empty.kernel_s))

    def use_meter(self, threaded: bool) -> None:
        """No meter of the host's: its speed is not the device's, which the hold of known cycles tells."""

    def turn(
        self,
        warm_up: Sequence[Lookup],
        lookups: Sequence[Lookup],
        repeat: int,
        called: Sequence[Lookup] = (),
    ) -> Turn:
        turn, end = Turn(), perf_counter_ns() + MAX_TURN_NS
        turn.settling_s = self.host.turn(warm_up, [], 1).settling_s
        turn.call_s = self._calls(called)
        step = self._samples_behind_a_hold(repeat) * repeat
        for start in range(0, len(lookups), step):
            part = self._queue(lookups[start : start + step], repeat)
            turn.kernel_s += part.kernel_s
            turn.enqueue_s += part.enqueue_s
            turn.meter_s += part.meter_s
            turn.held = part.held if turn.held is None else turn.held and part.held
            turn.result = part.result
            turn.whole = start + step >= len(lookups)
            if perf_counter_ns() > end:
                break
        self.kept.clear()
        return turn

    def add_graph(self, turn: Turn) -> None:
        if self.graphs is not None and self.graphs.missing is None:
            turn.graph_s = self._graph(float(np.median(turn.kernel_s)))

    def _samples_behind_a_hold(self, repeat: int) -> int:
        """So many that their lookups, their two events and their flushs fit the queue; at least one."""
        entries = repeat + 2 + (FLUSH_ENTRIES if self.flush is not None else 0)
        return max(1, min(MAX_QUEUED // repeat, MAX_ENTRIES // entries))

    def _queue(self, lookups: Sequence[Lookup], repeat: int) -> Turn:
        """Kernel and enqueue times; once more with a longer hold for as long as the queue ran dry.

        The hold follows what enqueueing took last, so it is as long as it needs to be and no longer.
        """
        self.hold_s = self._needed_s(len(lookups)) if self.dry < GIVEN_UP else SPARE_S
        while True:
            turn = self._queue_once(lookups, repeat)
            if turn.held:
                self.dry = 0
                return turn
            if self.dry >= GIVEN_UP:
                return turn
            if self.hold_s >= MAX_HOLD_S:
                self.dry += 1
                return turn
            self.hold_s = min(max(2 * self.hold_s, self._needed_s(len(lookups))), MAX_HOLD_S)
            if self.again is not None:
                self.again()

    def _needed_s(self, lookups: int) -> float:
        return min(SPARE * self.enqueue_s * lookups + SPARE_S, MAX_HOLD_S)

    def _queue_once(self, lookups: Sequence[Lookup], repeat: int) -> Turn:
        now, turn, cuda, flush, kept = perf_counter_ns, Turn(), self.cuda, self.flush, self.kept
        pairs = self.events[: -(-len(lookups) // repeat)]
        result: Array = None
        self._hold()
        filling = now()
        for number, (first, last) in enumerate(pairs):
            together = lookups[number * repeat : (number + 1) * repeat]
            if flush is not None:
                flush()
            first.record()
            began = now()
            if kept.maxlen == 1:
                for lookup in together:
                    result = lookup()
            else:
                kept.extend([lookup() for lookup in together])
            turn.enqueue_s.append((now() - began) * 1e-9 / len(together))
            last.record()
        turn.held = not pairs[0][0].query()
        self.enqueue_s = (now() - filling) * 1e-9 / len(lookups)
        turn.result = result if kept.maxlen == 1 else kept[-1]
        cuda.synchronize()
        turn.meter_s.append(self._held_cycles_s())
        for number, (first, last) in enumerate(pairs):
            count = len(lookups[number * repeat : (number + 1) * repeat])
            turn.kernel_s.append(first.elapsed_time(last) * 1e-3 / count)
        return turn

    def _hold(self) -> None:
        """Keep the device from what is enqueued from now on, for ``hold_s``."""
        self.cuda.synchronize()
        began, ended = self.hold
        began.record()
        self.cuda._sleep(self._cycles())
        ended.record()

    def _cycles(self) -> int:
        return int(self.hold_s * self.cycles_per_s)

    def _held_cycles_s(self) -> float:
        """What ``HELD_CYCLES`` of the device's clock took in the last hold."""
        began, ended = self.hold
        return float(began.elapsed_time(ended)) * 1e-3 * HELD_CYCLES / max(self._cycles(), 1)

    def _calls(self, lookups: Sequence[Lookup]) -> list[float]:
        times: list[float] = []
        for lookup in lookups:
            if self.flush is not None:
                self.flush()
            times += self.host.turn([], [lookup], 1).call_s
        return times

    def _graph(self, kernel_s: float) -> list[float]:
        """Device times of a lookup in a graph, each replay as cold or hot as the case; none where refused."""
        assert self.graphs is not None
        if kernel_s > GRAPH_S:
            self.graphs.missing = LONG
            return []
        graph = self.graphs.capture(self._in_a_graph(kernel_s))
        if graph is None:
            return []
        graph.replay()  # the first one uploads it
        return [self._replayed_s(graph) for _ in range(REPLAYS)]

    def _in_a_graph(self, kernel_s: float) -> int:
        assert self.graphs is not None
        count = min(max(1, math.ceil(GRAPH_S / max(kernel_s, 1e-7))), MOST_IN_A_GRAPH)
        return count if self.again is None else min(count, self.graphs.slots)

    def _replayed_s(self, graph: Graph) -> float:
        (first, last), self.hold_s, held = self.events[0], SPARE_S, False
        while not held and self.hold_s < MAX_HOLD_S:
            self.hold_s *= 2
            if self.again is not None:
                self.again()
            self._hold()
            first.record()
            graph.replay()
            last.record()
            held = not first.query()
            self.cuda.synchronize()
        return float(first.elapsed_time(last)) * 1e-3 / graph.lookups

    def _calibrate(self) -> float:
        """Cycles a second of the device's own sleep."""
        first, last = self.events[0]
        cycles = 1_000_000
        for _ in range(3):  # the first ones load the module and wake the clock
            first.record()
            self.cuda._sleep(cycles)
            last.record()
            self.cuda.synchronize()
        seconds: float = first.elapsed_time(last) * 1e-3
        return cycles / max(seconds, 1e-9)
