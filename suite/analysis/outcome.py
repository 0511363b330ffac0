"""Outcome: what a run showed of one backend on one case, over all its passes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from operator import attrgetter

from suite.analysis.reduce import Timing, Timings
from suite.cases.case import Case
from suite.records.record import Clock, Fact, Memory, Record, Status, Traffic
from suite.stats import Spread, order_statistics

Key = tuple[str, str, Case, str | None]
"""(device, backend, case, environment): one outcome a run."""


@dataclass(frozen=True, slots=True)
class Spreads:
    """How much the passes of a run scatter on a device: the times, and ratios within rounds.

    Attributes:
        ratios: of two backends in one process. copies: of a backend and the plain copy.
        environments: of one backend in two environments, so in two processes.
    """

    times: Spread
    ratios: Spread
    copies: Spread
    environments: Spread


NO_SPREADS = Spreads(Spread(), Spread(), Spread(), Spread())


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the passes of a run showed of a backend on a case, its samples reduced to medians.

    Attributes:
        run: the name of its run.
        backend, device, case, status, reason, environment, clock, converged, traffic, memory, telemetry,
            method: as in ``Record``.
        measurements: the measurement of each pass.
        medians: in seconds, by timing, of each round in order; nan where it has no samples. Empty of a
            failure.
        samples: how many samples its clock took; 0 of a failure.
        autocorrelation: lag-1, within rounds, of those samples.
        calls_per_sample, held: as in ``Samples``; null of a failure.
        passes: how many rounds each pass took, in order.
        full_speed: for each round, whether the machine was at full speed; null where no meter was read.
        chosen: places of the rounds at full speed that are its result; null where all are, for want of a
            meter or of such rounds.
        spreads: how much the passes of its run scatter.
        ceiling: the outcome of the copy that took turns with it; null where none is ok.
    """

    run: str
    backend: str
    device: str
    case: Case
    status: Status
    reason: str | None
    measurements: tuple[str, ...]
    clock: Clock | None
    converged: bool | None
    traffic: Traffic | None
    memory: Memory
    telemetry: Mapping[str, Fact]
    method: int
    medians: Mapping[Timing, tuple[float, ...]]
    samples: int
    autocorrelation: float | None
    calls_per_sample: int | None
    held: bool | None
    environment: str | None = None
    passes: tuple[int, ...] = ()
    full_speed: tuple[bool, ...] | None = None
    chosen: tuple[int, ...] | None = None
    spreads: Spreads = NO_SPREADS
    ceiling: Outcome | None = None

    @classmethod
    def of(cls, run: str, record: Record, timings: Timings, by: Clock | None = None) -> Outcome:
        """The outcome of a record: of one pass, without the ceiling beside it.

        Args:
            by: the clock whose times are to be its result, if the record has them; null for the record's.
        """
        clock = by if by in timings else record.clock
        samples, head = record.samples, timings.get(clock) if clock else None
        return cls(
            run=run,
            backend=record.backend,
            device=record.device,
            case=record.case,
            status=record.status,
            reason=record.reason,
            measurements=(record.measurement,),
            clock=clock,
            converged=record.converged if clock == record.clock else None,
            traffic=record.traffic,
            memory=record.memory,
            telemetry=record.telemetry,
            method=record.method,
            medians={timing: one.medians for timing, one in timings.items()},
            samples=head.samples if head else 0,
            autocorrelation=head.autocorrelation if head else None,
            calls_per_sample=samples.calls_per_sample if samples else None,
            held=samples.held if samples else None,
            environment=record.environment,
            passes=(len(head.medians),) if head else (),
        )

    def beside(self, ceiling: Outcome) -> Outcome:
        """The same with its ceiling. For many, ``dataclasses.replace`` takes too long."""
        make: Callable[..., Outcome] = Outcome
        return make(*_BUT_THE_CEILING(self), ceiling)

    @property
    def key(self) -> Key:
        """What it is the outcome of, within its run."""
        return self.device, self.backend, self.case, self.environment

    @property
    def name(self) -> str:
        """Its backend, and its environment where several took turns."""
        return self.backend if self.environment is None else f"{self.backend} @{self.environment}"

    @property
    def measurement(self) -> str:
        """The measurement of its first pass."""
        return self.measurements[0]

    @property
    def completed(self) -> bool:
        """Whether it has a time; else it has a reason."""
        return self.status == "ok"

    def times(self, timing: Timing | None) -> tuple[float, ...]:
        """The medians of one timing; empty where that was not read."""
        return self.medians.get(timing, ()) if timing else ()

    @property
    def rounds(self) -> tuple[float, ...]:
        """The medians by its own clock, which are its result."""
        return self.times(self.clock)

    @property
    def counted(self) -> Sequence[int]:
        """Places of the rounds that are its result: those at full speed, or all where they are too few."""
        return range(len(self.rounds)) if self.chosen is None else self.chosen

    @property
    def decides(self) -> bool:
        """Whether a verdict may be taken from it: its rounds were at full speed, as far as that is known."""
        return self.completed and (self.full_speed is None or self.chosen is not None)

    @property
    def full_speed_share(self) -> float | None:
        """The share of its rounds at full speed; null where no meter was read."""
        return sum(self.full_speed) / len(self.full_speed) if self.full_speed else None

    @property
    def slow_note(self) -> str | None:
        """That too few of its rounds were at full speed; null where they were not."""
        if not self.completed or self.decides:
            return None
        flags = self.full_speed or ()
        return f"not at full speed: {sum(flags)} of {len(flags)} rounds"

    def by_pass(self, medians: Sequence[float]) -> list[float]:
        """The median of the counted rounds of each pass that has any, of these medians of its rounds."""
        if len(self.passes) == 1:
            return [order_statistics([medians[k] for k in self.counted]).value]
        values: list[float] = []
        counted, start = set(self.counted), 0
        for count in self.passes:
            own = [medians[k] for k in range(start, start + count) if k in counted]
            values += [order_statistics(own).value] if own else []
            start += count
        return values


_BUT_THE_CEILING = attrgetter(*(field.name for field in fields(Outcome) if field.name != "ceiling"))
