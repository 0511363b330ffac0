"""On PYTHONPATH, gives a process one GPU: its tensors lie on the host, its events read the host's clock.

What it is to NVML is for the stand-in of that library to say. NVML_STUB_BLOCK hides pynvml.
"""

import importlib.abc
import importlib.machinery
import importlib.util
import os
import sys
import time
from collections.abc import Callable, Sequence
from types import ModuleType, SimpleNamespace
from typing import Any

UUID = "a0000000-0000-4000-8000-000000000000"
GIB = 2**30


class Event:
    """Reads the host's clock where a real one reads the device's."""

    def __init__(self, enable_timing: bool) -> None:
        assert enable_timing
        self.at_s = 0.0

    def record(self) -> None:
        self.at_s = time.perf_counter()

    def query(self) -> bool:
        return False

    def elapsed_time(self, later: "Event") -> float:
        return (later.at_s - self.at_s) * 1e3


def give_gpu(torch: Any) -> None:
    sizes = {"L2_cache_size": 2**20, "total_memory": 80 * GIB, "multi_processor_count": 132}
    facts = SimpleNamespace(name="Stand-in", uuid=UUID, **sizes)
    cuda = torch.cuda
    cuda.Event = Event
    cuda.is_available = lambda: True
    cuda.device_count = lambda: 1
    cuda.get_device_properties = lambda device: facts
    cuda.mem_get_info = lambda device: (GIB, 80 * GIB)
    cuda.set_device = cuda.synchronize = cuda.empty_cache = cuda.reset_peak_memory_stats = lambda *_: None
    cuda.memory_reserved = cuda.max_memory_allocated = lambda *_: 0
    cuda._sleep = lambda cycles: time.sleep(1e-4)


def put_on_host(arrays: Any) -> None:
    import torch

    made = arrays.CudaArrays.__init__

    def make(self: Any, index: int) -> None:
        made(self, index)
        self.place = torch.device("cpu")

    arrays.CudaArrays.__init__ = make


def take_work_for_granted(sustained: Any) -> None:
    """A busy host makes its device wait."""
    sustained.LEAST_BUSY = 0.0


AFTER: dict[str, Callable[[Any], None]] = {
    "torch": give_gpu,
    "suite.engine.arrays": put_on_host,
    "suite.telemetry.sustained": take_work_for_granted,
}


class After(importlib.abc.MetaPathFinder):
    """Finds what it must change, and changes it once it is imported."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        change = AFTER.pop(name, None)
        spec = importlib.util.find_spec(name) if change else None
        if spec is None or spec.loader is None or change is None:
            return None
        execute = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            execute(module)
            change(module)

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


sys.meta_path.insert(0, After())
if os.environ.get("NVML_STUB_BLOCK"):
    sys.modules["pynvml"] = None  # type: ignore[assignment]  # importing it now raises ImportError
