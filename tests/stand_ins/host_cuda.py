"""A GPU's arrays on the host: its tensors lie in host memory, its events read the host's clock."""

from __future__ import annotations

import contextlib
import ctypes
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from suite.engine.arrays import CudaArrays
from suite.engine.placement import host_for_gpu
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


class Driver:
    """The calls of the CUDA driver for memory of the host, by which it is memory like any other.

    Args:
        refuses: the code that an allocation comes to; 0 of one that is made.
    """

    def __init__(self, refuses: int = 0) -> None:
        self.refuses = refuses
        self.held: dict[int, tuple[str, Any]] = {}
        self.cuMemFreeHost = self.cuMemFree_v2 = lambda memory: self.held.pop(memory.value) and 0

    def cuMemHostAlloc(self, memory: Any, size: Any, flags: Any) -> int:  # noqa: N802 - as CUDA calls it
        assert flags.value == 3, "portable, and with an address on the device"
        return self._allocated("pinned", memory, size)

    def cuMemAllocManaged(self, memory: Any, size: Any, flags: Any) -> int:  # noqa: N802
        assert flags.value == 1, "for every stream"
        return self._allocated("managed", memory, size)

    def cuMemHostGetDevicePointer_v2(self, address: Any, memory: Any, flags: Any) -> int:  # noqa: N802
        assert flags.value == 0 and memory.value in self.held
        address._obj.value = memory.value
        return 0

    def _allocated(self, kind: str, memory: Any, size: Any) -> int:
        if not self.refuses:
            block = np.full(size.value + 64, 0xAB, np.uint8)
            memory._obj.value = block.ctypes.data + -block.ctypes.data % 64
            self.held[memory._obj.value] = kind, block
        return self.refuses


def give_driver(monkeypatch: pytest.MonkeyPatch, driver: Driver) -> None:
    """Let memory of the host for a GPU come from this driver, and be a tensor of this host's."""
    monkeypatch.setattr(host_for_gpu, "_driver", lambda: driver)
    real = torch.as_tensor

    def as_tensor(memory: Any, **more: Any) -> torch.Tensor:
        if not isinstance(memory, host_for_gpu.HostForGpu):
            return real(memory, **more)
        facts = memory.__cuda_array_interface__
        (size,), (address, read_only) = facts["shape"], facts["data"]
        assert facts["typestr"] == "|u1" and facts["version"] == 3 and not read_only
        block = (ctypes.c_uint8 * size).from_address(address)
        block.owner = memory  # as torch holds it
        return torch.frombuffer(block, dtype=torch.uint8)

    monkeypatch.setattr(torch, "as_tensor", as_tensor)


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
