"""Pairs of outcomes: two runs, or two backends, case by case, with ratios and verdicts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from suite import stats
from suite.analysis import comparison, outcomes
from suite.analysis.folders import distinct
from suite.analysis.outcome import Outcome
from suite.analysis.outcomes import Results
from suite.command import BadRequest
from suite.records.record import Environment
from suite.stats import ASSUMED_NOISE_FLOOR, Estimate, Verdict


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two sides: the name of its run, and its backend if only one is compared."""

    run: str
    backend: str | None
    environment: Environment

    def __str__(self) -> str:
        return f"{self.run}:{self.backend}" if self.backend else self.run


@dataclass(frozen=True, slots=True)
class Pair:
    """One case on both sides.

    Attributes:
        ratio: time of B over time of A, above 1 where B is slower; null where they can't be compared.
        verdict: of the ratio. left_out: why there is none.
    """

    a: Outcome | None
    b: Outcome | None
    ratio: Estimate | None = None
    verdict: Verdict | None = None
    left_out: str | None = None

    @property
    def converged(self) -> bool:
        """Whether both sides reached the precision asked for."""
        return not any(o is not None and o.converged is False for o in (self.a, self.b))

    @property
    def broken(self) -> bool:
        """Whether A completed it and B failed."""
        return bool(self.a and self.b and self.a.completed and not self.b.completed)


def sides(argument_a: str, argument_b: str) -> tuple[Side, Side, Results]:
    """Read the two runs named by ``DIR`` or ``DIR:BACKEND``.

    Raises:
        BadRequest: a folder that is no run, or a backend that is not in it. StoreError: neither is a run.
    """
    (folder_a, backend_a), (folder_b, backend_b) = _split(argument_a), _split(argument_b)
    if (backend_a is None) != (backend_b is None):
        raise BadRequest("backends: named for one run only; give RUN:BACKEND for both or for neither")
    folders = distinct((folder_a, folder_b))
    results = outcomes.read(folders, together=True)
    names = list(results.environments)
    with_outcomes = {o.run for o in results.outcomes}
    if len(with_outcomes) < len(folders):
        raise BadRequest("\n".join(results.notes))
    a, b = (
        Side(names[k], backend, results.environments[names[k]])
        for k, backend in ((0, backend_a), (-1, backend_b))
    )
    for side in (a, b):
        known = sorted({o.backend for o in results.outcomes if o.run == side.run})
        if side.backend is not None and side.backend not in known:
            raise BadRequest(f"{side}: no such backend in that run; give one of {', '.join(known)}")
    return a, b, results


def _split(argument: str) -> tuple[Path, str | None]:
    folder, colon, backend = argument.rpartition(":")
    if Path(argument).exists() or not colon:
        return Path(argument), None
    return Path(folder), backend


def obstacle(a: Environment, b: Environment, normalized: bool) -> str | None:
    """Why times of the two runs can't be compared; null if they can."""
    if a.method != b.method:
        return f"times were measured by method {a.method} and {b.method}; measure both with one version"
    if normalized:
        return None
    facts: dict[str, tuple[object, object]] = {
        "machine": (a.machine, b.machine),
        "devices": (", ".join(a.devices), ", ".join(b.devices)),
        **{f"gpu {key}": (a.gpu.get(key), b.gpu.get(key)) for key in ("name", "uuid", "driver_version")},
    }
    for what, (of_a, of_b) in facts.items():
        if of_a != of_b:
            return f"different {what}, {of_a} and {of_b}; compare fractions of each ceiling with --normalized"
    return None


def pairs(a: Side, b: Side, results: Results, noise_floor: float, normalized: bool = False) -> list[Pair]:
    """Every case of either side; with a verdict where both completed it."""
    of_a, of_b = (_by_key(side, results, normalized) for side in (a, b))
    return [_pair(of_a.get(key), of_b.get(key), noise_floor, normalized) for key in {**of_a, **of_b}]


def _by_key(side: Side, results: Results, normalized: bool) -> dict[tuple[object, ...], Outcome]:
    own = [o for o in results.outcomes if o.run == side.run and side.backend in (None, o.backend)]
    # On different machines, cuda:0 may be compared with cuda:1, and any two devices if a side has only one.
    only = normalized and len({o.device for o in own}) == 1
    keys: dict[tuple[object, ...], Outcome] = {}
    for o in own:
        device = "" if only else o.device.partition(":")[0] if normalized else o.device
        keys[device, None if side.backend else o.backend, o.case] = o
    return keys


def _pair(a: Outcome | None, b: Outcome | None, noise_floor: float, normalized: bool) -> Pair:
    if a is None or b is None:
        return Pair(a, b, left_out="only in A" if a else "only in B")
    for name, outcome in (("A", a), ("B", b)):
        if not outcome.completed:
            return Pair(a, b, left_out=f"failed in {name}")
    if normalized:
        of_a, of_b = comparison.fraction_of_ceiling(a), comparison.fraction_of_ceiling(b)
        if of_a is None or of_b is None:
            return Pair(a, b, left_out="no ceiling")
        ratio = stats.quotient(of_a, of_b)
    else:
        ratio = comparison.slowdown(b, a)
    decided = a.decides and b.decides
    return Pair(a, b, ratio, stats.verdict(ratio, noise_floor) if decided else "UNCLEAR")


def noise_floor(a: Environment, b: Environment) -> tuple[float, str]:
    """The larger of the two machines' noise floors, and its origin."""
    measured = [e.noise_floor for e in (a, b) if e.noise_floor is not None]
    if len(measured) == 2:
        return max(measured), "measured"
    return max([ASSUMED_NOISE_FLOOR, *measured]), "assumed; python -m suite.doctor measures it"
