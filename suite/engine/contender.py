"""A contender in a case: a backend, or the ceiling; prepared, checked, timed in turns, written down."""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from time import perf_counter  # bound before any backend could put another in its place

import numpy as np

from backends import Backend, BackendUnavailable, Choice, Lookup, Unsupported, load, missing_packages, needs
from suite import stats
from suite.engine import ceiling, check
from suite.engine.clocks import clock_of
from suite.engine.operands import Operands
from suite.engine.placement.residency import Watch
from suite.engine.rotation import Flush
from suite.engine.turns import Turns
from suite.records.record import Fact, Memory, Record, Role, Rounds, Samples, Status, Traffic
from suite.telemetry.observer import Observer
from suite.telemetry.reading import Reading, both

FOREIGN = ("pinned", "managed")
"""Placements that a GPU's library may have never met: what it raises of them in ``prepare`` is a refusal."""
SPOT_CHECK_SHARE = 0.03
"""Of a contender's time, so much goes to spot checks."""
MOST_SPOT_CHECKS = 0.9
"""Of its turns, so many end with one at most."""


_OUT_OF_MEMORY = re.compile(
    "RESOURCE_EXHAUSTED|OUT_OF_MEMORY|[Oo]ut of memory|[Ff]ailed to allocate memory|bad_alloc"
)
"""As XLA, the CUDA driver by Numba, the CUDA runtime, ONNX Runtime and C++ say it."""


@dataclass(frozen=True, slots=True)
class Shared:
    """What all records of one measurement of a case have in common.

    Attributes:
        measurement: names the rounds. precision: relative half width of the interval that was asked for.
        table: memory of the table as allocated. telemetry: facts of the device while the case was measured.
        full_speed_s: what the meter reads at full speed, by its number of threads.
    """

    measurement: str
    precision: float
    traffic: Traffic
    table: Reading[int]
    telemetry: dict[str, Fact]
    full_speed_s: Mapping[int, float] = field(default_factory=dict)


@dataclass(slots=True)
class Contender:
    """A backend or the ceiling in one case, and what it has shown so far.

    Attributes:
        turns: of its lookups; null until they are prepared.
        declared_clock: ``device``, or ``host`` of a library with streams of its own.
        spot_check_s: how long its last spot check took.
        memory, telemetry: what was seen of its own; a record adds what it shares with the others.
        failure: how it failed, and why.
        watch: what its turns do to the pages of a table in a file; null of one in memory.
    """

    choice: Choice
    role: Role
    operands: Operands
    turn_s: float
    flush: Flush | None
    turns: Turns | None = None
    declared_clock: str = "device"
    spot_check_s: float = 1e-3
    memory: Memory = field(default_factory=Memory)
    telemetry: dict[str, Fact] = field(default_factory=dict)
    failure: tuple[Status, str] | None = None
    watch: Watch | None = None

    @property
    def name(self) -> str:
        """What records call it."""
        return self.choice.name

    @property
    def running(self) -> bool:
        """Whether it still takes part."""
        return self.failure is None

    @property
    def rounds(self) -> list[list[float]]:
        """The samples that are its result, in seconds, by round."""
        return self.turns.rounds if self.turns else []

    def is_known(self, precision: float, full_speed_s: Mapping[int, float]) -> bool:
        """Whether the median over its rounds at full speed is known to this relative half width."""
        rounds = self.turns.rounds_at(full_speed_s) if self.turns else []
        return stats.median(rounds).precision <= precision

    def fail(self, status: Status, reason: str) -> None:
        """It takes no further part; what it has shown is no number."""
        self.failure = (status, reason)

    @contextmanager
    def failures_of(self, step: str) -> Iterator[None]:
        """Record what is raised inside as this contender's failure."""
        try:
            yield
        except check.Tampered:
            raise
        except Unsupported as error:
            self.fail("unsupported", _shortened(error))
        except BackendUnavailable as error:
            self.fail("unavailable", _shortened(error))
        except BaseException as error:  # a backend may raise SystemExit as well
            if isinstance(error, Exception) and _of_loading(error):
                return self.fail("unavailable", f"its library can't be loaded: {_one_line(error)}")
            memory = _of_memory(error)
            if step == "prepare" and not memory and (where := self.operands.case.placement) in FOREIGN:
                return self.fail("unsupported", f"refuses {where} memory: {_one_line(error)}")
            self.fail("out_of_memory" if memory else "error", f"in {step}: {_one_line(error)}")

    def prepare(self, observer: Observer) -> None:
        """Load the backend, prepare a lookup for every slot, and see what memory that and a lookup take."""
        before = observer.held_bytes()
        operands = self.operands
        with self.failures_of("prepare"):
            backend = load(self.choice)
            _require(backend, operands)
            instance = backend()
            lookups = [instance.prepare(*operands.of(slot, backend.view)) for slot in operands.slots]
            self.declared_clock = backend.clock
            self.turns = _turns(self, lookups, backend.clock)
        if self.running:
            with self.failures_of("the lookup"):
                self._observe_memory(before, observer)

    def _observe_memory(self, before: Reading[int], observer: Observer) -> None:
        assert self.turns is not None
        lookup = self.turns.lookups[0]
        if self.watch is not None:
            self.memory = Memory(reason="pages of the mapped table would count as the backend's")
            return

        def call() -> None:
            lookup()
            self.operands.arrays.synchronize()

        ready = observer.held_bytes()
        prepared = both(before, ready, lambda a, b: max(0, b - a))
        extra = both(ready, observer.peak_bytes(call), lambda a, b: max(0, b - a))
        self.memory = Memory(None, prepared.value, extra.value, None, prepared.reason or extra.reason)

    def sustain(self, observer: Observer, seconds: float) -> None:
        """Nothing but lookups for a while, for counters that need one."""
        assert self.turns is not None
        with self.failures_of("the sustained phase"):
            case, wait = self.operands.case, self.operands.arrays.synchronize
            moved = case.payload_bytes if self.role == "backend" else case.ceiling_bytes
            self.telemetry = observer.sustained(moved, self.turns.lookups, wait, seconds)

    def check(self, slot: int, seed: int) -> None:
        """Call it on ids and a table that have just changed, and compare every bit."""
        assert self.turns is not None
        with self.failures_of("the lookup"):
            lookup, whole = self.turns.lookups[slot], not self.turns.past
            reason, allocates = check.check(
                self.operands, self.operands.slots[slot], lookup, self.declared_clock, seed, whole
            )
            self.memory = replace(self.memory, allocates=allocates)
            if reason:
                self.fail("wrong", reason)

    def warm_up(self) -> None:
        """Call it until its time is known well enough to size its turns."""
        assert self.turns is not None
        with self.failures_of("the lookup"):
            self.turns.warm_up()

    def take_turn(self, rng: np.random.Generator) -> None:
        """Warm up and take samples; sometimes add a spot check, which is compared but not counted."""
        assert self.turns is not None
        turns = self.turns
        warm_up, slots = turns.next_slots(rng)
        timed, last = [turns.lookups[slot] for slot in slots], self.operands.slots[slots[-1]]
        checked = self._is_spot_checked(rng) and len(slots) % turns.repeat == 0
        if checked:
            changed, batch = check.spot_check(self.operands, last, timed[-1], rng)
            timed += [timed[-1]] * (turns.repeat - 1) + [changed]
        with self.failures_of("a timed call"):
            if self.flush is not None:
                self.flush()
            with self.watch.turn(len(warm_up) + len(slots)) if self.watch else nullcontext():
                turn = turns.take([turns.lookups[slot] for slot in warm_up], timed)
            result, turn.result = turn.result, None
            if checked and turn.whole:
                turn.set_last_apart()
                began = perf_counter()
                reason = check.spot_checked(self.operands, last, result, batch, rng)
                self.spot_check_s = perf_counter() - began
                if reason:
                    self.fail("wrong", f"in a timed call: {reason}")
        if checked:
            self.operands.arrays.put(last.indices, last.batch)

    def _is_spot_checked(self, rng: np.random.Generator) -> bool:
        assert self.turns is not None
        share = min(MOST_SPOT_CHECKS, SPOT_CHECK_SHARE * self.turn_s / self.spot_check_s)
        return self.role == "backend" and (not self.turns.past or rng.random() < share)

    def record(self, shared: Shared) -> Record:
        """What it has shown, beside what all records of the measurement share."""
        status, reason = self.failure or ("ok", None)
        turns = self.turns if self.running else None
        return Record(
            backend=self.name,
            device=str(self.operands.arrays.device),
            case=self.operands.case,
            status=status,
            reason=reason,
            measurement=shared.measurement,
            role=self.role,
            clock=turns.clock.name if turns else None,
            samples=_samples(turns) if turns else None,
            converged=self.is_known(shared.precision, shared.full_speed_s) if turns else None,
            traffic=shared.traffic,
            memory=_with_table(self.memory, shared.table) if self.role == "backend" else self.memory,
            telemetry={**shared.telemetry, **self.telemetry, **self._of_the_file()},
        )

    def _of_the_file(self) -> dict[str, Fact]:
        return self.watch.facts() if self.watch and self.turns and self.turns.past else {}


def best_copy(operands: Operands, flush: Flush | None, turn_s: float, known: str | None) -> Contender:
    """The plain copy that is fastest on this case in a turn of each, warmed up.

    Args:
        known: which it is, if that was found before; null to try them all.
    """
    contenders, rng = [], np.random.default_rng(0)
    copies = ceiling.copies(operands)
    for name in [known] if known in copies else copies:
        lookups = copies[name]
        contender = Contender(Choice(name, name), "ceiling", operands, turn_s, flush)
        contender.turns = _turns(contender, lookups, "device")
        contender.warm_up()
        contender.take_turn(rng)
        contenders.append(contender)
    best = min(contenders, key=lambda c: stats.median(c.rounds).value)
    assert best.turns is not None
    best.turns.past.clear()
    return best


def _turns(contender: Contender, lookups: list[Lookup], declared_clock: str) -> Turns:
    case, flush = contender.operands.case, contender.flush
    clock = clock_of(contender.operands.arrays.device, declared_clock, flush, len(lookups))
    return Turns(lookups, clock, contender.turn_s, case.repeats, flush is not None, case.evicted)


def _samples(turns: Turns) -> Samples:
    def rounds(name: str) -> Rounds:
        return tuple(tuple(float(f"{s:.5g}") for s in getattr(turn, name)) for turn in turns.past)

    queued = turns.clock.name == "kernel"
    return Samples(
        call_s=rounds("call_s"),
        kernel_s=rounds("kernel_s") if queued else None,
        enqueue_s=rounds("enqueue_s") if queued else None,
        settling_s=rounds("settling_s"),
        calls_per_sample=turns.repeat,
        held=all(turn.held for turn in turns.past) if queued else None,
        overhead_s=turns.clock.overhead_s,
        began_s=tuple(round(turn.began_s, 6) for turn in turns.past),
        meter_s=rounds("meter_s") if any(turn.meter_s for turn in turns.past) else (),
        meter_threads=turns.clock.meter_threads,
    )


def _with_table(memory: Memory, table: Reading[int]) -> Memory:
    reasons = [memory.reason]
    if table.reason is not None and table.reason != memory.reason:
        reasons.append(f"table: {table.reason}")
    return replace(memory, table_bytes=table.value, reason="; ".join(filter(None, reasons)) or None)


def _require(backend: type[Backend], operands: Operands) -> None:
    missing = missing_packages(backend.packages)
    if missing:
        raise BackendUnavailable(needs(missing))
    kind = operands.arrays.device.kind
    if kind not in backend.devices:
        raise Unsupported(f"does not run on {kind}")
    if operands.case.dtype not in backend.dtypes:
        raise Unsupported(f"does not move {operands.case.dtype}")
    if backend.placements and operands.case.placement not in backend.placements:
        raise Unsupported(f"reads tables of placement {', '.join(backend.placements)} only")


def _of_loading(error: BaseException) -> bool:
    """Whether it was raised while a library was being imported, by the library and not by who imports it."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    ours = [str(frame.f_globals.get("__name__")).startswith(("backends.", "suite.")) for frame in frames]
    theirs = frames[len(ours) - ours[::-1].index(True) :] if True in ours else []
    return any(
        frame.f_code.co_name == "<module>" or frame.f_code.co_filename.startswith("<frozen importlib")
        for frame in theirs
    )


def _of_memory(error: BaseException) -> bool:
    """Whether it says that memory ran out, by its class or, of a library without one for it, in words."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, Exception) and _OUT_OF_MEMORY.search(str(error)) is not None


def _one_line(error: BaseException) -> str:
    text = _shortened(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _shortened(error: BaseException) -> str:
    return " ".join(str(error).split())[:400]
