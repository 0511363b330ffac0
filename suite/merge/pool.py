"""Pool of the records of several runs: each once, and none that another contradicts."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from suite.cases.case import Case
from suite.command import BadRequest
from suite.records.record import Record, to_json
from suite.records.store import Refused, Run
from suite.units import count

Key = tuple[str, Case, str | None, int, str, str]
"""Device, case, environment, pass, role; and the backend, or of a ceiling the measurement."""
Contender = tuple[str, Case, str | None, str]
"""Device, case, environment, backend."""
Line = tuple[int, bytes]
"""Number of a line in records.jsonl, and a digest of the record on it."""
MOST_NAMED = 6
BLOCK = 100
"""So many records are written at once."""


@dataclass(slots=True)
class Pool:
    """The records of some runs, by where they stand; none of them is kept in memory.

    Attributes:
        lines: by key, the lines of each run that has some, by its place among them.
        refused: lines that are no records.
        duplicates: how many records stand in more than one run.
        passes: those that each backend has a record of. failed: the backends that have one of a failure.
        begun: the passes that each run has records of.
    """

    runs: Sequence[Run]
    lines: dict[Key, dict[int, list[Line]]] = field(default_factory=dict)
    refused: list[Refused] = field(default_factory=list)
    duplicates: int = 0
    passes: dict[Contender, set[int]] = field(default_factory=dict)
    failed: set[Contender] = field(default_factory=set)
    begun: list[set[int]] = field(default_factory=list)

    @classmethod
    def of(cls, runs: Sequence[Run]) -> Pool:
        """Read the runs.

        Raises:
            BadRequest: two of them have different records of one pass of one backend over one case; a line
                for each. StoreError: one can't be read.
        """
        pool = cls(runs)
        for place, run in enumerate(runs):
            pool.begun.append(set())
            for number, item in enumerate(run.read(), 1):
                if isinstance(item, Refused):
                    pool.refused.append(item)
                else:
                    pool._add(place, number, item)
        pool._check()
        return pool

    def _add(self, place: int, number: int, record: Record) -> None:
        found = self.lines.setdefault(_key(record), {}).setdefault(place, [])
        found.append((number, _digest(record)))
        if record.role == "backend":
            contender = record.device, record.case, record.environment, record.backend
            self.passes.setdefault(contender, set()).add(record.pass_number)
            self.begun[place].add(record.pass_number)
            if record.status != "ok":
                self.failed.add(contender)

    def chosen(self) -> Iterator[Record]:
        """Every record once, in the order of the runs and within each in its own.

        Where a run holds what another does and more, as the copy of one that went on, that one's are taken.
        """
        wanted: list[set[int]] = [set() for _ in self.runs]
        for of_run in self.lines.values():
            place = _fullest(of_run)
            wanted[place].update(number for number, _ in of_run[place])
        for run, numbers in zip(self.runs, wanted, strict=True):
            for number, item in enumerate(run.read(), 1):
                if number in numbers and isinstance(item, Record):
                    yield item

    def _place(self, run: int, number: int) -> str:
        return f"{self.runs[run].path}/records.jsonl:{number}"

    def _check(self) -> None:
        against: list[str] = []
        for key, of_run in self.lines.items():
            best = _fullest(of_run)
            for place, lines in of_run.items():
                if place == best:
                    continue
                self.duplicates += len(lines)
                for (number, digest), (other, differs) in zip(of_run[best], lines, strict=False):
                    if digest != differs:
                        where = f"{self._place(best, number)} and {self._place(place, other)}"
                        against.append(f"{where}: {_named(key)} differs; leave one of the runs out")
                        break
        if against:
            more = f"\n{count(len(against) - MOST_NAMED, 'more record')}: different too; leave runs out"
            raise BadRequest("\n".join(against[:MOST_NAMED]) + (more if len(against) > MOST_NAMED else ""))


def _digest(record: Record) -> bytes:
    # Undecodable bytes of a message are lone surrogates.
    return hashlib.sha256(to_json(record).encode("utf-8", "surrogatepass")).digest()


def _key(record: Record) -> Key:
    name = record.backend if record.role == "backend" else record.measurement
    return record.device, record.case, record.environment, record.pass_number, record.role, name


def _fullest(of_run: dict[int, list[Line]]) -> int:
    return max(of_run, key=lambda place: (len(of_run[place]), -place))


def _named(key: Key) -> str:
    device, case, environment, number, role, name = key
    at = f" @{environment}" if environment else ""
    what = f"{name}{at}" if role == "backend" else "the copy"
    return f"{what} on {device} {case}, pass {number},"
