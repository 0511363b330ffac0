"""A contender in a case: a backend, or the ceiling; prepared, checked, timed in turns, written down."""

from __future__ import annotations

import re
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from time import perf_counter  # bound before any backend could put another in its place
from typing import cast

import numpy as np

from backends import Backend, BackendUnavailable, Choice, Lookup, Unsupported, load, missing_packages, needs
from suite import stats
from suite.cases.case import Case
from suite.cases.operations.base import Batch
from suite.cases.operations.base import Case as OfOperation
from suite.engine import ceiling, check
from suite.engine.arrays import Host
from suite.engine.clocks.choice import clock_of, graphs_on
from suite.engine.clocks.cuda import MOST_IN_A_GRAPH, NO_FLUSHES, Flushes
from suite.engine.clocks.graph import Check, Graph, Graphs
from suite.engine.operands import Operands
from suite.engine.placement.residency import Watch
from suite.engine.turns import TURN_S, Turns
from suite.records.record import Fact, Memory, Record, Role, Rounds, Samples, Status, Traffic
from suite.telemetry.observer import Observer
from suite.telemetry.reading import Reading, both
from suite.telemetry.sustained import Work

FOREIGN = ("pinned", "managed")
"""Placements that a GPU's library may have never met: what it raises of them in ``prepare`` is a refusal."""
SPOT_CHECK_SHARE = 0.03
"""Of a contender's time, so much goes to spot checks."""
MOST_SPOT_CHECKS = 0.9
"""Of its turns, so many end with one at most."""
DEFAULT_STREAM = "its work goes on the default stream, which can't be captured"
OWN_STREAMS = "its work goes on streams of its library's own"


class DeviceLost(Exception):
    """After a step of a backend its device does nothing more in this process; the message has the error."""


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
        flushes: what empties the caches. turns: of its lookups; null until they are prepared.
        graphs: of its lookups, on a GPU.
        declared_clock: ``device``, or ``host`` of a library with streams of its own.
        spot_check_s: how long its last spot check took.
        memory, telemetry: what was seen of its own; a record adds what it shares with the others.
        instance: of the backend that prepared its lookups; null of the ceiling.
        failure: how it failed, and why. trace: the whole of what was raised then; empty where nothing was.
        watch: what its turns do to the pages of a table in a file; null of one in memory.
    """

    choice: Choice
    role: Role
    operands: Operands
    flushes: Flushes = NO_FLUSHES
    turns: Turns | None = None
    graphs: Graphs | None = None
    declared_clock: str = "device"
    spot_check_s: float = 1e-3
    memory: Memory = field(default_factory=Memory)
    telemetry: dict[str, Fact] = field(default_factory=dict)
    failure: tuple[Status, str] | None = None
    trace: str = ""
    watch: Watch | None = None
    instance: Backend | None = None

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
        """Record what is raised inside as this contender's failure.

        Raises:
            DeviceLost: it has left the device so that nothing can be measured on it any more.
        """
        try:
            yield
            self.operands.arrays.synchronize()  # what it left running fails here, in its own step
        except check.Tampered:
            raise
        except Unsupported as error:
            self.fail("unsupported", _shortened(error))
        except BackendUnavailable as error:
            self.fail("unavailable", _shortened(error))
        except BaseException as error:  # a backend may raise SystemExit as well
            self.trace = f"in {step}:\n{''.join(traceback.format_exception(error))}"
            if isinstance(error, Exception) and _of_loading(error):
                return self.fail("unavailable", f"its library can't be loaded: {_one_line(error)}")
            memory = _of_memory(error)
            if step == "prepare" and not memory and (where := self.operands.case.placement) in FOREIGN:
                return self.fail("unsupported", f"refuses {where} memory: {_one_line(error)}")
            self.fail("out_of_memory" if memory else "error", f"in {step}: {_one_line(error)}")
        finally:
            self._require_device()

    def _require_device(self) -> None:
        if self.failure and self.operands.arrays.lost():
            raise DeviceLost(self.failure[1])

    def prepare(self, observer: Observer) -> None:
        """Load the backend, prepare a lookup for every slot, and see what memory that and a lookup take."""
        operands = self.operands
        before = self._used_bytes(observer)
        with self.failures_of("prepare"):
            backend = load(self.choice)
            _require(backend, operands)
            instance = self.instance = backend()

            def prepared(slot: int) -> Lookup:
                return operands.prepared(instance, operands.slots[slot])

            self.declared_clock = backend.clock
            missing = None if backend.stream == "current" else DEFAULT_STREAM
            lookups = [prepared(slot) for slot in range(len(operands.slots))]
            self.make_turns(lookups, prepared, self._replayed, missing)
        if self.running:
            with self.failures_of("the lookup"):
                self._observe_memory(before, observer)

    def make_turns(
        self,
        lookups: Sequence[Lookup],
        prepare: Callable[[int], Lookup],
        checked: Check | None = None,
        missing: str | None = None,
    ) -> None:
        """Give it a clock and turns of these lookups.

        Args:
            prepare: makes that of a slot anew, on the stream that is then torch's current one.
            checked: the check that ``Graphs`` makes of each length.
            missing: why they can't be captured in a CUDA graph; null if that is to be tried.
        """
        device, case = self.operands.arrays.device, self.operands.case
        self.graphs = graphs_on(device, prepare, len(lookups), checked)
        if self.graphs:
            self.graphs.missing = OWN_STREAMS if self.declared_clock == "host" else missing
        clock = clock_of(device, self.declared_clock, self.flushes, len(lookups), self.graphs)
        self.turns = Turns(lookups, clock, TURN_S, case.repeats, self.flushes.each is not None, case.evicted)

    def _replayed(self, graph: Graph, slot: int) -> str | None:
        operands = self.operands
        return check.replayed(operands, operands.slots[slot], graph.replay, graph.results[-1])

    def _observe_memory(self, before: Reading[int], observer: Observer) -> None:
        assert self.turns is not None
        lookup = self.turns.lookups[0]
        if self.watch is not None:
            self.memory = Memory(reason="pages of the mapped table would count as the backend's")
            return

        def call() -> None:
            lookup()
            self.operands.arrays.synchronize()

        ready = self._used_bytes(observer)
        unused = self.operands.arrays.watch_unused()
        peak = observer.peak_bytes(call).then(lambda held: held - unused())
        prepared = both(before, ready, lambda a, b: max(0, b - a))
        extra = both(ready, peak, lambda a, b: max(0, b - a))
        self.memory = Memory(None, prepared.value, extra.value, None, prepared.reason or extra.reason)

    def _used_bytes(self, observer: Observer) -> Reading[int]:
        """Memory in use now, without what the arrays' owner has only put by for later."""
        unused = self.operands.arrays.watch_unused()
        return observer.held_bytes().then(lambda held: held - unused())

    def sustain(self, observer: Observer, seconds: float) -> None:
        """Nothing but lookups for a while, for counters that need one."""
        assert self.turns is not None
        with self.failures_of("the sustained phase"):
            self.telemetry |= observer.sustained(self._work(seconds), seconds)

    def _work(self, seconds: float) -> Work:
        """What fills a phase of so many seconds: a CUDA graph of the lookups where there can be one."""
        assert self.turns is not None
        case, wait, turns = self.operands.case, self.operands.arrays.synchronize, self.turns
        moved = case.payload_bytes if self.role == "backend" else case.ceiling_bytes
        slots = len(turns.lookups)
        graph = self.graphs.capture(max(slots, MOST_IN_A_GRAPH)) if self.graphs and seconds > 0 else None
        if graph is not None:
            in_graphs = stats.median([turn.graph_s for turn in turns.past]).value
            return Work(moved, [graph.replay], wait, graph.lookups, in_graphs)
        kernel_s = stats.median(self.rounds).value if turns.clock.name == "kernel" else None
        return Work(moved, turns.lookups, wait, 1, kernel_s)

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

    def find_out(self) -> None:
        """What its operation asks of one whose results are right."""
        assert self.instance is not None
        operands, instance = self.operands, self.instance

        def call(case: OfOperation, given: Batch) -> Host | None:
            try:
                return operands.aside(instance, cast(Case, case), given)
            except Unsupported:
                return None

        with self.failures_of("the lookup"):
            self.telemetry |= operands.case.kind.facts(operands.case, call)

    def warm_up(self, turn_s: float = TURN_S) -> None:
        """Call it until its time is known well enough to size its turns, which are to last so long."""
        assert self.turns is not None
        self.turns.turn_s = turn_s
        with self.failures_of("the lookup"):
            self.turns.warm_up()

    def take_turn(self, rng: np.random.Generator) -> None:
        """Warm up and take samples; sometimes add a spot check, which is compared but not counted."""
        assert self.turns is not None
        turns = self.turns
        order = turns.next_slots(rng)
        warm_up, called, timed = (
            [turns.lookups[slot] for slot in some] for some in (order.warm_up, order.called, order.timed)
        )
        last = self.operands.slots[order.timed[-1]]
        checked = self._is_spot_checked(rng) and len(timed) % turns.repeat == 0
        if checked:
            changed, batch = check.spot_check(self.operands, last, timed[-1], self.declared_clock, rng)
            timed += [timed[-1]] * (turns.repeat - 1) + [changed]
        with self.failures_of("a timed call"):
            if self.flushes.each is not None:
                self.flushes.each()
            lookups = len(warm_up) + len(called) + len(order.timed)
            with self.watch.turn(lookups) if self.watch else nullcontext():
                turn = turns.take(warm_up, timed, called)
            result, turn.result = turn.result, None
            if checked and turn.whole:
                turn.set_last_apart()
                began = perf_counter()
                reason = check.spot_checked(self.operands, last, result, batch, rng)
                self.spot_check_s = perf_counter() - began
                if reason:
                    self.fail("wrong", f"in a timed call: {reason}")
        if checked:
            self.operands.put(last, last.batch)
        if self.running:
            with self.failures_of("a replayed graph"):
                turns.clock.add_graph(turn)

    def _is_spot_checked(self, rng: np.random.Generator) -> bool:
        assert self.turns is not None
        share = min(MOST_SPOT_CHECKS, SPOT_CHECK_SHARE * self.turns.turn_s / self.spot_check_s)
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
            samples=_samples(turns, self.graphs) if turns else None,
            converged=self.is_known(shared.precision, shared.full_speed_s) if turns else None,
            traffic=shared.traffic,
            memory=_with_table(self.memory, shared.table) if self.role == "backend" else self.memory,
            telemetry={**shared.telemetry, **self.telemetry, **self._of_the_file()},
        )

    def _of_the_file(self) -> dict[str, Fact]:
        return self.watch.facts() if self.watch and self.turns and self.turns.past else {}


def best_copy(operands: Operands, flushes: Flushes, turn_s: float, known: str | None) -> Contender:
    """The plain copy that is fastest on this case in a turn of each, warmed up.

    Args:
        known: which it is, if that was found before; null to try them all.
    """
    contenders, rng = [], np.random.default_rng(0)
    copies = ceiling.copies(operands)
    for name in [known] if known in copies else copies:
        lookups = copies[name]
        contender = Contender(Choice(name, name), "ceiling", operands, flushes)
        contender.make_turns(lookups, lookups.__getitem__)
        contender.warm_up(turn_s)
        contender.take_turn(rng)
        contenders.append(contender)
    best = min(contenders, key=lambda c: stats.median(c.rounds).value)
    assert best.turns is not None
    best.turns.past.clear()
    return best


def _samples(turns: Turns, graphs: Graphs | None) -> Samples:
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
        graph_s=rounds("graph_s") if graphs and graphs.missing is None else None,
        graph_missing=graphs.missing if graphs else None,
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
    if backend.operation != operands.case.operation:
        raise Unsupported(f"does {backend.operation}, not {operands.case.operation}")
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
