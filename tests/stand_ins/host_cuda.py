"""A GPU's arrays on the host: its tensors lie in host memory, its events read the host's clock."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
import torch

from suite.engine.arrays import CudaArrays
from suite.records.device import Device


class Event:
    """Reads the host's clock where a real one reads the device's."""

    def __init__(self, enable_timing: bool) -> None:
        assert enable_timing
        self.at_s = 0.0

    def record(self) -> None:
        self.at_s = time.perf_counter()

    def query(self) -> bool:
        return False

    def elapsed_time(self, later: Event) -> float:
        return (later.at_s - self.at_s) * 1e3


class Graph:
    """Does what it captured at once, and takes as long again at each replay."""

    def __init__(self) -> None:
        self.took_s = 0.0

    def capture_begin(self, pool: object, capture_error_mode: str) -> None:
        self.took_s = -time.perf_counter()

    def capture_end(self) -> None:
        self.took_s += time.perf_counter()

    def replay(self) -> None:
        end_s = time.perf_counter() + self.took_s
        while time.perf_counter() < end_s:
            pass


@contextlib.contextmanager
def _stream(stream: object) -> Iterator[None]:
    yield


def graphs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Graphs for those arrays, and streams to capture them on."""
    monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)
    monkeypatch.setattr(torch.cuda, "Stream", SimpleNamespace)
    monkeypatch.setattr(torch.cuda, "stream", _stream)
    monkeypatch.setattr(torch.cuda, "graph_pool_handle", lambda: (0, 1))


def arrays(monkeypatch: pytest.MonkeyPatch) -> CudaArrays:
    """The arrays of GPU 0, with torch.cuda's events and waits replaced while the test runs."""
    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(torch.cuda, "_sleep", lambda cycles: time.sleep(1e-4), raising=False)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
    monkeypatch.setattr(torch.cuda, "set_device", lambda place: None)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda: None)
    for name in ("memory_reserved", "max_memory_allocated"):
        monkeypatch.setattr(torch.cuda, name, lambda: 0)
    made = CudaArrays(Device("cuda", 0))
    made.place = torch.device("cpu")
    return made
