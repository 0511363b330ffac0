"""The parent that outlives its worker: one death costs one backend's record, and the run goes on."""

from __future__ import annotations

import errno
import sys
import uuid
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar, cast

from backends import Choice
from suite.machine.environment import available_bytes
from suite.records.record import Record
from suite.worker import errors
from suite.worker.messages import Job, failed
from suite.worker.process import Child, Death

_T = TypeVar("_T")
Rounds = Generator[None, bool, _T]
"""Something that yields before each round, is sent whether there is one, and returns what came of them."""
_TRIAL_S = 0.1
MEMORY_SHARE = 0.92
"""Of the memory that is free at the start, so much may a worker fill."""


class Supervisor:
    """Starts a worker, gives it jobs, replaces it when it dies.

    Args:
        timeout_s: longest time one step of a backend may take: a prepare, a check, a turn.
        memory_bytes: more than this resident, and the worker is ended.
        threads: how many each library may use.
        python: the interpreter of its workers.
    """

    def __init__(
        self, timeout_s: float, memory_bytes: int, threads: int, python: str = sys.executable
    ) -> None:
        self.timeout_s = timeout_s
        self.memory_bytes = memory_bytes
        self.threads = threads
        self.python = python
        self.worker: Child | None = None
        self.convicted: set[str] = set()
        self.told: Callable[[str | None, str], None] = lambda *_: None

    @classmethod
    def of_this_machine(cls, timeout_s: float, threads: int) -> Supervisor:
        """One whose workers may fill nearly all the memory that is free now."""
        return cls(timeout_s, int(MEMORY_SHARE * available_bytes()), threads)

    def measure(self, job: Job) -> list[Record]:
        """The records of a job: of every backend one, whatever became of the workers."""
        return _end_of(self.measuring(replace(job, gated=False)))

    def measuring(self, job: Job) -> Rounds[list[Record]]:
        """As ``measure``, but where the job is gated it yields before each of the worker's rounds.

        It is sent whether there is to be that round. After a death that cost rounds the others are measured
        under another name: their rounds are not those that were shared any more.
        """
        found: list[Record] = []
        left, suspected, tries = list(job.backends), dict[Choice, Death](), 0
        found_so = job.case.placement == "file"  # a table file may have been spoiled before anyone here came
        while left:
            answer = yield from self._ask(replace(job, backends=tuple(left)))
            if not isinstance(answer, Death):
                if any(record.status == "wrong" for record in answer):
                    self.close()  # one that returned wrong rows may have left wrong ones in the shared table
                return found + self._convicted(job, suspected) + answer
            if answer.rounds:
                job = replace(job, measurement=uuid.uuid4().hex[:12])
            if found_so and answer.status == "wrong":
                found_so = False  # the worker has removed it: who spoils the new one is judged
                continue
            accused = {backend: answer for backend in left if backend.name == answer.backend}
            guilty = self._plainly(left, accused, answer)
            if not guilty and accused and not suspected:
                suspected = accused  # if the others come to an end without it, it was it
            elif not guilty:
                guilty = self._by_trial(job, left, suspected, accused)
                left, suspected = [*left, *suspected], {}
            tries += not (guilty or suspected)
            if tries == 2 and len(left) > 1:  # together they come to nothing: each by itself then
                for backend in left:
                    found += yield from self._measuring_alone(job, backend)
                return found
            found += self._convicted(job, guilty)
            left = [b for b in job.backends if b in left and b not in guilty and b not in suspected]
            if not left:
                left, suspected = list(suspected), {}
        return found

    def _measuring_alone(self, job: Job, backend: Choice) -> Rounds[list[Record]]:
        self.close()
        measurement = f"{job.measurement}-{backend.name}"  # no other backend shares its rounds
        return (yield from self.measuring(replace(job, backends=(backend,), measurement=measurement)))

    def _plainly(
        self, left: Sequence[Choice], accused: Mapping[Choice, Death], death: Death
    ) -> dict[Choice, Death]:
        """Who ended a worker beyond doubt: was alone in it, did so before, or would take long to do it again.

        Else nobody: a backend can leave a thread, a signal or a broken table behind that strikes in another's
        step. Beyond doubt is also who left the device unusable, since that is asked after every step.
        """
        if len(left) == 1:
            return dict.fromkeys(left, death)
        certain = death.certain or death.status in ("timed_out", "out_of_memory")
        return {backend: death for backend in accused if certain or backend.name in self.convicted}

    def _by_trial(
        self,
        job: Job,
        left: Sequence[Choice],
        suspected: Mapping[Choice, Death],
        accused: Mapping[Choice, Death],
    ) -> dict[Choice, Death]:
        """Who of those in whose steps workers ended does so alone, or who of the others; else the accused."""
        first = [*suspected, *accused]
        for some in (first, [backend for backend in left if backend not in first]):
            trials = {backend: self._try(job, backend) for backend in some}
            guilty = {backend: again for backend, again in trials.items() if again is not None}
            if guilty:
                return guilty
        return dict(accused)

    def _convicted(self, job: Job, guilty: Mapping[Choice, Death]) -> list[Record]:
        """The records of those who ended a worker; what they do again needs no proof."""
        self.convicted |= {backend.name for backend in guilty}
        for backend, death in guilty.items():
            errors.keep(job, backend.name, f"{death.reason}\n{death.output}")
        return [failed(job, backend, death.status, death.reason) for backend, death in guilty.items()]

    def _try(self, job: Job, backend: Choice) -> Death | None:
        """Measure one backend alone, for a moment, in a worker of its own: how that ended it, if it did."""
        self.close()
        brief = replace(job.settings, limit_s=_TRIAL_S, sustain_s=0.0)
        answer = _end_of(self._ask(replace(job, backends=(backend,), settings=brief, gated=False)))
        self.close()
        return answer if isinstance(answer, Death) else None

    def close(self) -> None:
        """End the worker, now."""
        if self.worker is not None:
            self.worker.kill()
            self.worker = None

    def _ask(self, job: Job) -> Rounds[list[Record] | Death]:
        """Its records, or how the worker ended.

        Raises:
            ChildProcessError: a worker does not come to its first job, twice; no backend has to do with that.
        """
        reason = ""
        for _ in range(2):
            worker = self.worker = self.worker or Child(self.threads, self.python)
            worker.told = self.told
            answer = yield from worker.ask(job, self.timeout_s, self.memory_bytes)
            if isinstance(answer, Death):
                self.close()
            if not isinstance(answer, Death) or worker.began:
                return answer
            reason = answer.reason
        raise ChildProcessError(errno.ECHILD, f"does not start: {reason}")


def _end_of(rounds: Rounds[_T]) -> _T:
    """What comes of it if every round may begin at once."""
    try:
        next(rounds)
        while True:
            rounds.send(True)
    except StopIteration as end:
        return cast(_T, end.value)
