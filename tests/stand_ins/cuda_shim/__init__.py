"""Compiles CUDA C++ with g++ and stands in for CuPy, so a backend's own ``prepare`` runs without a GPU."""

from __future__ import annotations

import ctypes
import itertools
import re
import shutil
import subprocess
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

HEADER = Path(__file__).with_name("cuda_on_cpu.h")
COMPILER = shutil.which("g++") or shutil.which("clang++")
OPTIONS = ("-std=c++17", "-O1", "-Wall", "-Werror", "-Wno-unknown-pragmas", "-shared", "-fPIC")
LEGACY_STREAM = "the legacy default stream"


class _Range(ctypes.Structure):
    _fields_ = (("start", ctypes.c_size_t), ("stop", ctypes.c_size_t))


class Watch(ctypes.Structure):
    """What the kernel may touch, and what it did; the C++ side has the same layout."""

    _fields_ = (
        ("table", _Range),
        ("ids", _Range),
        ("out", _Range),
        ("offsets", _Range),
        ("weights", _Range),
        ("misaligned", ctypes.c_longlong),
        ("outside", ctypes.c_longlong),
        ("stored_bytes", ctypes.c_longlong),
        ("beside", _Range),
    )


def bulk_instances(indices: Iterable[str]) -> list[str]:
    """The same of bulk copies: index, and how many rows a slot holds."""
    return [f"gather_bulk<{index}, {tokens}>" for index in indices for tokens in (1, 2, 4, 8)]


def instances(vectors: Iterable[str], indices: Iterable[str]) -> list[str]:
    """Every kernel a geometry can ask for: vector, index, and how many tokens and columns a thread moves."""
    shapes = [(t, c) for t, c in itertools.product((1, 2, 4, 8), repeat=2) if t * c <= 8]
    return [f"gather_rows<{v}, {i}, {t}, {c}>" for v in vectors for i in indices for t, c in shapes]


class Library:
    """A kernel source as host code; ``launch(name)`` is what CuPy's RawKernel would hold."""

    def __init__(self, source: str, names: Sequence[str], folder: Path) -> None:
        assert COMPILER
        entries = (
            f'extern "C" void {_symbol(n)}(const unsigned* shape, const long long* arguments) '
            f"{{ run({n}, shape, arguments); }}\n"
            for n in names
        )
        code, library = folder / "kernel.cpp", folder / "kernel.so"
        code.write_text(f"{source.join(HEADER.read_text().split('// KERNELS'))}\n{''.join(entries)}")
        subprocess.run([COMPILER, *OPTIONS, str(code), "-o", str(library)], check=True)
        self._library = ctypes.CDLL(str(library))
        self._library.watched.restype = ctypes.POINTER(Watch)
        self.watch: Watch = self._library.watched().contents

    def launch(self, name: str) -> Callable[..., None]:
        entry = self._library[_symbol(name)]

        def kernel(
            grid: tuple[int, int], block: tuple[int, ...], places: tuple[int, ...], shared: int, stream: str
        ) -> None:
            assert stream == LEGACY_STREAM
            assert shared <= 48 << 10, "more than a block has unless it asks for it"
            arguments = [ctypes.c_longlong.from_address(at).value for at in places]
            shape = (*grid, *(*block, 1)[:2], shared)
            entry((ctypes.c_uint * 5)(*shape), (ctypes.c_longlong * len(arguments))(*arguments))

        return kernel


class Function:
    """As CuPy's: called with the arguments themselves, or by its ``kernel`` with the places of them."""

    def __init__(self, kernel: Callable[..., None]) -> None:
        self.kernel = kernel

    def __call__(self, grid: tuple[int, ...], block: tuple[int, ...], arguments: Sequence[int]) -> None:
        values = (ctypes.c_longlong * len(arguments))(*arguments)
        at = ctypes.addressof(values)
        places = tuple(at + 8 * k for k in range(len(arguments)))
        self.kernel((*grid, 1)[:2], block, places, 0, LEGACY_STREAM)


def cupy(library: Library, processors: int, capability: int = 9) -> Any:
    """As much of CuPy as a backend uses, launching on the host what is in the library."""

    def raw_module(code: str, options: tuple[str, ...], name_expressions: tuple[str, ...]) -> Any:
        assert "__global__" in code
        assert options
        kernels = {name: Function(library.launch(name)) for name in name_expressions}
        return SimpleNamespace(get_function=kernels.__getitem__)

    attributes = {"MultiProcessorCount": processors, "ComputeCapabilityMajor": capability}
    device = SimpleNamespace(use=lambda: None, attributes=attributes)
    stream = SimpleNamespace(null=LEGACY_STREAM)
    function = SimpleNamespace(CPointer=int)
    cuda = SimpleNamespace(Device=lambda _: device, Stream=stream, function=function)
    return SimpleNamespace(RawModule=raw_module, cuda=cuda)


def _symbol(name: str) -> str:
    return re.sub(r"\W+", "_", name)
