"""Lookups by batch, of uniform ids and of text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from suite.analysis import comparison
from suite.analysis.outcome import Outcome
from suite.cases.case import Case
from suite.claims.cost import measured
from suite.claims.target import Target
from suite.stats import Estimate

BATCHES = (1, 4, 16, 64, 256, 1024, 8192, 65536)
TEXT_BATCHES = (256, 8192)
LARGE = 2**15
"""From this batch on only the first backend is measured: checking gigabytes of rows takes long."""
BACKENDS = {
    "cpu": ("numba_cpu", "torch_embedding"),
    "cuda": ("cupy_rawkernel", "torch_embedding"),
}
"""By kind of device: the fastest of the suite's own kernels, and what a model calls."""
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
    cases = [case_of(target, batch) for batch in BATCHES]
    cases += [case_of(target, batch, "text") for batch in TEXT_BATCHES]
    cases.sort(key=lambda case: case.batch)
    plan = [(case, backends if case.batch < LARGE else backends[:1]) for case in cases]
    found = measured.measure(target, plan, seconds, _SHARE)
    late = {(case, name): "left out, for time" for case, asked in plan for name in backends[len(asked) :]}
    distinct = {}
    for (case, _), outcome in found.outcomes.items():
        assert outcome.traffic is not None
        distinct[case.distribution, case.batch] = outcome.traffic.distinct / case.batch
    return Lookups(
        {(case.distribution, case.batch, name): o for (case, name), o in found.outcomes.items()},
        distinct,
        {
            (case.distribution, case.batch, name): why
            for (case, name), why in {**found.missing, **late}.items()
        },
    )


def case_of(target: Target, batch: int, distribution: str = "uniform") -> Case:
    """The plain lookup of so many ids in the target's table."""
    model = target.model
    return Case(target.vocab, model.dim, model.dtype, batch, distribution=distribution)


def slower(outcome: Outcome) -> Estimate | None:
    """How many times longer a lookup takes than the copy of the same rows in the same rounds."""
    if outcome.ceiling is None:
        return None
    return comparison.ceiling_ratio(outcome)


def copy_per_s(outcome: Outcome) -> float | None:
    """Bytes a second, read and written, of the copy of the same rows."""
    return comparison.ceiling_bytes_per_s(outcome)
