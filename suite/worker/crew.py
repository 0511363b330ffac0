"""Workers of several Python environments, kept alive together: they take turns within the same rounds."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import replace

from suite.machine.environment import available_bytes
from suite.records.record import Record
from suite.worker.messages import Job
from suite.worker.supervisor import MEMORY_SHARE, Rounds, Supervisor

ALONE: Mapping[str | None, str] = {None: sys.executable}
"""The one environment of a run that was given none: its own interpreter."""


class Crew:
    """A supervisor of each environment's worker. One worker runs at any time, however many there are.

    Args:
        timeout_s, threads: as for ``Supervisor``.
        environments: the interpreter of each, by name.
    """

    def __init__(
        self, timeout_s: float, threads: int, environments: Mapping[str | None, str] = ALONE
    ) -> None:
        memory_bytes = int(MEMORY_SHARE * available_bytes() / len(environments))
        self.supervisors = {
            name: Supervisor(timeout_s, memory_bytes, threads, python)
            for name, python in environments.items()
        }

    def measure(self, jobs: Mapping[str | None, Job]) -> list[Record]:
        """The records of the jobs of a case, by environment, each with its name.

        In turn each prepares and warms up, until its first round; then their rounds alternate: A B, B A, A B
        and so on. When one has rounds enough all end after that round, so that all have as many.
        """
        working: dict[str | None, Rounds[list[Record]]] = {
            name: self.supervisors[name].measuring(replace(job, gated=len(jobs) > 1))
            for name, job in jobs.items()
        }
        found: dict[str | None, list[Record]] = {}
        number, enough = 0, False
        while working:
            order = list(working)
            if number and number % 2 == 0:
                order.reverse()
            for name in order:
                try:
                    working[name].send(None if number == 0 else not enough)  # type: ignore[arg-type]
                except StopIteration as end:
                    found[name] = end.value
                    del working[name]
            number += 1
            records = [record for of in found.values() for record in of]
            enough = any(record.role == "backend" and record.status == "ok" for record in records)
        return [replace(record, environment=name) for name in jobs for record in found[name]]

    def watched_by(self, told: Callable[[str | None, str], None]) -> None:
        """Tell of each step of the workers: of whose backend, and its name."""
        for supervisor in self.supervisors.values():
            supervisor.told = told

    def close(self) -> None:
        """End the workers, now."""
        for supervisor in self.supervisors.values():
            supervisor.close()
