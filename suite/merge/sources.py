"""Sources of a merge: runs of one plan and method, those of each machine by themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from suite.analysis.folders import Given, expand
from suite.command import BadRequest
from suite.records.record import Environment
from suite.records.store import Run, StoreError
from suite.run.environments import changed
from suite.run.options import without_option
from suite.run.shard import Shard

Machine = tuple[str, str]
"""Digest of a host, and the UUID of its GPU; empty without one."""
OWN_OPTIONS = ("--out", "--resume", "--shard")
OWN_FLAGS = ("--no-wait", "--insist", "--anyway")
"""What each run of a plan has for itself."""
MOST_NAMED = 6


@dataclass(frozen=True, slots=True)
class Source:
    """A run to be merged, and which shard of its plan it is; null of one that is the whole."""

    run: Run
    shard: Shard | None

    @property
    def environment(self) -> Environment:
        return self.run.environment

    @property
    def machine(self) -> Machine:
        """Which machine it was measured on."""
        return self.environment.machine, str(self.environment.gpu.get("uuid") or "")


def sources(given: Sequence[Given]) -> dict[Machine, list[Source]]:
    """The runs that paths and patterns stand for, by machine, shards in order.

    Raises:
        StoreError: one of them can't be read; a line for each.
        BadRequest: they are not of one plan or method, or those of one machine were measured by other code,
            packages or variables.
    """
    found, wrong = list[Source](), list[str]()
    for folder in expand(given):
        try:
            run, *later = Run.parts(folder)
            if later:
                what = "went on in another environment, which a merge does not keep apart"
                raise StoreError(f"{folder}: {what}; leave it out")
            found.append(Source(run, _shard(run)))
        except StoreError as error:
            wrong.append(str(error))
    if wrong:
        raise StoreError("\n".join(wrong))
    found.sort(key=lambda s: (s.shard.number if s.shard else 0, s.environment.created, str(s.run.path)))
    by_machine: dict[Machine, list[Source]] = {}
    for source in found:
        by_machine.setdefault(source.machine, []).append(source)
    for source in found[1:]:
        _check_plan(found[0], source)
    for own in by_machine.values():
        for source in own[1:]:
            _check_same(own[0], source)
    return by_machine


def options_of(environment: Environment) -> list[str]:
    """The options of a run less those that only it had: of the whole plan."""
    words = list(environment.argv)
    for name in OWN_OPTIONS:
        words = without_option(name, words)
    return [word for word in words if word not in OWN_FLAGS]


def _shard(run: Run) -> Shard | None:
    said = run.environment.settings.get("shard")
    if said is None:
        return None
    try:
        return Shard.read(str(said))
    except ValueError as error:
        raise StoreError(f"{run.path}: {error}; leave it out") from None


def _check_plan(one: Source, other: Source) -> None:
    a, b = one.environment, other.environment
    which = f"{one.run.path} and {other.run.path}"
    if a.method != b.method:
        raise BadRequest(
            f"{which}: measured by method {a.method} and {b.method}; measure both with one version"
        )
    if a.plan != b.plan:
        advice = "measure all with the same options, --threads among them"
        raise BadRequest(f"{which}: planned otherwise ({_difference(a, b)}); {advice}")


def _difference(a: Environment, b: Environment) -> str:
    """What two plans differ in, as far as options and settings tell."""
    sides: list[Mapping[str, object]] = [
        {
            **{name: e.settings.get(name) for name in ("preset", "precision", "threads")},
            "seed": e.seed,
            "devices": " ".join(e.devices),
            "options": " ".join(options_of(e)),
        }
        for e in (a, b)
    ]
    for name, value in sides[0].items():
        if value != sides[1][name]:
            return f"{name} {value or 'none'}, {sides[1][name] or 'none'}"
    return "other cases or backends"


def _check_same(one: Source, other: Source) -> None:
    if differs := list(changed(one.environment, other.environment)):
        what = f"of one machine, but {', '.join(differs[:MOST_NAMED])}"
        raise BadRequest(f"{one.run.path} and {other.run.path}: {what}; measure all with one version of each")
