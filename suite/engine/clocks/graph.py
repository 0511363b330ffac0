"""CUDA graphs of lookups: captured one after another, replayed together."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from backends import Array, Lookup

MODE = "thread_local"
"""What the libraries' other threads do meanwhile is not refused."""


@dataclass(slots=True)
class Graph:
    """Lookups that a call of ``replay`` does once each, in order.

    Attributes:
        results: what they return, kept so that no two of them write to the same memory.
    """

    replay: Callable[[], None]
    lookups: int
    results: Sequence[Array]


Check = Callable[[Graph, int], str | None]
"""Replays a graph; what is wrong with the result of its last lookup, which is of that slot, or null."""


@dataclass(slots=True)
class Graphs:
    """Captures a backend's lookups, as far as they can be.

    All graphs share a pool of torch's memory, for which the last one has to live until the next is there.

    Attributes:
        cuda: ``torch.cuda``, or what stands in for it.
        prepare: the lookup of a slot, on the stream that is torch's current one.
        slots: how many slots there are.
        check: asked once of each length of a graph: work on another stream would leave it empty.
        missing: why there are no graphs; null while nothing is known against them.
        ready: the lookups prepared so far, by slot. refused: graphs whose capture failed.
    """

    cuda: Any
    prepare: Callable[[int], Lookup]
    slots: int
    check: Check | None = None
    missing: str | None = None
    ready: list[Lookup] = field(default_factory=list)
    refused: list[Any] = field(default_factory=list)
    checked: set[int] = field(default_factory=set)
    stream: Any = None
    pool: Any = None
    last: Any = None

    def capture(self, count: int) -> Graph | None:
        """A graph of so many lookups, of the slots in order; null where it is refused, which is noted."""
        if self.missing is not None:
            return None
        try:
            if self.stream is None:
                self.stream, self.pool = self.cuda.Stream(), self.cuda.graph_pool_handle()
            self.cuda.synchronize()
            with self.cuda.stream(self.stream):
                graph = self._captured(count)
        except Exception as error:
            self.missing = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
            self.cuda.synchronize()
            return None
        if self.check is not None and count not in self.checked:
            self.missing = self.check(graph, (count - 1) % self.slots)
            self.checked.add(count)
        return graph if self.missing is None else None

    def _captured(self, count: int) -> Graph:
        while len(self.ready) < min(count, self.slots):
            lookup = self.prepare(len(self.ready))
            lookup()  # whatever the first call on this stream loads or makes can't be captured
            self.ready.append(lookup)
        self.cuda.synchronize()
        graph = self.cuda.CUDAGraph()
        graph.capture_begin(pool=self.pool, capture_error_mode=MODE)
        try:
            results = [self.ready[number % self.slots]() for number in range(count)]
        except BaseException:
            with contextlib.suppress(RuntimeError):  # the capture was lost with the call
                graph.capture_end()
            self._give_back(graph)
            raise
        try:
            graph.capture_end()
        except RuntimeError:
            self._give_back(graph)
            raise
        self.last = graph
        return Graph(graph.replay, count, results)

    def _give_back(self, graph: Any) -> None:
        """Take torch's allocator out of a capture that failed, which it does not do by itself.

        The graph is kept, since the allocator may ask it for as long as it believes in the capture.
        """
        self.refused.append(graph)
        memory = self.cuda.memory
        for name in ("_cuda_endAllocateToPool", "_cuda_endAllocateCurrentStreamToPool"):  # by torch's version
            if hasattr(memory, name):
                getattr(memory, name)(self.cuda.current_device(), self.pool)
                return
