"""A rank's agent: starts a worker for each job, ends it if one rank fails, and says which was at fault.

What a worker does can't harm an agent, so the run goes on: agents meet at a store, workers among themselves.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol

from suite.ranks.job import EXCHANGE, NOTE_BYTES, Job, Noted, Notes
from suite.ranks.result import Answer, Result, Ways
from suite.records import strict
from suite.worker.process import Process, ended

MODULE = "suite.ranks.worker"
SETUP_S = 300.0
"""Limit of a step that is the suite's own: building a large part."""


class Store(Protocol):
    """What agents meet at; torch's TCPStore."""

    def set(self, key: str, value: str) -> None:
        """Put a value there for all."""

    def get(self, key: str) -> bytes:
        """The value, as soon as it is there."""

    def check(self, keys: list[str]) -> bool:
        """Whether all of these are there."""


@dataclass(frozen=True, slots=True)
class End:
    """How one rank's worker ended.

    Attributes:
        kind: ``done``; ``crashed``; ``error``: it raised; ``timed_out``; ``stopped``: on another's account.
        reason: in words. steps, phase, way, step: where it was.
    """

    rank: int
    kind: str
    reason: str = ""
    steps: int = 0
    phase: int = 0
    way: str | None = None
    step: str = ""


def at_fault(ends: Sequence[End]) -> End:
    """Which rank's end is the cause of the others'; they wait for it, or lost it in an exchange.

    One that died comes before all, then one that raised outside an exchange. Of a standstill it is the one
    that is furthest behind: in a step, or in that step's lookup where the others exchange.
    """
    died = [end for end in ends if end.kind == "crashed"]
    raised = [end for end in ends if end.kind == "error" and end.phase != EXCHANGE]
    late = [end for end in ends if end.kind != "done"] if any(e.kind == "timed_out" for e in ends) else []
    rest = [end for end in ends if end.kind == "error"]
    for group in (died, raised, sorted(late, key=lambda end: (end.steps, end.phase)), rest):
        if group:
            return group[0]
    return ends[0]


class Agent:
    """One rank's side of a run.

    Args:
        rank, ranks, gpu: of this rank. store: where agents meet, at host and port.
        threads: that each library of the worker may use.
    """

    def __init__(
        self, rank: int, ranks: int, gpu: int | None, store: Store, at: tuple[str, int], threads: int
    ) -> None:
        self.rank, self.ranks, self.gpu = rank, ranks, gpu
        self.store, self.at, self.threads = store, at, threads
        self.attempts = 0

    def measure(self, job: Callable[[tuple[str, ...]], Job], ways: Sequence[str]) -> list[Result]:
        """The results of some ways of a case; what ends the workers is left out and the others begin anew.

        Args:
            job: makes the job of some ways, its attempt not known yet.
        """
        left, failed = tuple(ways), dict[str, Result]()
        while left:
            self.attempts += 1
            order = replace(job(left), attempt=f"{self.attempts}", host=self.at[0], port=self.at[1])
            answer, ends = self._attempt(order)
            if answer is not None:
                found = {result.way.name: result for result in answer}
                return [found.get(name) or failed[name] for name in ways]
            end = at_fault(ends)
            guilty = [name for name in left if end.way in (None, name)]
            status = {"error": "error", "timed_out": "timed_out", "stopped": "timed_out"}.get(
                end.kind, "crashed"
            )
            reason = f"rank {end.rank}: {end.reason}"
            backend, device = ("gloo", "cpu") if self.gpu is None else ("nccl", "cuda")
            for name in guilty:
                way = Ways(name, order.sharding, self.ranks, backend, device)
                failed[name] = Result(order.case, way, status, reason)
            left = tuple(name for name in left if name not in guilty)
        return [failed[name] for name in ways]

    def _attempt(self, job: Job) -> tuple[tuple[Result, ...] | None, list[End]]:
        """The results of rank 0's worker, if all ranks' workers came to their end; and how each ended."""
        fd = os.memfd_create("notes")
        os.ftruncate(fd, NOTE_BYTES)
        notes = Notes(fd)
        process = Process(MODULE, self.threads, (fd,))
        os.close(fd)
        try:
            mine, answer = self._watched(process, notes, job)
        finally:
            process.kill()
        key = f"{job.attempt}/end"
        self.store.set(f"{key}/{self.rank}", json.dumps(asdict(mine)))
        ends = [self._told(f"{key}/{rank}", End) for rank in range(self.ranks)]
        if any(end.kind != "done" for end in ends):
            return None, ends
        return answer, ends

    def _told(self, key: str, what: type[Any]) -> Any:
        return strict.build(what, strict.parse(self.store.get(key).decode()))

    def _watched(self, process: Process, notes: Notes, job: Job) -> tuple[End, tuple[Result, ...] | None]:
        """How the worker ended, and its answer; whoever ends first but done makes the others stop."""
        received, stop = b"", f"{job.attempt}/stop"
        seen, since = -1, time.monotonic()
        with contextlib.suppress(OSError):  # it is dead then, as its pipe will say
            process.send(job.to_line())
        for piece in process.pieces():
            received += piece
            if received.endswith(b"\n"):
                answer = strict.build(Answer, strict.parse(received.decode()))
                return self._end("done", "", notes), answer.results
            if piece:
                continue
            noted = notes.read()
            if noted.steps != seen:
                seen, since = noted.steps, time.monotonic()
            limit = job.timeout_s if noted.way else max(job.timeout_s, SETUP_S)
            if time.monotonic() - since > limit:
                self.store.set(stop, "")
                return self._end("timed_out", f"took longer than {limit:g} s", notes), None
            if self.store.check([stop]):
                return self._end("stopped", "waited for the others", notes), None
        self.store.set(stop, "")
        code = process.exit_code()
        process.kill()
        said = process.last_line().removeprefix(f"[rank{self.rank}]: ")
        kind = "error" if code == 1 else "crashed"  # Python's own end after an exception
        return self._end(kind, said if code == 1 else ended(code), notes), None

    def _end(self, kind: str, reason: str, notes: Notes) -> End:
        at: Noted = notes.read()
        where = f"{reason}, in: {at.step}" if reason else ""
        return End(self.rank, kind, where, at.steps, at.phase, at.way, at.step)
