"""Orders of a rank's worker, what it notes while it works, and what it answers."""

from __future__ import annotations

import dataclasses
import json
import mmap
import struct
from dataclasses import dataclass

from suite.cases.case import Case
from suite.records import strict

NOTE_BYTES = 4096
LOOKUP, EXCHANGE = 1, 2
PHASES = {"lookup": LOOKUP, "exchange": EXCHANGE}


@dataclass(frozen=True, slots=True)
class Job:
    """One case, one sharding, some ways, for one rank.

    Attributes:
        ways: names or paths, in the same order for every rank.
        gpu: the rank's CUDA device; null for the CPU.
        host, port: of the store that all ranks meet at. attempt: prefix of this job's keys in it.
        limit_s: time of the rounds. timeout_s: longest time that one step may take.
    """

    case: Case
    sharding: str
    ways: tuple[str, ...]
    rank: int
    ranks: int
    gpu: int | None
    host: str
    port: int
    attempt: str
    limit_s: float
    timeout_s: float
    seed: int

    def to_line(self) -> bytes:
        """The line that the worker reads."""
        return (json.dumps(dataclasses.asdict(self)) + "\n").encode()

    @classmethod
    def of_line(cls, line: bytes) -> Job:
        """What ``to_line`` wrote."""
        return strict.build(cls, strict.parse(line.decode()))


@dataclass(frozen=True, slots=True)
class Noted:
    """Where a worker was.

    Attributes:
        steps: how many it had begun. phase: 1 in a lookup of its own, 2 in an exchange, 0 in neither.
        way: whose step it was; null: the suite's own.
    """

    steps: int
    phase: int
    way: str | None
    step: str


class Notes:
    """A page of memory that a worker writes and its parent reads, also when the worker is dead."""

    def __init__(self, fd: int) -> None:
        self.memory = mmap.mmap(fd, NOTE_BYTES)

    def begin(self, way: str | None, step: str) -> None:
        """Note the next step."""
        text = json.dumps([way, step]).encode()[: NOTE_BYTES - 32]
        (steps,) = struct.unpack_from("<Q", self.memory)
        self.memory[32 : 32 + len(text)] = text
        struct.pack_into("<QQQ", self.memory, 0, steps + 1, len(text), 0)

    def phase(self, name: str) -> None:
        """Note a phase of the step; takes some 0.2 µs, since it is in what is timed."""
        self.memory[16] = PHASES[name]

    def read(self) -> Noted:
        """The last note."""
        steps, length, phase = struct.unpack_from("<QQQ", self.memory)
        try:
            way, step = json.loads(self.memory[32 : 32 + length])
        except ValueError:
            way, step = None, "start"
        return Noted(steps, phase, way, step)
