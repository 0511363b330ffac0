"""The ways of one job on one rank: prepared, checked, timed in turns with each other, checked again.

All ranks do the same steps in the same order; what one finds wrong, all are told, and stop at the same way.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from time import perf_counter  # bound before a way could put another in its place
from typing import Any

import numpy as np
import psutil

from backends.base import BackendUnavailable, Unsupported
from backends.ranks import load
from backends.ranks.base import Call, Phase, Place, Way
from suite.cases import ids
from suite.cases.case import Case
from suite.ranks import part
from suite.ranks.job import Job, Notes
from suite.ranks.part import Difference

BATCHES = 16
"""Batches of ids that take turns, so that a lookup seldom finds the rows of the one before."""
TURN_S = 0.02
MOST_SAMPLES = 64
MIN_ROUNDS, MAX_ROUNDS = 6, 200
COUNTED_BYTES, MOST_COUNTED = 2**25, 200
"""Sent while the interfaces' counters are watched, and the most lookups that takes."""


@dataclass(slots=True)
class Contender:
    """A way on this rank, and what came of it.

    Attributes:
        status: ``ok``, ``inexact`` (right but for the sign of zeros), or how it failed, and then its reason.
        samples_s: by round, from the common start until this rank has its rows, one a lookup.
        lookup_s, exchange_s: of one lookup a round, with a wait for the device after each phase.
        sent_bytes: that the network interfaces of this host sent in a lookup.
    """

    name: str
    way: type[Way]
    call: Call | None = None
    status: str = "ok"
    reason: str | None = None
    repeat: int = 1
    samples_s: list[list[float]] = field(default_factory=list)
    lookup_s: list[float] = field(default_factory=list)
    exchange_s: list[float] = field(default_factory=list)
    sent_bytes: float | None = None

    @property
    def running(self) -> bool:
        """Whether it still takes part."""
        return self.call is not None and self.status in ("ok", "inexact")


class Contest:
    """One job on one rank."""

    def __init__(self, job: Job, place: Place, notes: Notes) -> None:
        import torch

        self.job, self.place, self.notes, self.torch = job, place, notes, torch
        self.case: Case = job.case
        self.rng = np.random.default_rng([job.seed, self.case.vocab, self.case.dim, self.case.batch])
        notes.begin(None, "build the part")
        self.part = part.build(self.case, job.sharding, place)
        drawn = ids.draw_apart(self.case, BATCHES, job.seed)
        self.batches = [batch.astype(np.int64) for batch in drawn]
        self.at = 0
        self.contenders = [Contender(name, load(name)) for name in job.ways]
        self.zeros = [
            row for row in self.of_all(part.negative_zero(self.part, job.sharding, place)) if row >= 0
        ]
        self.ids = {
            "all": self._tensor(self.batches[0]),
            "share": self._tensor(self._share(self.batches[0])),
        }

    def run(self) -> list[Contender]:
        """Measure all ways.

        Raises:
            Exception: whatever a way raises after it was prepared; the others wait for this rank then.
        """
        for one in self.contenders:
            self._prepare(one)
        for one in self._running():
            self._check(one, "check", self.job.seed)
        for one in self._running():
            self._warm_up(one)
        self._rounds()
        for one in self._running():
            self._count(one)
        for one in self._running():
            self._check(one, "check again", self.job.seed + 1)
        return self.contenders

    def _running(self) -> Iterator[Contender]:
        return (one for one in self.contenders if one.running)

    def _prepare(self, one: Contender) -> None:
        self.notes.begin(one.name, "prepare")
        if "share" in (one.way.ids, one.way.result) and self.case.batch % self.place.ranks:
            one.status, one.reason = (
                "unsupported",
                f"a batch of {self.case.batch} does not divide by the ranks",
            )
            return
        try:
            one.call = one.way().prepare(self.part, self.ids[one.way.ids], self.place)
        except Unsupported as error:
            one.status, one.reason = "unsupported", _line(error)
        except (BackendUnavailable, ImportError) as error:
            one.status, one.reason = "unavailable", _line(error)
        except Exception as error:
            one.status, one.reason = "error", _line(error)
        self._agree(one)

    def _agree(self, one: Contender) -> None:
        """The first failure of any rank is everybody's."""
        for rank, (status, reason) in enumerate(self.of_all((one.status, one.reason))):
            if status not in ("ok", "inexact"):
                one.status, one.reason = status, reason if one.status == status else f"rank {rank}: {reason}"
                return

    def of_all(self, mine: Any) -> list[Any]:
        """What each rank says, in order of rank."""
        said = [None] * self.place.ranks
        self.torch.distributed.all_gather_object(said, mine, group=self.place.group)
        return said

    def _tensor(self, batch: part.Ids) -> Any:
        return self.torch.from_numpy(batch.copy()).to(self.place.device)

    def _share(self, batch: part.Ids) -> part.Ids:
        each = self.place.ids_each
        return batch[self.place.rank * each : (self.place.rank + 1) * each]

    def _put(self, batch: part.Ids) -> None:
        self.ids["all"].copy_(self.torch.from_numpy(batch))
        self.ids["share"].copy_(self.torch.from_numpy(self._share(batch)))

    def _check(self, one: Contender, step: str, seed: int) -> None:
        """One call each with ids as drawn, with edges of the table, and with a row of it negated.

        Among the edges are the first and the last row, and of each rank one that holds -0.0.
        """
        edges = ids.draw_edges(self.case, seed).astype(np.int64)
        edges[1 : 1 + len(self.zeros)] = self.zeros[: len(edges) - 1]
        negated = int(edges[-1])
        for batch, row in ((self.batches[0], None), (edges, None), (edges, negated)):
            if one.running:
                self._probe(one, step, batch, row)

    def _probe(self, one: Contender, step: str, batch: part.Ids, negated: int | None) -> None:
        assert one.call
        self._put(batch)
        self._negate(negated)
        self._start(one, step)
        try:
            result = one.call(self.notes.phase)
            self._wait()
        finally:
            self._negate(negated)
        self._put(np.zeros_like(batch))  # rows fetched only now would be wrong
        self._judge(one, self._compared(one, result, batch, negated))

    def _negate(self, row: int | None) -> None:
        if row is not None:
            part.negate(self.part, self.job.sharding, self.place, row)
            self._wait()

    def _compared(
        self, one: Contender, result: Any, batch: part.Ids, negated: int | None = None
    ) -> Difference | None:
        right = batch if one.way.result == "all" else self._share(batch)
        return part.differing(result, right, self.case, self.job.sharding, self.place, negated)

    def _judge(self, one: Contender, mine: Difference | None) -> None:
        """What all ranks found; wrong rows are named by the ranks that hold them, if not all do."""
        found = [(rank, each) for rank, each in enumerate(self.of_all(mine)) if each]
        wrong = [(rank, each) for rank, each in found if not each.zeros]
        if wrong:
            first = wrong[0][1]
            owners = sorted({owner for _, each in wrong for owner in each.owners})
            whose = f", all of them held by {_ranks(owners)}" if 0 < len(owners) < self.place.ranks else ""
            one.status, one.reason = "wrong", f"on {_ranks([r for r, _ in wrong])}: {first.reason}{whose}"
        elif found:
            one.status, one.reason = "inexact", "returns 0.0 for -0.0: a sum with the zeros of other ranks"

    def _start(self, one: Contender, step: str) -> None:
        """The common start of a call: no rank goes on before all are here."""
        self.notes.begin(one.name, step)
        self._wait()
        self.torch.distributed.barrier(group=self.place.group)
        self._wait()

    def _wait(self) -> None:
        if self.job.gpu is not None:
            self.torch.cuda.synchronize()

    def _timed(self, one: Contender, step: str, phase: Phase) -> tuple[float, Any]:
        assert one.call
        self.at = (self.at + 1) % BATCHES
        self._put(self.batches[self.at])
        self._start(one, step)
        began = perf_counter()
        result = one.call(phase)
        self._wait()
        return perf_counter() - began, result

    def _warm_up(self, one: Contender) -> None:
        """Calls until its time is known, the same number on all ranks, as its slowest rank takes longest."""
        took = [self._timed(one, "warm up", self.notes.phase)[0] for _ in range(3)]
        slowest = max(self.of_all(min(took)))
        one.repeat = max(2, min(MOST_SAMPLES, round(TURN_S / slowest)))

    def _rounds(self) -> None:
        """Rounds of turns in shuffled order, the same on all ranks, until rank 0 says that time is up."""
        spent, order = 0.0, self.rng.spawn(1)[0]
        gc.collect()
        gc.disable()
        try:
            for number in range(1, MAX_ROUNDS + 1):
                began = perf_counter()
                for place in order.permutation(len(self.contenders)):
                    if self.contenders[place].running:
                        self._turn(self.contenders[place])
                spent += perf_counter() - began
                if self.of_all(number >= MIN_ROUNDS and spent >= self.job.limit_s)[0]:
                    return
        finally:
            gc.enable()

    def _turn(self, one: Contender) -> None:
        times, result = [], None
        for _ in range(one.repeat):
            seconds, result = self._timed(one, "time", self.notes.phase)
            times.append(seconds)
        one.samples_s.append(times)
        self._judge(one, self._compared(one, result, self.batches[self.at]))
        if one.running:
            self._apart(one)

    def _count(self, one: Contender) -> None:
        """Count what the interfaces of this host send while so many lookups follow each other."""
        assert one.call
        wire = one.way.wire_bytes(self.place, self.case.row_bytes, self.case.batch)
        calls = max(4, min(MOST_COUNTED, round(COUNTED_BYTES / max(wire, 1.0))))
        self._start(one, "count")
        before = psutil.net_io_counters().bytes_sent
        for _ in range(calls):
            one.call(self.notes.phase)
        self._start(one, "count")
        one.sent_bytes = (psutil.net_io_counters().bytes_sent - before) / calls

    def _apart(self, one: Contender) -> None:
        """One call whose phases are waited for, and timed apart."""
        begun: list[tuple[str, float]] = []

        def phase(name: str) -> None:
            self._wait()
            begun.append((name, perf_counter()))
            self.notes.phase(name)

        self._timed(one, "time its phases", phase)
        phase("lookup")  # the end of the last one
        spent = {"lookup": 0.0, "exchange": 0.0}
        for (name, began), (_, ended) in pairwise(begun):
            spent[name] += ended - began
        one.lookup_s.append(spent["lookup"])
        one.exchange_s.append(spent["exchange"])


def _ranks(numbers: list[int]) -> str:
    return f"rank{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers))}"


def _line(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:400]
