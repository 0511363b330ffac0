"""Cases measured as ``suite.run`` does: by a worker, each in turns with a copy of its bytes."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from backends import choose
from suite.analysis.outcome import Outcome
from suite.analysis.outcomes import outcomes_of
from suite.cases.case import Case
from suite.claims.target import Target
from suite.engine.measure import Settings
from suite.worker.budget import Budget
from suite.worker.messages import Job
from suite.worker.supervisor import Supervisor

_TIMEOUT_S = 60.0

Plan = Sequence[tuple[Case, tuple[str, ...]]]
"""Cases, each with the backends that it is measured with."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What became of each case and backend.

    Attributes:
        outcomes: those that are whole. missing: why there is none.
    """

    outcomes: dict[tuple[Case, str], Outcome] = field(default_factory=dict)
    missing: dict[tuple[Case, str], str] = field(default_factory=dict)

    def take(self, case: Case, outcomes: Mapping[str, Outcome]) -> None:
        """Keep what a case came to."""
        for name, outcome in outcomes.items():
            if outcome.completed:
                self.outcomes[case, name] = outcome
            else:
                self.missing[case, name] = f"{outcome.status}: {outcome.reason}"


def measure(target: Target, plan: Plan, seconds: float, most_share: float) -> Measured:
    """Measure the cases in order; what time does not allow, if it took as long as the one before, is missing.

    Args:
        most_share: the largest part of the time that the rounds of one case may take.
    """
    supervisor = Supervisor.of_this_machine(_TIMEOUT_S, target.threads)
    budget, end = Budget(seconds, len(plan), most_share * seconds), time.monotonic() + seconds
    measured, last_s = Measured(), 0.0
    try:
        for case, names in plan:
            began = time.monotonic()
            if began + last_s > end:
                measured.missing.update({(case, name): "no time was left" for name in names})
                continue
            limit_s = min(most_share * seconds, budget.next_limit_s())
            settings = Settings(limit_s=limit_s, seed=target.seed, cache_bytes=target.cache_bytes)
            chosen = tuple(choose(name) for name in names)
            job = Job(case, target.device, chosen, uuid.uuid4().hex[:12], settings)
            measured.take(case, outcomes_of(supervisor.measure(job)))
            budget.finished()
            last_s = time.monotonic() - began
    finally:
        supervisor.close()
    return measured
