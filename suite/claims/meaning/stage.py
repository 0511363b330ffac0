"""The claims about meaning, each group in a process of its own, as a table that does not fit may end it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict
from types import ModuleType
from typing import Any

from suite.claims.finding import Finding
from suite.claims.target import Place, Unmeasured
from suite.claims.task import Spec, ask
from suite.records import strict

SECONDS = {"geometry": 25.0, "learned": 70.0, "contextual": 25.0}
SPARE_S = 60.0


def module(which: str) -> ModuleType:
    """The module that judges a group of claims."""
    from suite.claims.meaning import contextual, geometry, learned

    return {"geometry": geometry, "learned": learned, "contextual": contextual}[which]


def findings_of(which: str) -> Callable[[Place, float], list[Finding]]:
    """What asks for the findings of one of the modules."""

    def findings(place: Place, seconds: float) -> list[Finding]:
        spec = {"which": which, "seconds": seconds, "seed": place.seed}
        answer = ask("meaning", spec, 2 * seconds + SPARE_S, place.threads)
        found = [strict.build(Finding, line) for line in answer.lines]
        if not found:
            raise Unmeasured(answer.death or "nothing came back")
        return found

    return findings


def judge(spec: Spec) -> Iterator[Any]:
    """Judge the claims of a module; its findings as trees."""
    for finding in module(spec["which"]).findings(spec["seconds"], spec["seed"]):
        yield asdict(finding)
