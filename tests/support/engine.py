"""Stands in for the supervisor of a worker: records made up from a time for each case and backend."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from suite.cases.case import Case
from suite.records.record import Record
from suite.worker import supervisor
from suite.worker.messages import Job
from tests.support import fabricate

Seconds = Callable[[Case, str], float]


class Engine:
    """A record for every backend asked for, of a time of 0 a failure, and of the copy beside them.

    Args:
        copy_s: the copy's time; without it there is no copy.
    """

    def __init__(
        self, seconds: Seconds, copy_s: Callable[[Case], float] | None = None, **failure: Any
    ) -> None:
        self.seconds, self.copy_s, self.failure = seconds, copy_s, failure
        self.jobs: list[Job] = []

    def instead_of_workers(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Be what measures."""
        monkeypatch.setattr(supervisor.Supervisor, "of_this_machine", lambda *_: self)

    def measure(self, job: Job) -> list[Record]:
        self.jobs.append(job)
        case, draw = job.case, random.Random(str(job.case))

        def record(name: str, seconds: float, **more: Any) -> Record:
            if not seconds:
                failed: Record = fabricate.failure(name, case, "m", **self.failure)
                return failed
            device, shape = str(job.device), {"noise": 0.001}
            return fabricate.record(name, case, seconds, draw, "m", device=device, shape=shape, **more)

        copies = [record("copy", self.copy_s(case), role="ceiling")] if self.copy_s else []
        return copies + [record(one.name, self.seconds(case, one.name)) for one in job.backends]

    def close(self) -> None:
        """Nothing to end."""
