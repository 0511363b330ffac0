"""The host's clock: the time from a call until its rows are there."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from time import perf_counter_ns  # bound before any backend could put another in its place

import numpy as np

from backends import Array, Lookup
from suite.engine.binding import Binding
from suite.engine.meter import METER_NS, Meter
from suite.engine.turns import Turn
from suite.records.record import Clock as ClockName

MAX_TURN_NS = 300_000_000
"""A turn is cut short here: what it was sized by was a mistake, or the machine is held up."""
WARM_UP_READINGS = 16


class HostClock:
    """Host time until the rows are there: ``call``.

    Args:
        wait: returns when the device is idle, where a lookup's return does not mean that its rows are there.
            A turn begins with it too: a library with streams of its own does not wait for a flush on another.
        kept: how many results are held on to. Were each given up at once, a library that allocates would
            write to the same warm memory every time, and a cold lookup's output would not be cold.
        lasting: whether they are so beyond the end of a turn. On a GPU they are not: what one backend keeps
            would be missing to the next.
        binding: where the caller and OpenMP's threads run during a turn; None: wherever they happen to.
        meters: the meter of one thread or of all (``meter_of``); without it, and where the host waits for a
            device, none is read.
    """

    name: ClockName = "call"
    max_queued = 0
    calls = 0

    def __init__(
        self,
        wait: Callable[[], None] | None = None,
        kept: int = 1,
        binding: Binding | None = None,
        meters: Callable[[bool], Meter | None] | None = None,
        lasting: bool = True,
    ) -> None:
        self.wait = wait
        self.lasting = lasting
        self.binding = binding or Binding(())
        self.meters = meters
        self.meter: Meter | None = None
        self.meter_due_ns = 0
        self.binding.pool()
        self.kept: deque[Array] = deque(maxlen=kept)
        self.overhead_s = float(np.median(self.turn([], [nothing] * 1000, 1).call_s))

    @property
    def meter_threads(self) -> int | None:
        return self.meter.threads if self.meter else None

    def use_meter(self, threaded: bool) -> None:
        self.meter = self.meters(threaded) if self.meters else None

    def turn(
        self,
        warm_up: Sequence[Lookup],
        lookups: Sequence[Lookup],
        repeat: int,
        called: Sequence[Lookup] = (),
    ) -> Turn:
        turn = Turn()
        if self.wait is not None:
            self.wait()
        with self.binding.caller():
            self._read_meter(turn)
            turn.settling_s, _ = self._time(turn, warm_up, -(-len(warm_up) // WARM_UP_READINGS))
            turn.call_s, turn.result = self._time(turn, lookups, repeat)
            self._read_meter(turn)
        turn.whole = len(turn.call_s) == -(-len(lookups) // repeat)
        if not self.lasting:
            self.kept.clear()
        return turn

    def add_graph(self, turn: Turn) -> None:
        """There are none by the host's clock."""

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


def nothing() -> None:
    """What is timed to know what the clock itself takes."""
