"""Messages between a run and its worker: jobs, steps, answers, exit codes."""

from __future__ import annotations

import dataclasses
import json
import mmap
import struct
from dataclasses import dataclass

from backends import Choice
from suite.cases.case import Case
from suite.engine import measure
from suite.records import strict
from suite.records.device import Device
from suite.records.record import Record, Status

STATUS_BYTES = 4096
ANSWER = "answer"
"""The only step in which a worker writes to its pipe."""
WAIT = "wait for a turn"
"""The only step in which a worker writes to its gate."""
GO, STOP = b"g", b"s"
"""What it hears there: take a round, or make no more of them."""
EXIT_PIPE = 97
"""Exit code of a worker that found its pipe closed under it."""
EXIT_TAMPERED = 96
"""Exit code of a worker that found the operands changed, by whom it can't tell."""
EXIT_LOST = 95
"""Exit code of a worker whose device a backend left unusable, in the step that is noted."""


@dataclass(frozen=True, slots=True)
class Job:
    """One case on one device with some of its backends; small enough for one line of JSON.

    Attributes:
        tables: folder of table files, where the placement is one.
        gated: whether the worker asks at its gate before each round, as others take turns with it.
        errors: the folder in which the whole of what a backend's error says is kept; null to keep none.
    """

    case: Case
    device: Device
    backends: tuple[Choice, ...]
    measurement: str
    settings: measure.Settings
    ids_file: str | None = None
    gated: bool = False
    errors: str | None = None
    tables: str | None = None

    def to_line(self) -> bytes:
        """The line a worker reads."""
        return (json.dumps(dataclasses.asdict(self)) + "\n").encode()

    @classmethod
    def of_line(cls, line: bytes) -> Job:
        """What ``to_line`` wrote. It has no schema: both ends are of one version."""
        return strict.build(cls, strict.parse(line.decode()))


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


class StatusPage:
    """The step a worker is in, in memory shared with its parent, who reads it when the worker is dead."""

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


def failed(job: Job, backend: Choice, status: Status, reason: str) -> Record:
    """The record of a backend that could not be measured."""
    return Record(backend.name, str(job.device), job.case, status, reason, job.measurement)
