"""On PYTHONPATH, gives a process one GPU: its tensors lie on the host, its events read the host's clock.

What it is to NVML is for the stand-in of that library to say. NVML_STUB_BLOCK hides pynvml. NVML_STUB_ACTS,
as in ``cupy_bulk=hangs,triton_gather=gathers``, gives backends a lookup of that kind in place of their own.
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


class Poisoned(RuntimeError):
    """What every call raises once a kernel has touched memory that is not its own."""

    def __init__(self, *_: object) -> None:
        super().__init__("CUDA error: an illegal memory access was encountered")


def gathers(table: Any, ids: Any, out: Any) -> Any:
    import torch

    def lookup() -> Any:
        return torch.index_select(table, 0, ids, out=out)

    return lookup


def hangs(table: Any, ids: Any, out: Any) -> Any:
    return lambda: time.sleep(10_000)


def faults(table: Any, ids: Any, out: Any) -> Any:
    import torch

    def poison(*_: object) -> None:
        raise Poisoned

    def lookup() -> Any:
        torch.cuda.synchronize = torch.cuda._sleep = poison
        raise Poisoned

    return lookup


def dies(table: Any, ids: Any, out: Any) -> Any:
    return lambda: os.kill(os.getpid(), 11)


def act(name: str) -> Callable[[Any], None]:
    """Give the backend of a module, once that is imported, another lookup."""
    prepare = {"gathers": gathers, "hangs": hangs, "faults": faults, "dies": dies}[name]

    def change(module: Any) -> None:
        for one in vars(module).values():
            if isinstance(one, type) and one.__module__ == module.__name__ and hasattr(one, "devices"):
                one.prepare = lambda self, table, ids, out: prepare(table, ids, out)  # type: ignore[attr-defined]

    return change


def take_work_for_granted(sustained: Any) -> None:
    """A busy host makes its device wait."""
    sustained.LEAST_BUSY = 0.0


AFTER: dict[str, Callable[[Any], None]] = {
    "torch": give_gpu,
    "suite.engine.arrays": put_on_host,
    "suite.telemetry.sustained": take_work_for_granted,
}


for word in filter(None, os.environ.get("NVML_STUB_ACTS", "").split(",")):
    backend, _, kind = word.partition("=")
    AFTER[f"backends.{backend}"] = act(kind)


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
