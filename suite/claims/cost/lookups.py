"""Lookups by batch, measured by the suite's own engine: its worker, its backends, its ceiling beside them."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from backends import choose
from suite import stats
from suite.analysis import comparison
from suite.analysis.outcomes import Outcome, outcomes_of
from suite.cases.case import Case
from suite.claims.target import Place
from suite.engine.measure import Settings
from suite.records.device import Device
from suite.records.record import Record
from suite.stats import Estimate
from suite.worker.budget import Budget
from suite.worker.messages import Job
from suite.worker.supervisor import Supervisor

BATCHES = (1, 4, 16, 64, 256, 1024, 8192, 65536)
TEXT_BATCHES = (256, 8192)
LARGE = 2**15
"""From this batch on only the first of the backends: to check gigabytes of rows takes long."""
WHICH = {
    "cpu": ("numba_cpu", "torch_embedding"),
    "cuda": ("cupy_rawkernel", "torch_embedding"),
}
"""The fastest known of the suite's own, and what a model calls."""
_TIMEOUT_S = 60.0
_SHARE = 1 / 16
"""A case's rounds have at most that part of the time, so that the largest batch gets its turn."""


@dataclass(frozen=True, slots=True)
class Sweep:
    """What was measured: outcomes by (distribution, batch, backend), and why others are not there."""

    outcomes: Mapping[tuple[str, int, str], Outcome]
    distinct: Mapping[tuple[str, int], float]
    missing: Mapping[tuple[str, int, str], str]

    def fastest(self, law: str, batch: int) -> Outcome | None:
        """The outcome with the least median."""
        here = [o for (d, n, _), o in self.outcomes.items() if (d, n) == (law, batch)]
        return min(here, key=lambda o: comparison.median(o).value, default=None)

    def batches(self, law: str) -> list[int]:
        """Those with an outcome, in order."""
        return sorted({n for d, n, _ in self.outcomes if d == law})


def measure(place: Place, seconds: float) -> Sweep:
    """Measure uniform ids at every batch, text at some; what time or memory does not allow is missing."""
    which = WHICH[place.device.partition(":")[0]]
    plan = [("uniform", n) for n in BATCHES] + [("text", n) for n in TEXT_BATCHES]
    plan.sort(key=lambda one: one[1])
    supervisor = Supervisor.of_this_machine(_TIMEOUT_S, place.threads)
    budget, end = Budget(seconds, len(plan), _SHARE * seconds), time.monotonic() + seconds
    found: dict[tuple[str, int, str], Outcome] = {}
    distinct: dict[tuple[str, int], float] = {}
    missing: dict[tuple[str, int, str], str] = {}
    longest_s = 0.0
    try:
        for law, batch in plan:
            began = time.monotonic()
            if began + longest_s > end:
                missing |= {(law, batch, name): "no time was left" for name in which}
                continue
            case = Case(place.vocab, place.model.dim, place.model.dtype, batch, distribution=law)
            limit_s = min(_SHARE * seconds, budget.next_limit_s())
            settings = Settings(limit_s=limit_s, seed=place.seed, cache_bytes=place.cache_bytes)
            asked = which if batch < LARGE else which[:1]
            missing |= {(law, batch, name): "left out, for time" for name in which if name not in asked}
            backends = tuple(choose(name) for name in asked)
            job = Job(case, Device.of(place.device), backends, uuid.uuid4().hex[:12], settings)
            records = supervisor.measure(job)
            budget.finished()
            _keep(records, law, batch, found, distinct, missing)
            longest_s = time.monotonic() - began
    finally:
        supervisor.close()
    return Sweep(found, distinct, missing)


def _keep(
    records: list[Record],
    law: str,
    batch: int,
    found: dict[tuple[str, int, str], Outcome],
    distinct: dict[tuple[str, int], float],
    missing: dict[tuple[str, int, str], str],
) -> None:
    for name, outcome in outcomes_of(records).items():
        record = outcome.record
        if record.status == "ok":
            found[law, batch, name] = outcome
            assert record.traffic is not None
            distinct[law, batch] = record.traffic.distinct / batch
        else:
            missing[law, batch, name] = f"{record.status}: {record.reason}"


def slower(outcome: Outcome) -> Estimate | None:
    """How many times longer it takes than the copy of the same rows in the same rounds."""
    if outcome.ceiling is None:
        return None
    clock = outcome.record.clock
    return stats.ratio(comparison.rounds(outcome.record, clock), comparison.rounds(outcome.ceiling, clock))


def copy_per_s(outcome: Outcome) -> float | None:
    """Bytes a second, read and written, of the copy beside it."""
    if outcome.ceiling is None:
        return None
    seconds = stats.median(comparison.rounds(outcome.ceiling, outcome.record.clock)).value
    return comparison.ceiling_bytes(outcome.record.case) / seconds
