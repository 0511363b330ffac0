"""Where time goes beside the samples: python -m tests.tools.phases [SECONDS_PER_CASE]

Measures the default preset by a worker in this process, without a supervisor, and prints the seconds of every
step of the protocol, and those of a backend that took more than a second.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from pathlib import Path
from time import perf_counter

from suite.worker.process import SPINS

os.environ.setdefault("GOMP_SPINCOUNT", str(SPINS))  # before torch is imported

from suite.engine.measure import Settings
from suite.machine.cpu import cache_bytes
from suite.run.options import parse
from suite.run.schedule import tasks_of
from suite.worker.messages import STATUS_BYTES, Job, StatusPage
from suite.worker.serve import Worker

ROOT = Path(__file__).resolve().parents[2]


class Watched(Worker):
    """A worker that counts the seconds of its steps, by step and by whose step it was."""

    def __init__(self) -> None:
        status = os.memfd_create("status")
        os.ftruncate(status, STATUS_BYTES)
        super().__init__(StatusPage(status), status, status)
        self.spent: Counter[tuple[str, str | None]] = Counter()
        self.now: tuple[str, str | None] = ("start", None)
        self.since = perf_counter()

    def notice(self, backend: str | None, step: str) -> None:
        now = perf_counter()
        self.spent[self.now] += now - self.since
        self.now, self.since = ("build the table" if step.startswith("build") else step, backend), now
        super().notice(backend, step)


def main(limit_s: float) -> None:
    worker, timed = Watched(), 0.0
    began = perf_counter()
    for task in tasks_of(parse([])):
        settings = Settings(limit_s=limit_s, cache_bytes=cache_bytes())
        records = worker.perform(Job(task.case, task.device, task.backends, "phases", settings))
        taken = [record.samples for record in records if record.samples]
        timed += sum(sum(map(sum, s.call_s)) * s.calls_per_sample for s in taken)
    worker.notice(None, "end")
    print(f"wall {perf_counter() - began:.0f} s, timed samples {timed:.0f} s")
    steps: Counter[str] = Counter()
    for (step, _), seconds in worker.spent.items():
        steps[step] += seconds
    for step, seconds in steps.most_common():
        print(f"{step}: {seconds:.1f} s")
    for (step, backend), seconds in worker.spent.most_common():
        if backend and step != "time" and seconds > 1:
            print(f"  {backend}, {step}: {seconds:.1f} s")


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 3.0)
