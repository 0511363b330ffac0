"""A device to test clocks on: a queue that runs kernels one after another, beside the host's real time.

It stands in for ``torch.cuda``. What is enqueued gets its start and its end at once, from when the device
is free and the host's clock; nothing is faked on the host, so what a loaded machine does to a clock shows.
"""

from __future__ import annotations

import contextlib
import time
import weakref
from collections.abc import Callable, Iterator
from types import SimpleNamespace

NODE_S = 1e-6
"""What a graph takes from one of its kernels to the next."""


class FakeCuda:
    """The device.

    Args:
        cycles_per_s: how fast ``_sleep`` counts.
        depth: entries (launches, events) that wait at most; one more makes the host wait, as the driver does.

    Attributes:
        most_waiting: the most entries that ever waited together.
        log: what was done, in order, in a word each. replay_s: what the host takes to launch a graph.
        captured: what a capture has seen so far, in seconds; null while there is none.
        routed: whether the allocator still takes memory from a capture's pool.
    """

    def __init__(self, cycles_per_s: float = 1.5e9, depth: int = 1000) -> None:
        self.cycles_per_s = cycles_per_s
        self.depth = depth
        self.free_s = 0.0
        self.ends_s: list[float] = []
        self.most_waiting = 0
        self.log: list[str] = []
        self.current: object = None
        self.captured: list[float] | None = None
        self.lost = self.routed = False
        self.graphs = 0
        self.replay_s = 0.0
        self.memory = SimpleNamespace(_cuda_endAllocateToPool=self._end_allocate)
        self.alive: weakref.WeakSet[FakeGraph] = weakref.WeakSet()

    def launch(self, device_s: float, dispatch_s: float = 0.0, word: str = "kernel") -> None:
        """Enqueue a kernel that takes ``device_s``, which costs the host ``dispatch_s``."""
        busy(dispatch_s)
        self.enter(device_s, word)

    def enter(self, device_s: float, word: str) -> float:
        """Put one entry into the queue, as soon as there is room; when the device will be through with it."""
        if self.captured is not None:
            self.captured.append(device_s)
            return 0.0
        if len(self.ends_s) >= self.depth:
            self.forget_past()
        if len(self.ends_s) >= self.depth:
            wait_until(self.ends_s[-self.depth])
        self.free_s = max(self.free_s, time.perf_counter()) + device_s
        self.ends_s.append(self.free_s)
        if len(self.ends_s) > self.most_waiting:
            self.forget_past()
            self.most_waiting = max(self.most_waiting, len(self.ends_s))
        self.log.append(word)
        return self.free_s

    def forget_past(self) -> None:
        """Drop the entries that the device has come past."""
        now = time.perf_counter()
        self.ends_s = [end for end in self.ends_s if end > now]

    def kernel(self, device_s: float, dispatch_s: float = 0.0, result: object = None) -> Callable[[], object]:
        """A lookup of one kernel."""

        def lookup() -> object:
            self.launch(device_s, dispatch_s)
            return result

        return lookup

    def synchronize(self) -> None:
        """Wait until the queue is empty."""
        if self.captured is not None:
            self.lost = True
            raise RuntimeError("operation not permitted when stream is capturing")
        wait_until(self.free_s)
        self.log.append("synchronize")

    def _sleep(self, cycles: int) -> None:
        self.launch(cycles / self.cycles_per_s, word="sleep")

    def Stream(self) -> object:  # noqa: N802
        """Another stream; there is one queue all the same."""
        return object()

    @contextlib.contextmanager
    def stream(self, stream: object) -> Iterator[None]:
        """Make it the current one for a while."""
        before, self.current = self.current, stream
        yield
        self.current = before

    def CUDAGraph(self) -> FakeGraph:  # noqa: N802
        """A graph on this device."""
        return FakeGraph(self)

    def graph_pool_handle(self) -> tuple[int, int]:
        """A name of a graph's own memory."""
        return 0, 1

    def current_device(self) -> int:
        """The number of the device."""
        return 0

    def _end_allocate(self, device: int, pool: tuple[int, int]) -> None:
        assert (device, pool) == (0, (0, 1)) and self.routed
        self.routed = False

    def Event(self, enable_timing: bool = False) -> FakeEvent:  # noqa: N802
        """An event on this device."""
        assert enable_timing
        return FakeEvent(self)


class FakeGraph:
    """What was enqueued while it captured, to be done again as one entry of the queue."""

    def __init__(self, cuda: FakeCuda) -> None:
        self.cuda = cuda
        self.first = not cuda.graphs
        cuda.graphs += 1
        self.kernels: list[float] = []

    def capture_begin(self, pool: tuple[int, int], capture_error_mode: str) -> None:
        """From now on nothing is done on the device."""
        assert self.cuda.current is not None, "the default stream can't be captured"
        assert capture_error_mode == "thread_local" and pool == (0, 1)
        assert self.first or self.cuda.alive, "torch gives up a pool that no graph lives in"
        self.cuda.alive.add(self)
        self.cuda.captured, self.cuda.routed, self.cuda.lost = [], True, False

    def capture_end(self) -> None:
        """Keep what was enqueued. A capture that was lost leaves the allocator as it is, as torch does."""
        assert self.cuda.captured is not None
        self.kernels, self.cuda.captured = self.cuda.captured, None
        if self.cuda.lost:
            raise RuntimeError("operation failed due to a previous error during capture")
        self.cuda.routed = False

    def replay(self) -> None:
        """Do it."""
        self.cuda.launch(sum(self.kernels) + NODE_S * len(self.kernels), self.cuda.replay_s, "graph")


class FakeEvent:
    """When the device came to it."""

    def __init__(self, cuda: FakeCuda) -> None:
        self.cuda = cuda
        self.at_s: float | None = None

    def record(self) -> None:
        """Enqueue it."""
        self.at_s = self.cuda.enter(0.0, "record")

    def query(self) -> bool:
        """Whether the device has come past it."""
        assert self.at_s is not None, "asked before it was recorded"
        return time.perf_counter() >= self.at_s

    def elapsed_time(self, later: FakeEvent) -> float:
        """Milliseconds of device time between two that are past."""
        assert self.at_s is not None and later.at_s is not None, "asked before it was recorded"
        assert self.query() and later.query(), "asked before the device came to it"
        return (later.at_s - self.at_s) * 1e3


def busy(seconds: float) -> None:
    """Keep the host at work."""
    wait_until(time.perf_counter() + seconds)


def wait_until(moment_s: float) -> None:
    """Return at a moment of the host's clock."""
    while (left := moment_s - time.perf_counter()) > 0:
        time.sleep(max(0.0, left - 0.002))
