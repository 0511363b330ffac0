"""A backend, or the ceiling, in one case: prepared, checked, and what its turns gave."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, replace
from dataclasses import field as made
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np

from backends import Backend, BackendUnavailable, Lookup, Unsupported, load, missing_packages, name_of
from suite import stats
from suite.engine import ceiling, check, turns
from suite.engine.clocks import MAX_QUEUED, Clock, Turn, clock_of
from suite.engine.operands import Field
from suite.records.record import Clock as ClockName
from suite.records.record import Fact, Memory, Record, Role, Samples, Status, Traffic
from suite.telemetry.observer import Observer
from suite.telemetry.reading import Reading, both

if TYPE_CHECKING:
    from collections.abc import Iterator


Sweep = Callable[[], None] | None

SPOT_SHARE = 0.03
MAX_SPOTS = 0.9


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
    turn_s: float = turns.TURN_S
    estimate_s: float = 1e-5
    repeat: int = 1
    taken: list[Turn] = made(default_factory=list)
    cursor: int = 0
    spot_s: float = 1e-3
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
        return [turn.kernel_s or turn.call_s for turn in self.taken]

    def fail(self, status: Status, reason: str) -> None:
        """It takes no further part; what it has shown is no number."""
        self.failure = (status, reason)

    @contextmanager
    def blamed(self, where: str) -> Iterator[None]:
        """Whatever is raised inside is this contender's failure, and nobody else's."""
        try:
            yield
        except check.Tampered:
            raise
        except Unsupported as error:
            self.fail("unsupported", _shortened(error))
        except BackendUnavailable as error:
            self.fail("unavailable", _shortened(error))
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
            self.clock = clock_of(self.field.arrays.device, backend.clock, sweep, len(self.lookups))
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
        self.memory = Memory(None, added.value, extra.value, None, added.reason or extra.reason)

    def sustain(self, observer: Observer, seconds: float) -> None:
        """Nothing but lookups for a while, for counters that need one."""
        with self.blamed("the sustained phase"):
            case, wait = self.field.case, self.field.arrays.synchronize
            moved = case.payload_bytes if self.role == "backend" else 2 * case.rows_bytes  # no ids
            self.telemetry = observer.sustained(moved, self.lookups, wait, seconds)

    def check(self, slot: int, seed: int) -> None:
        """Call it on ids and a table that have just changed, and compare every bit."""
        with self.blamed("the lookup"):
            where = self.field.slots[slot]
            lookup, whole = self.lookups[slot], not self.taken
            reason, allocates = check.check(self.field, where, lookup, self.declared, seed, whole)
            self.memory = replace(self.memory, allocates=allocates)
            if reason:
                self.fail("wrong", reason)

    def warm_up(self, swept: bool) -> None:
        """Call until the time of a lookup is known well enough to size its turns.

        Args:
            swept: whether the caches are swept before its turns, which then are one pass over the slots.
        """
        assert self.clock is not None
        with self.blamed("the lookup"):
            times: list[float] = []
            while len(times) < 3 or (sum(times) < self.turn_s and len(times) < turns.SAMPLES):
                lookup = self.lookups[len(times) % len(self.lookups)]
                turn = self.clock.turn([], [lookup], 1)
                times += turn.kernel_s or turn.call_s
            self.estimate_s = max(float(np.median(times[1:])), 1e-7)
            hot, queued = self.field.case.cache == "hot", self.clock.name == "kernel"
            self.repeat = turns.lookups_per_sample(
                self.estimate_s, self.turn_s, len(self.lookups), hot, swept, MAX_QUEUED if queued else 0
            )

    def take_turn(self, sweep: Sweep, rng: np.random.Generator) -> None:
        """Settle and take samples; sometimes add one that comes as a surprise, compared but not counted."""
        assert self.clock is not None
        slots = len(self.lookups)
        settle, count = turns.sizes(self.estimate_s, self.turn_s, self.repeat, slots, sweep is not None, rng)
        order = [(self.cursor + k) % slots for k in range(settle + count)]
        self.cursor = (order[-1] + 1) % slots
        lookups, last = [self.lookups[k] for k in order], self.field.slots[order[-1]]
        spotted = self._is_spotted(rng) and count % self.repeat == 0
        if spotted:
            surprise, batch = check.surprise(self.field, last, lookups[-1], rng)
            lookups += [lookups[-1]] * (self.repeat - 1) + [surprise]
        with self.blamed("a timed call"):
            if sweep is not None:
                sweep()
            turn = self.clock.turn(lookups[:settle], lookups[settle:], self.repeat)
            result, turn.result = turn.result, None
            self.taken.append(turn)
            if spotted and turn.whole:
                turn.set_last_apart()
                began = perf_counter()
                reason = check.spot(self.field, last, result, batch, rng)
                self.spot_s = perf_counter() - began
                if reason:
                    self.fail("wrong", f"in a timed call: {reason}")
        if spotted:
            self.field.arrays.put(last.indices, last.batch)

    def _is_spotted(self, rng: np.random.Generator) -> bool:
        share = min(MAX_SPOTS, SPOT_SHARE * self.turn_s / self.spot_s)
        return self.role == "backend" and (not self.taken or rng.random() < share)

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
            return tuple(tuple(float(f"{s:.5g}") for s in getattr(turn, name)) for turn in self.taken)

        assert self.clock is not None
        queued = self.clock.name == "kernel"
        return Samples(
            call_s=column("call_s"),
            kernel_s=column("kernel_s") if queued else None,
            enqueue_s=column("enqueue_s") if queued else None,
            settling_s=column("settling_s"),
            calls_per_sample=self.repeat,
            held=all(turn.held for turn in self.taken) if queued else None,
            overhead_s=self.clock.overhead_s,
        )


def of_backend(which: str, field: Field) -> Contender:
    """A backend, by name or path, before anything of it is loaded."""
    return Contender(name_of(which), which, "backend", field)


def best_copy(field: Field, sweep: Sweep, turn_s: float) -> Contender:
    """The plain copy that is fastest on this case in a turn of each, warmed up."""
    contenders, rng = [], np.random.default_rng(0)
    for name, lookups in ceiling.copies(field).items():
        clock = clock_of(field.arrays.device, "device", sweep, len(lookups))
        contenders.append(Contender(name, name, "ceiling", field, lookups, clock, turn_s=turn_s))
        contenders[-1].warm_up(sweep is not None)
        contenders[-1].take_turn(sweep, rng)
    best = min(contenders, key=lambda c: stats.median(c.rounds).value)
    best.taken.clear()
    return best


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
    text = _shortened(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _shortened(error: BaseException) -> str:
    return " ".join(str(error).split())[:400]
