"""The meaning claims in processes of their own: a table too large for memory may end such a process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any

from suite.claims.finding import Finding
from suite.claims.target import Target, Unmeasured
from suite.claims.task import Spec, ask
from suite.records import strict

SPARE_S = 60.0
"""Time beyond its own, for loading libraries and tables."""
Judge = Callable[[float, int], list[Finding]]
"""Takes the seconds it should take, and the seed."""


def in_own_process(task: str, threads: int | None = None) -> Callable[[Target, float], list[Finding]]:
    """A judge that runs as a task of ``suite.claims.task_main``.

    Args:
        threads: how many its libraries may use: 1 where sums must be taken in one order; the target's
            unless given.
    """

    def findings(target: Target, seconds: float) -> list[Finding]:
        spec = {"seconds": seconds, "seed": target.seed}
        answer = ask(task, spec, 2 * seconds + SPARE_S, threads or target.threads)
        if not answer.lines:
            raise Unmeasured(answer.death or "its process sent no finding")
        return [strict.build(Finding, line) for line in answer.lines]

    return findings


def answers(judge: Judge, spec: Spec) -> Iterator[Any]:
    """The findings of a judge as JSON trees; what such a process does."""
    return map(asdict, judge(spec["seconds"], spec["seed"]))
