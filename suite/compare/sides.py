"""Sides of a comparison: a run, one of its environments, one of its backends, as they are named."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from suite.analysis import outcomes
from suite.analysis.folders import distinct, expand, names, part_name
from suite.analysis.outcome import Outcome
from suite.analysis.outcomes import Results
from suite.command import BadRequest
from suite.records.record import Environment
from suite.records.store import Run
from suite.text import at_home

MOST_NAMED = 6
"""Of the runs that were given for one."""


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two sides.

    Attributes:
        run: the name of its run. where: the environment that the run was made in.
        environment: the Python environment, and backend: the backend, if only that one is compared.
    """

    run: str
    where: Environment
    environment: str | None
    backend: str | None

    def __str__(self) -> str:
        at = f"@{self.environment}" if self.environment else ""
        return f"{self.run}{at}:{self.backend}" if self.backend else f"{self.run}{at}"

    def outcomes(self, results: Results) -> list[Outcome]:
        """The outcomes of its environments, of all backends."""
        return [
            o for o in results.outcomes if o.run == self.run and self.environment in (None, o.environment)
        ]


def sides(argument_a: str, argument_b: str) -> tuple[Side, Side, Results]:
    """Read the two runs, each named by ``DIR``, then ``@ENVIRONMENT``, then ``:BACKEND``, both as wanted.

    Of a run that went on in another environment each part is a side of its own: ``DIR@1``, ``DIR@2``.

    Raises:
        BadRequest: a folder that is no run, or of several; an environment or a backend that is not in it, or
            that is named for one run only though the other does not say which. StoreError: neither is a run.
    """
    (folder_a, at_a, backend_a), (folder_b, at_b, backend_b) = _split(argument_a), _split(argument_b)
    if (backend_a is None) != (backend_b is None):
        raise BadRequest("backends: named for one run only; give RUN:BACKEND for both or for neither")
    (folder_a, part_a, at_a), (folder_b, part_b, at_b) = _part(folder_a, at_a), _part(folder_b, at_b)
    folders = distinct([folder_a, folder_b])
    known = names(folders)
    results = outcomes.read(folders, together=True)
    run_a = known[0] if part_a is None else part_name(known[0], part_a)
    run_b = known[-1] if part_b is None else part_name(known[-1], part_b)
    if not {run_a, run_b} <= {o.run for o in results.outcomes}:
        raise BadRequest("\n".join(results.notes))
    a = Side(run_a, results.environments[run_a], at_a, backend_a)
    b = Side(run_b, results.environments[run_b], at_b, backend_b)
    for side, other in ((a, b), (b, a)):
        _check(side, other, results)
    return a, b, results


def _one_run(given: Path) -> Path:
    """The folder of the one run that a path or a pattern stands for; as it is where it stands for none."""
    first, *more = expand([given])
    if more:
        listed = names([first, *more])
        others = f" and {len(listed) - MOST_NAMED} more" if len(listed) > MOST_NAMED else ""
        what = f"{len(listed)} runs, {', '.join(listed[:MOST_NAMED])}{others}"
        raise BadRequest(f"{given}: stands for {what}; give one of them, such as {first}")
    return first


def _part(given: Path, environment: str | None) -> tuple[Path, int | None, str | None]:
    """The folder of one run, its part where it went on in another environment, and the Python environment."""
    before, _, last = given.name.rpartition("@")
    inner = not given.exists() and before != "" and last.isdecimal()
    folder = _one_run(given.with_name(before) if inner else given)
    several = len(Run.parts(folder))
    if several == 1:
        return _one_run(given), None, environment
    number, at = (last, environment) if inner else (environment or "", None)
    if number not in map(str, range(1, several + 1)):
        each = " or ".join(part_name(str(folder), k) for k in range(1, several + 1))
        raise BadRequest(f"{folder}: went on in another environment; give {each}")
    return folder, int(number), at


def _split(argument: str) -> tuple[Path, str | None, str | None]:
    """Folder, environment, backend. A folder's own name may hold both signs, if there is such a folder."""
    argument = at_home(argument)
    before, colon, backend = argument.rpartition(":")
    whole, without = (argument, None), (before, backend) if colon else (argument, None)
    tries: list[tuple[Path, str | None, str | None]] = [
        *((Path(text), None, named) for text, named in (whole, without)),
        *(_at(text, named) for text, named in (without, whole)),
    ]
    return next((found for found in tries if found[0].exists()), tries[2])


def _at(text: str, backend: str | None) -> tuple[Path, str | None, str | None]:
    folder, sign, environment = text.rpartition("@")
    return (Path(folder), environment, backend) if sign else (Path(text), None, backend)


def _check(side: Side, other: Side, results: Results) -> None:
    own = [o for o in results.outcomes if o.run == side.run]
    known = _environments(own)
    if side.environment is not None and side.environment not in known:
        advice = f"give one of {', '.join(known)}" if known else f"give {side.run} alone"
        raise BadRequest(f"{side}: no such environment in that run; {advice}")
    if side.environment is None and len(known) > 1 and known != _environments(other.outcomes(results)):
        advice = f"name one, such as {side.run}@{known[0]}"
        raise BadRequest(f"{side}: holds the environments {', '.join(known)}; {advice}")
    backends = sorted({o.backend for o in side.outcomes(results)})
    if side.backend is not None and side.backend not in backends:
        raise BadRequest(f"{side}: no such backend in that run; give one of {', '.join(backends)}")


def _environments(some: list[Outcome]) -> list[str]:
    return sorted({o.environment for o in some if o.environment is not None})


def obstacle(a: Environment, b: Environment, normalized: bool) -> str | None:
    """Why times of the two runs can't be compared; null if they can. Versions of packages are no obstacle."""
    if a.method != b.method and a.measured_as != b.measured_as:
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
