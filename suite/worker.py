"""The child process that holds the device: reads jobs, measures, answers with records."""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import gc
import json
import mmap
import os
import signal
import struct
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from suite import binding, check, ids, measure
from suite.case import Case
from suite.record import Record, from_json, to_json
from suite.tables import Tables, with_memory

STATUS_BYTES = 4096
ANSWER = "answer"
"""The only step in which a worker writes to its pipe."""
EXIT_PIPE = 97
"""Exit code of a worker that found its pipe closed under it."""
EXIT_TAMPERED = 96
"""Exit code of a worker that found the operands changed, by whom it can't tell."""
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True)
class Job:
    """One case on one device with some of its backends; small enough for one line of JSON."""

    case: Case
    device: str
    which: tuple[str, ...]
    measurement: str
    settings: measure.Settings
    ids_file: str | None = None
    schema: int = 1

    def to_line(self) -> bytes:
        """The line a worker reads."""
        return (json.dumps(dataclasses.asdict(self)) + "\n").encode()


@dataclass(frozen=True, slots=True)
class Step:
    """What a worker is doing: a backend's step, or (None) the suite's own.

    Attributes:
        resident_bytes: what the process held at its beginning.
        grower, grown_bytes: in whose steps before it the process grew most, and by how much.
    """

    backend: str | None
    name: str
    resident_bytes: int = 0
    grower: str | None = None
    grown_bytes: int = 0


class Status:
    """Whose step it is, in memory shared with the supervisor, which reads it when this process is dead."""

    def __init__(self, fd: int) -> None:
        self.memory = mmap.mmap(fd, STATUS_BYTES)

    def write(self, step: Step) -> None:
        """Note the next step; every note counts, so that a standstill shows."""
        text = json.dumps(dataclasses.astuple(step)).encode()[: STATUS_BYTES - 16]
        (count,) = struct.unpack_from("<Q", self.memory)
        self.memory[16 : 16 + len(text)] = text
        struct.pack_into("<QQ", self.memory, 0, count + 1, len(text))

    def read(self) -> tuple[int, Step]:
        """How many steps there were, and the last."""
        count, length = struct.unpack_from("<QQ", self.memory)
        try:
            return count, Step(*json.loads(self.memory[16 : 16 + length]))
        except (ValueError, TypeError):
            return count, Step(None, "start")


class Worker:
    """Answers jobs; keeps the table of the last one, and the user's ids."""

    def __init__(self, status: Status, results: int) -> None:
        self.status = status
        self.results = results
        self.pipe = _identity(results)
        self.tables = Tables()
        self.ids: dict[str, ids.Ids] = {}
        self.step = Step(None, "start")
        self.grown_bytes: dict[str | None, int] = {}
        self.folder = Path.cwd()
        self.depth = sys.getrecursionlimit()
        binding.of_this_process()  # before a backend could change what it may use

    def answer(self, line: bytes) -> None:
        """Do one job and write its records, one a line, then how many they were."""
        job = from_json(Job, line)
        try:
            records = self.perform(job)
        except check.Tampered as error:
            self.notice(None, str(error))
            os._exit(EXIT_TAMPERED)
        text = "".join(to_json(record) + "\n" for record in records) + f"end {len(records)}\n"
        self.notice(None, ANSWER)
        # A message may hold half a character: JSON has an escape for it, UTF-8 has none.
        _write_all(self.results, text.encode("utf-8", "backslashreplace"))

    def perform(self, job: Job) -> list[Record]:
        """The records of a job; out_of_memory for all of it where its table does not fit."""
        if job.ids_file is not None and job.ids_file not in self.ids:
            self.notice(None, "read the ids")
            self.ids = {job.ids_file: ids.read_file(job.ids_file)}
        self.notice(None, f"build the table {job.case.table}")
        gc.collect()
        gc.freeze()  # what outlives a job is libraries: the collections of later ones need not go through it
        place = self.tables.place(job.device)
        short = self.tables.shortage(job.case, job.device, job.settings.cache_bytes)
        if short:
            return [failed(job, which, "out_of_memory", short) for which in job.which]
        table = self.tables.of(job.case, job.device)
        seen = place.observer.watch()
        records = measure.measure(
            job.case,
            job.which,
            place.arrays,
            table.rows,
            place.observer,
            job.settings,
            job.measurement,
            self.notice,
            self.ids[job.ids_file] if job.ids_file else None,
        )
        known = {**place.facts(), **seen()}
        return [with_memory(record, table.allocated, known) for record in records]

    def notice(self, backend: str | None, step: str) -> None:
        """Name the next step, unless the last one took our pipe away: then it is still the culprit."""
        if _identity(self.results) != self.pipe:
            os._exit(EXIT_PIPE)
        resident, grown = _resident_bytes(), self.grown_bytes
        grown[self.step.backend] = grown.get(self.step.backend, 0) + resident - self.step.resident_bytes
        grower = max(grown, key=lambda name: grown[name])
        self.step = Step(backend, step, resident, grower, grown[grower])
        self.status.write(self.step)
        with contextlib.suppress(OSError):
            os.chdir(self.folder)  # where the paths of backends begin
        sys.setrecursionlimit(self.depth)  # a compiler may need it


def failed(job: Job, which: str, status: Any, reason: str) -> Record:
    """The record of a backend that came to no measurement in a job."""
    from backends import name_of

    return Record(name_of(which), job.device, job.case, status, reason, job.measurement)


def main(argv: list[str]) -> int:
    """Serve jobs until there are no more. Arguments: the three file descriptors and the parent's id."""
    jobs, results, status, parent = map(int, argv)
    _die_with(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    worker = Worker(Status(status), results)
    with os.fdopen(jobs, "rb") as lines:
        for line in lines:
            worker.answer(line)
    return 0


def _die_with(parent: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _identity(fd: int) -> tuple[int, int] | None:
    try:
        found = os.fstat(fd)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _resident_bytes() -> int:
    with open("/proc/self/statm", "rb") as file:  # noqa: PTH123 - between turns, so as cheap as can be
        return int(file.read().split()[1]) * mmap.PAGESIZE


def _write_all(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data) :]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
