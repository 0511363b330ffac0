"""Environments: what is installed in those that take turns, and the one in which a run goes on."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import backends
from suite.analysis.folders import part_name
from suite.command import BadRequest
from suite.machine import interpreter
from suite.records.record import Environment, Fact
from suite.records.store import Run
from suite.text import plain

if TYPE_CHECKING:
    from suite.run.options import Request

Facts = Mapping[str, Fact]
"""The interpreter, its version, and versions of packages by their names in small letters and dashes."""


def facts_of(request: Request, packages: Iterable[str]) -> dict[str, dict[str, Fact]]:
    """What each environment of a request holds, by its name; none where none was given.

    Args:
        packages: what backends need, as they say it.

    Raises:
        BadRequest: one of them can't run the suite's workers.
    """
    names = backends.distributions(packages)
    found: dict[str, dict[str, Fact]] = {}
    for name, python in request.environments:
        known = interpreter.facts(python, names)
        if isinstance(known, str):
            what = f"{python} can't measure ({known}); install there what the suite needs"
            raise BadRequest(f"--environment {name}: {what}")
        found[name] = known
    return found


def missing_packages(packages: Iterable[str], facts: Facts) -> tuple[str, ...]:
    """Distributions of a backend that an environment lacks, as ``backends.missing_packages`` says it."""

    def version_of(name: str) -> str | None:
        version = facts.get(re.sub(r"[-_.]+", "-", name).lower())
        return None if version is None else str(version)

    return backends.missing_packages(packages, version_of)


SYSTEM = ("kernel", "python", "python_build", "libc", "transparent_hugepage")
"""Facts of the system by which times may be others, beside the user's variables."""
CPU = ("governor", "turbo", "frequency_cap_hz", "smt", "microcode")
"""The same of the processor."""
GPU = ("driver_version",)
"""And of the GPU."""
MOST_NAMED = 6


def going_on(folder: str, now: Environment, anyway: bool) -> tuple[Run, str | None]:
    """The run in a folder, in that of its environments which this one is; a line where that is a new one.

    Args:
        now: the environment it would go on in.
        anyway: whether it goes on in a new one too, whose records are kept apart from those before.

    Raises:
        BadRequest: it was planned otherwise, or measured on another machine or with other ids; or in another
            environment, and not ``anyway``.
        StoreError: it can't be read or written.
    """
    parts = Run.parts(folder)
    if why := _other_run(parts[0].environment, now):
        raise BadRequest(plain(f"{folder}: {why}"))
    for part in reversed(parts):
        if not any(changed(part.environment, now)):
            return part, None
    differs = _listed(list(changed(parts[-1].environment, now)))
    if not anyway:
        advice = "start a new run with --out, or keep the rest apart with --anyway"
        raise BadRequest(plain(f"{folder}: begun with {differs}; {advice}"))
    run = parts[-1].gone_on(now)
    return run, f"{part_name(folder, run.number)}: goes on apart, as it was begun with {differs}"


def _other_run(was: Environment, now: Environment) -> str | None:
    """Why what would be measured now is not of this run at all; null if it is."""
    if was.machine != now.machine or was.devices != now.devices:
        return "measured on another machine; start a new run with --out"
    for name, digest in was.digests.items():
        here = now.digests.get(name, digest)
        if name.startswith("ids ") and here != digest:
            return f"begun with {name} of digest {digest}, now {here}; start a new run with --out"
    if (part := was.settings.get("shard")) != (other := now.settings.get("shard")):
        return f"begun as shard {part or '1/1'}, now {other or '1/1'}; start a new run with --out"
    if was.plan != now.plan:
        return f"planned otherwise; repeat its options: {' '.join(was.argv)}"
    return None


def changed(was: Environment, now: Environment) -> Iterator[str]:
    """What a run began with and what is there now, where times or their meaning may be others by it."""
    before, after = _facts(was), _facts(now)
    for name in dict.fromkeys([*before, *after]):
        if before.get(name) != after.get(name):
            yield f"{name} {before.get(name)}, now {after.get(name)}"


def _listed(differs: Sequence[str]) -> str:
    more = len(differs) - MOST_NAMED
    return ", ".join(differs[:MOST_NAMED]) + (f", and {more} more" if more > 0 else "")


def _facts(of: Environment) -> dict[str, Fact]:
    variables = [name for name in of.system if name.isupper()]
    return {
        "commit": of.commit[:12],
        "dirty": of.dirty,
        "method": of.method,
        **of.digests,
        **of.packages,
        **{
            f"{name} {fact}": known
            for name, facts in of.environments.items()
            for fact, known in facts.items()
        },
        **{name: of.system.get(name) for name in (*variables, *SYSTEM)},
        **{name: of.cpu.get(name) for name in CPU},
        **{name: of.gpu.get(name) for name in GPU},
    }
