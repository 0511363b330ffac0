"""A backend, or the ceiling, in one case: prepared, checked, and what its turns gave."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, replace
from dataclasses import field as made
from typing import TYPE_CHECKING

import numpy as np

from backends import Backend, BackendUnavailable, Lookup, Unsupported, load, missing_packages, name_of
from suite import ceiling, check, stats
from suite.data import Field
from suite.nvml_call import Reading, both
from suite.record import Clock as ClockName
from suite.record import Fact, Memory, Record, Role, Samples, Status, Traffic
from suite.telemetry import Observer
from suite.timer import MAX_QUEUED, Clock, Turn, clock_of

if TYPE_CHECKING:
    from collections.abc import Iterator

Sweep = Callable[[], None] | None

TURN_S = 0.03
"""Length of a turn's samples, if there is time: long beside what one turn leaves behind for the next."""
SETTLE_S = 0.004
"""Length of a turn's first calls, set apart: another library's threads may still be spinning."""
SAMPLES = 256
"""At most so many samples a turn."""
HOT_SAMPLES = 64
SHORT_S = 20e-6
"""A sample shorter than this is repeated between two readings of the clock, where a repeat is as cold."""
SPOT_SHARE = 0.05


@dataclass(slots=True)
class Contender:
    """One that takes turns in a case: its lookups, one a slot, and what it has shown so far."""

    name: str
    which: str
    role: Role
    field: Field
    lookups: list[Lookup] = made(default_factory=list)
    clock: Clock | None = None
    declared: str = "device"
    turn_s: float = TURN_S
    estimate_s: float = 1e-5
    repeat: int = 1
    turns: list[Turn] = made(default_factory=list)
    cursor: int = 0
    check_s: float = 1e-3
    memory: Memory = made(default_factory=Memory)
    telemetry: dict[str, Fact] = made(default_factory=dict)
    failure: tuple[Status, str] | None = None

    @property
    def running(self) -> bool:
        """Whether it still takes part."""
        return self.failure is None

    @property
    def rounds(self) -> list[list[float]]:
        """The samples of its result in seconds, by round."""
        return [turn.kernel_s or turn.call_s for turn in self.turns]

    def fail(self, status: Status, reason: str) -> None:
        """It takes no further part; what it has shown is no number."""
        self.failure = (status, reason)

    @contextmanager
    def blamed(self, where: str) -> Iterator[None]:
        """Whatever is raised inside is this contender's failure, and nobody else's."""
        try:
            yield
        except Unsupported as error:
            self.fail("unsupported", str(error))
        except BackendUnavailable as error:
            self.fail("unavailable", str(error))
        except BaseException as error:  # a backend may raise SystemExit as well
            memory = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
            self.fail("out_of_memory" if memory else "error", f"in {where}: {_one_line(error)}")

    def prepare(self, sweep: Sweep, observer: Observer) -> None:
        """Load the backend, prepare a lookup for every slot, and see what memory that and a lookup take."""
        before = observer.held_bytes()
        with self.blamed("prepare"):
            backend = load(self.which)
            _require(backend, self.field)
            one = backend()
            self.lookups = [
                one.prepare(*self.field.operands(slot, backend.view)) for slot in self.field.slots
            ]
            self.declared = backend.clock
            self.clock = clock_of(self.field.arrays.device, backend.clock, sweep)
        if self.running:
            with self.blamed("the lookup"):
                self._observe_memory(before, observer)

    def _observe_memory(self, before: Reading[int], observer: Observer) -> None:
        def call() -> None:
            self.lookups[0]()
            self.field.arrays.synchronize()

        ready = observer.held_bytes()
        added = both(before, ready, lambda a, b: max(0, b - a))
        extra = both(ready, observer.peak_bytes(call), lambda a, b: max(0, b - a))
        table = self.field.case.table_bytes
        self.memory = Memory(table, added.value, extra.value, None, added.reason or extra.reason)

    def sustain(self, observer: Observer, seconds: float) -> None:
        """Nothing but lookups for a while, for counters that need one."""
        with self.blamed("the sustained phase"):
            wait = self.field.arrays.synchronize
            self.telemetry = observer.sustained(self.field.case, self.lookups, wait, seconds)

    def check(self, slot: int, seed: int) -> None:
        """Call it on ids and a table that have just changed, and compare every bit."""
        began = time.perf_counter()
        with self.blamed("the lookup"):
            where = self.field.slots[slot]
            reason, allocates = check.check(self.field, where, self.lookups[slot], self.declared, seed)
            self.memory = replace(self.memory, allocates=allocates)
            if reason:
                self.fail("wrong", reason)
        self.check_s = time.perf_counter() - began

    def warm_up(self) -> None:
        """Call until the time of a lookup is known well enough to size its turns."""
        assert self.clock is not None
        with self.blamed("the lookup"):
            times: list[float] = []
            while len(times) < 3 or (sum(times) < self.turn_s and len(times) < SAMPLES):
                lookup = self.lookups[len(times) % len(self.lookups)]
                turn = self.clock.turn([], [lookup], 1)
                times += turn.kernel_s or turn.call_s
            self.estimate_s = max(float(np.median(times[1:])), 1e-7)
            if self.field.case.cache == "hot":
                self.repeat = math.ceil(max(SHORT_S, self.turn_s / HOT_SAMPLES) / self.estimate_s)
            elif self.clock.name == "kernel":
                self.repeat = min(math.ceil(SHORT_S / self.estimate_s), len(self.lookups))
            self.repeat = min(self.repeat, MAX_QUEUED) if self.clock.name == "kernel" else self.repeat

    def take_turn(self, sweep: Sweep, rng: np.random.Generator) -> None:
        """Settle, take samples, and sometimes compare what the last of them returned."""
        assert self.clock is not None
        settle, count = self._sizes(sweep is not None, rng)
        slots = len(self.lookups)
        order = [(self.cursor + k) % slots for k in range(settle + count)]
        self.cursor = (order[-1] + 1) % slots
        lookups = [self.lookups[k] for k in order]
        with self.blamed("a timed call"):
            if sweep is not None:
                sweep()
            turn = self.clock.turn(lookups[:settle], lookups[settle:], self.repeat)
            result, turn.result = turn.result, None
            self.turns.append(turn)
            if self.role == "backend" and rng.random() < SPOT_SHARE * self.turn_s / self.check_s + 0.05:
                reason = check.spot(self.field, self.field.slots[order[-1]], result, rng)
                if reason:
                    self.fail("wrong", f"in a timed call: {reason}")

    def _sizes(self, swept: bool, rng: np.random.Generator) -> tuple[int, int]:
        """Settling and timed calls of the next turn; its end, where checks happen, is not foreseeable."""
        slots = len(self.lookups)
        settle = max(1, round(SETTLE_S / self.estimate_s))
        samples = min(SAMPLES, max(2, round(self.turn_s / self.estimate_s / self.repeat)))
        samples += int(rng.integers(0, max(2, samples // 8)))
        if not swept:
            return min(settle, 2 * SAMPLES * self.repeat), samples * self.repeat
        # One pass over the slots is all that a sweep buys.
        settle = min(settle, slots // 8)
        return settle, min(samples * self.repeat, slots - settle)

    def record(self, measurement: str, precision: float, traffic: Traffic) -> Record:
        """What it has shown."""
        status, reason = self.failure or ("ok", None)
        samples = self._samples() if self.running else None
        clock: ClockName = "kernel" if samples and samples.kernel_s else "call"
        return Record(
            backend=self.name,
            device=self.field.arrays.device,
            case=self.field.case,
            status=status,
            reason=reason,
            measurement=measurement,
            role=self.role,
            clock=clock if samples else None,
            samples=samples,
            converged=stats.median(self.rounds).precision <= precision if samples else None,
            traffic=traffic,
            memory=self.memory,
            telemetry=self.telemetry,
        )

    def _samples(self) -> Samples:
        def column(name: str) -> tuple[tuple[float, ...], ...]:
            return tuple(tuple(float(f"{s:.5g}") for s in getattr(turn, name)) for turn in self.turns)

        assert self.clock is not None
        queued = self.clock.name == "kernel"
        return Samples(
            call_s=column("call_s"),
            kernel_s=column("kernel_s") if queued else None,
            enqueue_s=column("enqueue_s") if queued else None,
            settling_s=column("settling_s"),
            calls_per_sample=self.repeat,
            held=all(turn.held for turn in self.turns) if queued else None,
            overhead_s=self.clock.overhead_s,
        )


def of_backend(which: str, field: Field) -> Contender:
    """A backend, by name or path, before anything of it is loaded."""
    return Contender(name_of(which), which, "backend", field)


def best_copy(field: Field, sweep: Sweep, turn_s: float) -> Contender:
    """The plain copy that is fastest on this case, warmed up."""
    contenders = []
    for name, lookups in ceiling.copies(field).items():
        clock = clock_of(field.arrays.device, "device", sweep)
        contenders.append(Contender(name, name, "ceiling", field, lookups, clock, turn_s=turn_s))
        contenders[-1].warm_up()
    return min(contenders, key=lambda c: c.estimate_s)


def _require(backend: type[Backend], field: Field) -> None:
    missing = missing_packages(backend.packages)
    if missing:
        raise BackendUnavailable(f"needs {', '.join(missing)}, not installed")
    device = field.arrays.device.partition(":")[0]
    if device not in backend.devices:
        raise Unsupported(f"does not run on {device}")
    if field.case.dtype not in backend.dtypes:
        raise Unsupported(f"does not move {field.case.dtype}")


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split())[:400]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
