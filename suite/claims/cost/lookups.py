"""Lookups by batch, measured as ``suite.run`` does: by a worker, in turns with a copy of the same rows."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from backends import choose
from suite.analysis import comparison
from suite.analysis.outcome import Outcome
from suite.analysis.outcomes import outcomes_of
from suite.cases.case import Case
from suite.claims.target import Target
from suite.engine.measure import Settings
from suite.records.record import Record
from suite.stats import Estimate
from suite.worker.budget import Budget
from suite.worker.messages import Job
from suite.worker.supervisor import Supervisor

BATCHES = (1, 4, 16, 64, 256, 1024, 8192, 65536)
TEXT_BATCHES = (256, 8192)
LARGE = 2**15
"""From this batch on only the first backend is measured: checking gigabytes of rows takes long."""
BACKENDS = {
    "cpu": ("numba_cpu", "torch_embedding"),
    "cuda": ("cupy_rawkernel", "torch_embedding"),
}
"""By kind of device: the fastest of the suite's own kernels, and what a model calls."""
_TIMEOUT_S = 60.0
_SHARE = 1 / 16
"""Largest part of the time that the rounds of one case may take, so that every batch gets its turn."""


@dataclass(frozen=True, slots=True)
class Lookups:
    """What was measured, by (distribution, batch, backend).

    Attributes:
        distinct: share of distinct ids, by (distribution, batch).
        missing: why there is no outcome.
    """

    outcomes: Mapping[tuple[str, int, str], Outcome]
    distinct: Mapping[tuple[str, int], float]
    missing: Mapping[tuple[str, int, str], str]

    def fastest(self, distribution: str, batch: int) -> Outcome | None:
        """The outcome with the least median, of those timed by one clock."""
        here = [o for (d, n, _), o in self.outcomes.items() if (d, n) == (distribution, batch)]
        return next(iter(comparison.ranked(here)[0]), None)

    def batches(self, distribution: str) -> list[int]:
        """Batches with an outcome, in order."""
        return sorted({n for d, n, _ in self.outcomes if d == distribution})


def measure(target: Target, seconds: float) -> Lookups:
    """Measure uniform ids at every batch, text at some; what time or memory does not allow is missing."""
    backends = BACKENDS[target.device.kind]
    plan = [("uniform", n) for n in BATCHES] + [("text", n) for n in TEXT_BATCHES]
    plan.sort(key=lambda case: case[1])
    supervisor = Supervisor.of_this_machine(_TIMEOUT_S, target.threads)
    budget, end = Budget(seconds, len(plan), _SHARE * seconds), time.monotonic() + seconds
    outcomes: dict[tuple[str, int, str], Outcome] = {}
    distinct: dict[tuple[str, int], float] = {}
    missing: dict[tuple[str, int, str], str] = {}
    longest_s = 0.0
    try:
        for distribution, batch in plan:
            began = time.monotonic()
            if began + longest_s > end:
                missing |= {(distribution, batch, name): "no time was left" for name in backends}
                continue
            case = Case(target.vocab, target.model.dim, target.model.dtype, batch, distribution=distribution)
            limit_s = min(_SHARE * seconds, budget.next_limit_s())
            settings = Settings(limit_s=limit_s, seed=target.seed, cache_bytes=target.cache_bytes)
            asked = backends if batch < LARGE else backends[:1]
            missing |= {
                (distribution, batch, name): "left out, for time" for name in backends if name not in asked
            }
            chosen = tuple(choose(name) for name in asked)
            job = Job(case, target.device, chosen, uuid.uuid4().hex[:12], settings)
            records = supervisor.measure(job)
            budget.finished()
            _keep(records, distribution, batch, outcomes, distinct, missing)
            longest_s = time.monotonic() - began
    finally:
        supervisor.close()
    return Lookups(outcomes, distinct, missing)


def _keep(
    records: list[Record],
    distribution: str,
    batch: int,
    outcomes: dict[tuple[str, int, str], Outcome],
    distinct: dict[tuple[str, int], float],
    missing: dict[tuple[str, int, str], str],
) -> None:
    for name, outcome in outcomes_of(records).items():
        if outcome.completed:
            outcomes[distribution, batch, name] = outcome
            assert outcome.traffic is not None
            distinct[distribution, batch] = outcome.traffic.distinct / batch
        else:
            missing[distribution, batch, name] = f"{outcome.status}: {outcome.reason}"


def slower(outcome: Outcome) -> Estimate | None:
    """How many times longer a lookup takes than the copy of the same rows in the same rounds."""
    if outcome.ceiling is None:
        return None
    return comparison.ceiling_ratio(outcome)


def copy_per_s(outcome: Outcome) -> float | None:
    """Bytes a second, read and written, of the copy of the same rows."""
    return comparison.ceiling_bytes_per_s(outcome)
