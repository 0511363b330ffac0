"""What a run will do, in which order, and how its time is shared out; values only."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from backends import Choice, describe
from suite.cases.case import PLACEMENTS, Case
from suite.cases.presets import SCALED
from suite.command import BadRequest
from suite.records.device import CPU, Device
from suite.run.options import Request
from suite.stats import FEWEST_ROUNDS

LIMITS_S = {"smoke": 0.4, "default": 8.0, "full": 10.0, "cliffs": 2.0}
LIMITS_S |= dict.fromkeys(SCALED, 10.0)  # one cold lookup may take a second
"""Time for the rounds of a case, in all passes, when no budget is given, by preset."""
MOST_S = {"smoke": 60.0, "default": 284.0, "cliffs": 240.0}
"""Time for a whole run when no budget is given, by preset: on a slow machine its cases get less."""


@dataclass(frozen=True, slots=True)
class Task:
    """What is measured in one go: a case on a device, with the backends that take turns in it."""

    case: Case
    device: Device
    backends: tuple[Choice, ...]

    def __str__(self) -> str:
        return f"{self.device} {self.case}"

    def without(self, done: set[tuple[Case, str, str]]) -> Task:
        """The same, less the backends that have a record: case, device, name."""
        left = tuple(b for b in self.backends if (self.case, str(self.device), b.name) not in done)
        return replace(self, backends=left)


def least_rounds(passes: int) -> int:
    """So many rounds of a pass an interval needs: of the only one 6, of each of several 3."""
    return 6 if passes == 1 else FEWEST_ROUNDS


Parts = Mapping[str | None, Task]
"""What is left of a task in each environment, by its name; null where there is but the run's own."""


def tasks_of(request: Request) -> list[Task]:
    """Every case on every device asked for; the same request gives the same tasks in the same order.

    Raises:
        BadRequest: a backend was asked for that runs on none of the devices.
    """
    devices = [CPU] if request.gpu is None else [Device("cuda", request.gpu), CPU]
    shares = {
        (device, case.placement, case.operation): request.backends_on(device, case)
        for case in {(case.placement, case.operation): case for case in request.cases}.values()
        for device in devices
        if case.placement in PLACEMENTS[device.kind]
    }
    done = {case.operation for case in request.cases}
    for backend in request.backends:
        if not any(backend in share for share in shares.values()):
            kinds, does = " and ".join(describe(backend).devices), describe(backend).operation
            if does not in done:
                raise BadRequest(f"{backend.source}: does {does}; give --operation {does}")
            raise BadRequest(f"{backend.source}: runs on {kinds} only; give --gpu N")
    # Tables follow each other by device too, so that each is built once.
    by_table: dict[tuple[object, ...], list[Case]] = {}
    for case in request.cases:
        by_table.setdefault(case.table, []).append(case)
    return [
        Task(case, device, shares[device, case.placement, case.operation])
        for cases in by_table.values()
        for device in devices
        for case in cases
        if shares.get((device, case.placement, case.operation))
    ]


def digest(request: Request, tasks: Iterable[Task]) -> str:
    """What identifies a plan: cases, devices, backends, and the settings that change a number.

    Not how many passes: a run is gone on with by asking for more.
    """
    words = [f"{t.case} {t.device} {' '.join(backend.name for backend in t.backends)}" for t in tasks]
    words.append(f"{request.precision} {request.seed} {request.threads}")
    words += [f"environment {name}" for name, _ in request.environments]
    return hashlib.sha256("\n".join(words).encode()).hexdigest()[:16]
