"""Stages of the measurement, in order: claims that share a measurement are judged together."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass

from suite.claims.cost import bandwidth, cheapest, int8_rows, out_of_range, size, training
from suite.claims.finding import Finding, Group, group_of, unmeasured
from suite.claims.meaning import contextual, geometry, learned
from suite.claims.meaning.stage import in_own_process
from suite.claims.target import Target, Unmeasured

Judge = Callable[[Target, float], list[Finding]]
"""Takes the target and the seconds it should take; may raise ``Unmeasured``."""


@dataclass(frozen=True, slots=True)
class Stage:
    """Claims of one group, judged from one measurement.

    Attributes:
        seconds: time it takes unless ``--time-budget`` says otherwise.
    """

    names: tuple[str, ...]
    seconds: float
    judge: Judge

    @property
    def group(self) -> Group:
        """The group of its claims."""
        return group_of(self.names[0])


STAGES = (
    Stage(("size",), size.SECONDS, size.findings),
    Stage(("index", "bandwidth"), bandwidth.SECONDS, bandwidth.findings),
    Stage(("instant", "cheapest"), cheapest.SECONDS, cheapest.findings),
    Stage(("training",), training.SECONDS, training.findings),
    Stage(("int8-rows",), int8_rows.SECONDS, int8_rows.findings),
    Stage(("out-of-range",), out_of_range.SECONDS, out_of_range.findings),
    Stage(("near-means-similar", "king-queen", "same-rows"), geometry.SECONDS, in_own_process("geometry")),
    Stage(("learned-from-noise",), learned.SECONDS, in_own_process("learned", threads=1)),
    Stage(("static-not-contextual",), contextual.SECONDS, in_own_process("contextual", threads=1)),
)


def shares(stages: Sequence[Stage], budget_s: float | None) -> list[float]:
    """Seconds of each stage: its own, or its part of the budget where one is given."""
    factor = 1.0 if budget_s is None else budget_s / sum(stage.seconds for stage in stages)
    return [stage.seconds * factor for stage in stages]


def findings_of(stage: Stage, target: Target, seconds: float) -> list[Finding]:
    """The findings of a stage; if it fails, its claims are NOT MEASURED, and the others go on."""
    try:
        findings = stage.judge(target, seconds)
        for finding in findings:
            json.dumps(asdict(finding), allow_nan=False)
        left = [name for name in stage.names if name not in {finding.name for finding in findings}]
        return findings + _unmeasured(left, "it was not judged; this is a fault of the suite")
    except Unmeasured as error:
        return _unmeasured(stage.names, str(error))
    except Exception as error:  # a slip of ours in one claim must not cost the others
        what = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        return _unmeasured(stage.names, f"{what}; this is a fault of the suite")


def _unmeasured(names: Iterable[str], why: str) -> list[Finding]:
    return [unmeasured(name, why) for name in names]
