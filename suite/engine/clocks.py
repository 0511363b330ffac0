"""Clocks: the host's, and CUDA's with the queue held full. Never one in the place of the other."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from time import perf_counter_ns  # bound before any backend could put another in its place
from typing import Any

import numpy as np

from backends import Array, Lookup
from suite.engine import binding
from suite.engine.arrays import Arrays
from suite.engine.binding import Binding
from suite.engine.meter import METER_NS, Meter, meter_of
from suite.engine.rotation import Flush
from suite.engine.turns import Clock, Turn
from suite.records.device import Device
from suite.records.record import Clock as ClockName

MAX_QUEUED = 256
"""Lookups behind one hold, and samples."""
MAX_ENTRIES = 512
"""Launches and events behind one hold, a lookup counted as one launch. The driver's queue takes about 1,000
before the next one blocks, so lookups of three launches still fit."""
MAX_HOLD_S = 0.2
HELD_CYCLES = 10_000
"""So many cycles of the device's clock is what a reading of it is of."""
MAX_TURN_NS = 300_000_000
"""A turn is cut short here: what it was sized by was a mistake, or the machine is held up."""
WARM_UP_READINGS = 16
CALLS = 8
"""Lookups of a CUDA turn that are also timed from call to rows."""


class HostClock:
    """Host time until the rows are there: ``call``.

    Args:
        wait: returns when the device is idle, where a lookup's return does not mean that its rows are there.
            A turn begins with it too: a library with streams of its own does not wait for a flush on another.
        kept: how many results are held on to. Were each given up at once, a library that allocates would
            write to the same warm memory every time, and a cold lookup's output would not be cold.
        binding: where the caller and OpenMP's threads run during a turn; None: wherever they happen to.
        meters: the meter of one thread or of all (``meter_of``); without it, and where the host waits for a
            device, none is read.
    """

    name: ClockName = "call"
    max_queued = 0

    def __init__(
        self,
        wait: Callable[[], None] | None = None,
        kept: int = 1,
        binding: Binding | None = None,
        meters: Callable[[bool], Meter | None] | None = None,
    ) -> None:
        self.wait = wait
        self.binding = binding or Binding(())
        self.meters = meters
        self.meter: Meter | None = None
        self.meter_due_ns = 0
        self.binding.pool()
        self.kept: deque[Array] = deque(maxlen=kept)
        nothing = [_nothing] * 1000
        self.overhead_s = float(np.median(self.turn([], nothing, 1).call_s))

    @property
    def meter_threads(self) -> int | None:
        return self.meter.threads if self.meter else None

    def use_meter(self, threaded: bool) -> None:
        self.meter = self.meters(threaded) if self.meters else None

    def turn(self, warm_up: Sequence[Lookup], lookups: Sequence[Lookup], repeat: int) -> Turn:
        turn = Turn()
        if self.wait is not None:
            self.wait()
        with self.binding.caller():
            self._read_meter(turn)
            turn.settling_s, _ = self._time(turn, warm_up, -(-len(warm_up) // WARM_UP_READINGS))
            turn.call_s, turn.result = self._time(turn, lookups, repeat)
            self._read_meter(turn)
        turn.whole = len(turn.call_s) == -(-len(lookups) // repeat)
        return turn

    def _read_meter(self, turn: Turn) -> None:
        if self.meter is not None:
            turn.meter_s.append(self.meter.read())
            self.meter_due_ns = perf_counter_ns() + METER_NS

    def _time(self, turn: Turn, lookups: Sequence[Lookup], repeat: int) -> tuple[list[float], Array]:
        now, wait, metered = perf_counter_ns, self.wait, self.meter is not None
        times: list[float] = []
        result: Array = None
        results: list[Array] = []
        end, cold = now() + MAX_TURN_NS, self.kept.maxlen != 1
        for start in range(0, len(lookups), max(1, repeat)):
            together = lookups[start : start + repeat]
            if metered and now() > self.meter_due_ns:
                self._read_meter(turn)
            if cold:
                began = now()
                results = [lookup() for lookup in together]
            else:
                # What an earlier call allocated is given back outside the timed part.
                result, results = None, []
                self.kept.clear()
                began = now()
                for lookup in together:
                    result = lookup()
                results = [result]
            if wait is not None:
                wait()
            ended = now()
            result = results[-1]
            self.kept.extend(results)
            times.append((ended - began) * 1e-9 / len(together))
            if ended > end and len(times) > 1:
                break
        return times, result


class CudaClock:
    """Device time by events behind a held queue, the host's time to enqueue, and both together.

    Args:
        cuda: ``torch.cuda``, or what stands in for it.
        flush: empties the caches before each sample, outside its events.
    """

    name: ClockName = "kernel"
    max_queued = MAX_QUEUED
    meter_threads = None

    def __init__(self, cuda: Any, flush: Flush | None = None, kept: int = 1) -> None:
        self.cuda = cuda
        self.flush = flush
        self.host = HostClock(cuda.synchronize, kept)
        self.events = [
            (cuda.Event(enable_timing=True), cuda.Event(enable_timing=True)) for _ in range(MAX_QUEUED)
        ]
        self.hold = cuda.Event(enable_timing=True), cuda.Event(enable_timing=True)
        self.cycles_per_s = self._calibrate()
        self.hold_s = 0.001
        self.overhead_s = 0.0
        empty = self._queue([_nothing] * 64, 1)
        self.overhead_s = float(np.median(empty.kernel_s))

    def use_meter(self, threaded: bool) -> None:
        """No meter of the host's: its speed is not the device's, which the hold of known cycles tells."""

    def turn(self, warm_up: Sequence[Lookup], lookups: Sequence[Lookup], repeat: int) -> Turn:
        turn = Turn()
        turn.settling_s = self.host.turn(warm_up, [], 1).settling_s
        step = self._samples_behind_a_hold(repeat) * repeat
        for start in range(0, len(lookups), step):
            part = self._queue(lookups[start : start + step], repeat)
            turn.kernel_s += part.kernel_s
            turn.enqueue_s += part.enqueue_s
            turn.meter_s += part.meter_s
            turn.held = part.held if turn.held is None else turn.held and part.held
        turn.call_s, turn.result = self._calls(lookups)
        return turn

    def _samples_behind_a_hold(self, repeat: int) -> int:
        """So many that their lookups, their two events and their flushs fit the queue; at least one."""
        entries = repeat + 2 + (self.flush is not None)
        return max(1, min(MAX_QUEUED // repeat, MAX_ENTRIES // entries))

    def _queue(self, lookups: Sequence[Lookup], repeat: int) -> Turn:
        """Kernel and enqueue times; once more with a longer hold for as long as the queue ran dry."""
        while True:
            turn = self._queue_once(lookups, repeat)
            if turn.held or self.hold_s >= MAX_HOLD_S:
                return turn
            self.hold_s = min(2 * self.hold_s, MAX_HOLD_S)

    def _queue_once(self, lookups: Sequence[Lookup], repeat: int) -> Turn:
        now, turn, cuda, flush, kept = perf_counter_ns, Turn(), self.cuda, self.flush, self.host.kept
        pairs = self.events[: -(-len(lookups) // repeat)]
        cuda.synchronize()
        cycles, (began_hold, ended_hold) = int(self.hold_s * self.cycles_per_s), self.hold
        began_hold.record()
        cuda._sleep(cycles)
        ended_hold.record()
        for number, (first, last) in enumerate(pairs):
            together = lookups[number * repeat : (number + 1) * repeat]
            if flush is not None:
                flush()
            first.record()
            began = now()
            if kept.maxlen == 1:
                for lookup in together:
                    lookup()
            else:
                kept.extend([lookup() for lookup in together])
            turn.enqueue_s.append((now() - began) * 1e-9 / len(together))
            last.record()
        turn.held = not pairs[0][0].query()
        cuda.synchronize()
        turn.meter_s.append(began_hold.elapsed_time(ended_hold) * 1e-3 * HELD_CYCLES / max(cycles, 1))
        for number, (first, last) in enumerate(pairs):
            count = len(lookups[number * repeat : (number + 1) * repeat])
            turn.kernel_s.append(first.elapsed_time(last) * 1e-3 / count)
        return turn

    def _calls(self, lookups: Sequence[Lookup]) -> tuple[list[float], Array]:
        times: list[float] = []
        result = None
        for lookup in lookups[-CALLS:]:
            if self.flush is not None:
                self.flush()
            turn = self.host.turn([], [lookup], 1)
            times, result = times + turn.call_s, turn.result
        return times, result

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


def clock_of(device: Device, declared: str, flush: Flush | None, kept: int) -> Clock:
    """A lookup's clock: the host's on the CPU and for a library with its own streams, else CUDA's.

    Args:
        declared: what the backend declares, ``device`` or ``host``.
        flush: empties the caches before each sample of a GPU's clock; on the host the turn begins with it.
        kept: how many results are held on to, so that an allocated one is as cold as the others.
    """
    if not device.is_gpu:
        return HostClock(kept=kept, binding=binding.of_this_process(), meters=meter_of)
    import torch

    if declared == "host":
        return HostClock(torch.cuda.synchronize, kept)
    return CudaClock(torch.cuda, flush, kept)


def _nothing() -> None:
    return None


RANGE = "lookup"
"""The NVTX range around a launch that is to be profiled."""


def marked(arrays: Arrays, lookups: Sequence[Lookup], seconds: float) -> None:
    """One lookup in an NVTX range on a GPU; lookups on end for so many seconds where that is more than 0."""
    end, number = perf_counter_ns() + int(1e9 * seconds), 0
    if arrays.device.is_gpu:
        import torch

        torch.cuda.nvtx.range_push(RANGE)  # type: ignore[no-untyped-call]
        lookups[0]()
        arrays.synchronize()
        torch.cuda.nvtx.range_pop()  # type: ignore[no-untyped-call]
    while perf_counter_ns() < end:
        lookups[number % len(lookups)]()
        number += 1
