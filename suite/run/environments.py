"""Environments that take turns: what their interpreters have installed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import backends
from suite.command import BadRequest
from suite.machine import interpreter
from suite.records.record import Fact

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
