"""A device to test clocks on: a queue that runs kernels one after another, beside the host's real time.

It stands in for ``torch.cuda``. What is enqueued gets its start and its end at once, from when the device
is free and the host's clock; nothing is faked on the host, so what a loaded machine does to a clock shows.
"""

from __future__ import annotations

import time
from collections.abc import Callable


class FakeCuda:
    """The device.

    Args:
        cycles_per_s: how fast ``_sleep`` counts.
        depth: entries (launches, events) that wait at most; one more makes the host wait, as the driver does.

    Attributes:
        most_waiting: the most entries that ever waited together.
    """

    def __init__(self, cycles_per_s: float = 1.5e9, depth: int = 1000) -> None:
        self.cycles_per_s = cycles_per_s
        self.depth = depth
        self.free_s = 0.0
        self.ends_s: list[float] = []
        self.most_waiting = 0
        self.log: list[str] = []

    def launch(self, device_s: float, dispatch_s: float = 0.0, word: str = "kernel") -> None:
        """Enqueue a kernel that takes ``device_s``, which costs the host ``dispatch_s``."""
        busy(dispatch_s)
        self.enter(device_s, word)

    def enter(self, device_s: float, word: str) -> float:
        """Put one entry into the queue, as soon as there is room; when the device will be through with it."""
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
        wait_until(self.free_s)
        self.log.append("synchronize")

    def _sleep(self, cycles: int) -> None:
        self.launch(cycles / self.cycles_per_s, word="sleep")

    def Event(self, enable_timing: bool = False) -> FakeEvent:  # noqa: N802
        """An event on this device."""
        assert enable_timing
        return FakeEvent(self)


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
