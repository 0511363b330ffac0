"""A GPU's arrays on the host: its tensors lie in host memory, its events read the host's clock."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

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


class Recorder(TorchDispatchMode):
    """Notes what torch does, and does it again."""

    def __init__(self) -> None:
        super().__init__()
        self.done: list[tuple[Any, Any, Any, Any]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        self.done.append((func, args, kwargs or {}, result))
        return result

    def again(self) -> None:
        for func, args, kwargs, result in self.done:
            anew = func(*args, **kwargs)
            if anew.data_ptr() != result.data_ptr():
                result.copy_(anew)


class Graph:
    """Does what it captures at once, and again at each replay, to the same memory."""

    def __init__(self) -> None:
        self.recorder = Recorder()

    def capture_begin(self, pool: object, capture_error_mode: str) -> None:
        self.recorder.__enter__()

    def capture_end(self) -> None:
        self.recorder.__exit__(None, None, None)

    def replay(self) -> None:
        self.recorder.again()


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
