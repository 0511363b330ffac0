"""The child process that holds the device: reads jobs, measures, answers with records."""

from __future__ import annotations

import contextlib
import gc
import mmap
import os
import sys
from pathlib import Path

from suite.cases import ids
from suite.engine import binding, check
from suite.engine.measure import Setup, measure
from suite.engine.placement import residency
from suite.engine.placement.table_file import NO_ROOM
from suite.machine import threads
from suite.records.record import Record, Status, to_json
from suite.worker.devices import Tables
from suite.worker.messages import (
    ANSWER,
    EXIT_PIPE,
    EXIT_TAMPERED,
    GO,
    WAIT,
    Job,
    StatusPage,
    Step,
    failed,
)
from suite.worker.process import belong_to


class Worker:
    """Answers jobs; keeps the table of the last one, and the user's ids."""

    def __init__(self, status: StatusPage, results: int, gate: int) -> None:
        self.status = status
        self.results = results
        self.gate = gate
        self.pipe = _identity(results)
        self.tables = Tables()
        self.asked = threads.asked()
        self.ids: dict[str, ids.Ids] = {}
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
            self.tables.distrust()
            os._exit(EXIT_TAMPERED)
        text = "".join(to_json(record) + "\n" for record in records) + f"end {len(records)}\n"
        self.notice(None, ANSWER)
        # A message may hold half a character: JSON has an escape for it, UTF-8 has none.
        with os.fdopen(self.results, "wb", closefd=False) as pipe:
            pipe.write(text.encode("utf-8", "backslashreplace"))

    def perform(self, job: Job) -> list[Record]:
        """The records of a job; out_of_memory for all of it where its table does not fit."""
        self.of_files = job.case.placement != "file"  # its pages are no memory that somebody took
        self.notice(None, "read the ids")
        try:
            file_ids = self._ids_of(job)
        except ValueError as error:
            return [failed(job, backend, "error", str(error)) for backend in job.backends]
        self.notice(None, f"build the table {job.case.table}")
        gc.collect()
        gc.freeze()  # what outlives a job is libraries: the collections of later ones need not go through it
        self.tables.folder = job.tables
        short = self.tables.shortage(job.case, job.device, job.settings.cache_bytes)
        if short:
            return [failed(job, backend, "out_of_memory", short) for backend in job.backends]
        opened = self.tables.opened(job.device)
        try:
            table = self.tables.of(job.case, job.device)
            why_not = residency.why_not(table.rows, job.case)
        except OSError as error:
            why = f"its table can't be placed ({error.strerror or error})"
            status: Status = "out_of_memory" if error.errno in NO_ROOM else "error"
            return [failed(job, backend, status, why) for backend in job.backends]
        if why_not:
            return [failed(job, backend, "unsupported", why_not) for backend in job.backends]
        setup = Setup(
            case=job.case,
            arrays=opened.arrays,
            table=table.rows,
            table_memory=table.memory,
            observer=opened.observer,
            settings=job.settings,
            telemetry={**opened.facts(), **self.asked},
            file_ids=file_ids,
        )
        if not job.gated:
            return measure(setup, job.backends, job.measurement, self.notice)
        return measure(setup, job.backends, job.measurement, self.notice, gate=self.turn)

    def _ids_of(self, job: Job) -> ids.Ids | None:
        """The user's ids, where the case has such, read once; ValueError where they are not the case's."""
        if job.ids_file is None:
            if job.case.distribution.startswith("text"):
                ids.check_text()
            return None
        if job.ids_file not in self.ids:
            self.ids = {job.ids_file: ids.of_file(job.case, job.ids_file)}
        return self.ids[job.ids_file]

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
