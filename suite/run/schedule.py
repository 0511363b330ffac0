"""What a run will do, in which order, and how its time is shared out; values only."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace

from backends import describe, name_of
from suite.cases.case import Case
from suite.command import BadRequest
from suite.run.options import Request

LIMITS_S = {"smoke": 0.4, "default": 8.0, "full": 10.0, "cliffs": 2.0}
"""Time for the rounds of a case when no budget is given, by preset."""
MOST_S = {"smoke": 60.0, "default": 228.0, "cliffs": 240.0}
"""Time for a whole run when no budget is given, by preset: on a slow machine its cases get less."""


@dataclass(frozen=True, slots=True)
class Task:
    """What is measured in one go: a case on a device, with the backends that take turns in it."""

    case: Case
    device: str
    which: tuple[str, ...]

    def without(self, done: set[tuple[Case, str, str]]) -> Task:
        """The same, less the backends whose record is there."""
        left = tuple(w for w in self.which if (self.case, self.device, name_of(w)) not in done)
        return replace(self, which=left)


def tasks_of(request: Request) -> list[Task]:
    """Every case on every device asked for; the same request gives the same tasks in the same order.

    Raises:
        BadRequest: a backend was asked for that runs on none of the devices.
    """
    devices = ["cpu"] if request.gpu is None else [f"cuda:{request.gpu}", "cpu"]
    shares = {device: request.backends_on(device) for device in devices}
    for which in request.backends:
        if not any(which in share for share in shares.values()):
            raise BadRequest(f"{which}: runs on {' and '.join(describe(which).devices)} only; give --gpu N")
    # Tables follow each other by device too, so that each is built once.
    by_table: dict[tuple[object, ...], list[Case]] = {}
    for case in request.cases:
        by_table.setdefault(case.table, []).append(case)
    return [
        Task(case, device, shares[device])
        for cases in by_table.values()
        for device in devices
        for case in cases
        if shares[device]
    ]


def digest(request: Request, tasks: Iterable[Task]) -> str:
    """What identifies a plan: cases, devices, backends, and the settings that change a number."""
    words = [f"{t.case} {t.device} {' '.join(map(name_of, t.which))}" for t in tasks]
    words.append(f"{request.precision} {request.seed} {request.threads}")
    if request.processes > 1:
        words.append(f"{request.processes} processes")
    return hashlib.sha256("\n".join(words).encode()).hexdigest()[:16]
