"""What is put to the test, in order: claims that share a measurement are judged together."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass

from suite.claims.cost import bandwidth, cheapest, out_of_range, size, training
from suite.claims.finding import CLAIMS, MEANING, Finding, Group
from suite.claims.meaning.stage import SECONDS, findings_of
from suite.claims.target import Place, Unmeasured

Judge = Callable[[Place, float], list[Finding]]


@dataclass(frozen=True, slots=True)
class Stage:
    """Claims judged from one measurement.

    Attributes:
        seconds: what it takes when nobody asks for less.
        judge: takes the place and the seconds; may raise ``Unmeasured``.
    """

    group: Group
    names: tuple[str, ...]
    seconds: float
    judge: Judge


STAGES = (
    Stage("cost", ("size",), size.SECONDS, size.findings),
    Stage("cost", ("index", "bandwidth"), bandwidth.SECONDS, bandwidth.findings),
    Stage("cost", ("instant", "cheapest"), cheapest.SECONDS, cheapest.findings),
    Stage("cost", ("training",), training.SECONDS, training.findings),
    Stage("cost", ("out-of-range",), out_of_range.SECONDS, out_of_range.findings),
    *(
        Stage("meaning", tuple(claims), SECONDS[module], findings_of(module))
        for module, claims in MEANING.items()
    ),
)


def shares(stages: Sequence[Stage], budget_s: float | None) -> list[float]:
    """Seconds of each stage: its own, or its part of the budget where one is given."""
    factor = 1.0 if budget_s is None else budget_s / sum(stage.seconds for stage in stages)
    return [stage.seconds * factor for stage in stages]


def judged(stage: Stage, place: Place, seconds: float) -> list[Finding]:
    """A stage's findings. Its failure is its own: then its claims are not measured, and why."""
    try:
        found = stage.judge(place, seconds)
        for finding in found:
            json.dumps(asdict(finding), allow_nan=False)
        left = [name for name in stage.names if name not in {finding.name for finding in found}]
        return found + _unmeasured(stage, left, "it was not judged; this is a fault of the suite")
    except Unmeasured as error:
        return _unmeasured(stage, stage.names, str(error))
    except Exception as error:  # a slip of ours in one claim must not cost the others
        what = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        return _unmeasured(stage, stage.names, f"{what}; this is a fault of the suite")


def _unmeasured(stage: Stage, names: Iterable[str], why: str) -> list[Finding]:
    return [Finding(name, stage.group, CLAIMS[name], "NOT MEASURED", "", why) for name in names]
