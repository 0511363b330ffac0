"""The child process that holds the device: reads jobs, measures, answers with records."""

from __future__ import annotations

import contextlib
import functools
import gc
import mmap
import os
import sys
from pathlib import Path

from suite.engine import binding, check
from suite.engine.contender import DeviceLost
from suite.records.record import Record, to_json
from suite.worker import errors
from suite.worker.messages import (
    ANSWER,
    EXIT_LOST,
    EXIT_PIPE,
    EXIT_TAMPERED,
    GO,
    WAIT,
    Job,
    StatusPage,
    Step,
)
from suite.worker.performer import Performer
from suite.worker.process import belong_to


class Worker:
    """Answers jobs, and says before each step whose it is."""

    def __init__(self, status: StatusPage, results: int, gate: int) -> None:
        self.status = status
        self.results = results
        self.gate = gate
        self.pipe = _identity(results)
        self.performer = Performer()
        self.step = Step(None, "start")
        self.grown_bytes: dict[str | None, int] = {}
        self.of_files = True
        self.folder = Path.cwd()
        self.depth = sys.getrecursionlimit()
        binding.of_this_process()  # before a backend could change what it may use

    def answer(self, line: bytes) -> None:
        """Do one job and write its records, one a line, then how many they were."""
        job = Job.of_line(line)
        try:
            records = self.perform(job)
        except check.Tampered as error:
            self.notice(None, str(error))
            self.performer.tables.distrust()
            os._exit(EXIT_TAMPERED)
        except DeviceLost as error:
            self.notice(self.step.backend, str(error))
            os._exit(EXIT_LOST)
        text = "".join(to_json(record) + "\n" for record in records) + f"end {len(records)}\n"
        self.notice(None, ANSWER)
        # A message may hold half a character: JSON has an escape for it, UTF-8 has none.
        with os.fdopen(self.results, "wb", closefd=False) as pipe:
            pipe.write(text.encode("utf-8", "backslashreplace"))

    def perform(self, job: Job) -> list[Record]:
        """The records of a job."""
        self.of_files = job.case.placement != "file"  # its pages are no memory that somebody took
        gc.collect()
        gc.freeze()  # what outlives a job is libraries: the collections of later ones need not go through it
        report = functools.partial(errors.keep, job)
        gate = {"gate": self.turn} if job.gated else {}
        return self.performer.perform(job, self.notice, report=report, **gate)

    def turn(self) -> bool:
        """Wait until the next round may begin; whether there is to be one."""
        self.notice(None, WAIT)
        try:
            os.write(self.gate, GO)
            return os.read(self.gate, 1) == GO
        except OSError:
            os._exit(EXIT_PIPE)

    def notice(self, backend: str | None, step: str) -> None:
        """Name the next step, unless the last one took our pipe away: then it is still the culprit."""
        if _identity(self.results) != self.pipe:
            os._exit(EXIT_PIPE)
        resident, grown = _resident_bytes(self.of_files), self.grown_bytes
        grown[self.step.backend] = grown.get(self.step.backend, 0) + resident - self.step.resident_bytes
        grower = max(grown, key=lambda name: grown[name])
        self.step = Step(backend, step, resident, grower, grown[grower])
        self.status.write(self.step)
        with contextlib.suppress(OSError):
            os.chdir(self.folder)  # where the paths of backends begin
        sys.setrecursionlimit(self.depth)  # a compiler may need it


def main(argv: list[str]) -> int:
    """Serve jobs until there are no more. Arguments: the four file descriptors and the parent's id."""
    jobs, results, status, gate, parent = map(int, argv)
    belong_to(parent)
    worker = Worker(StatusPage(status), results, gate)
    with os.fdopen(jobs, "rb") as lines:
        for line in lines:
            worker.answer(line)
    return 0


def _identity(fd: int) -> tuple[int, int] | None:
    try:
        status = os.fstat(fd)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _resident_bytes(of_files: bool) -> int:
    try:
        with open("/proc/self/statm", "rb") as file:  # noqa: PTH123 - between turns, so as cheap as can be
            _, resident, shared, *_ = map(int, file.read().split())
            return (resident if of_files else resident - shared) * mmap.PAGESIZE
    except OSError:  # where /proc is not mounted
        return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
