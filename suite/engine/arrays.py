"""The only owner of arrays: memory and views of it, on the host or on one GPU."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from suite.cases import formula
from suite.cases.case import Case
from suite.cases.dtypes import BITS, DTYPE_BYTES
from suite.engine.placement import pages, table_file
from suite.engine.placement.host_for_gpu import HostForGpu
from suite.machine.procfs import ROOT, mapped_bytes
from suite.records.device import CPU, Device

Array = Any
Host = npt.NDArray[Any]


class Arrays(Protocol):
    """Where arrays live: NumPy's on the host, torch's on a GPU."""

    device: Device

    def bytes(self, size: int) -> Array:
        """Zeroed memory, uint8 (size,), aligned to 64 bytes or more."""

    def table_bytes(self, size: int, placement: str) -> Array:
        """As ``bytes``, for a table, in memory of a placement that this device has."""

    def empty(self, shape: tuple[int, ...]) -> Array:
        """Uninitialised int32 array, for the formula."""

    def view(self, memory: Array, dtype: str) -> Array:
        """A uint8 or integer array seen as another integer type."""

    def values(self, bits: Array, dtype: str) -> Array:
        """Bits of a table or an output as a torch tensor of ``dtype``; ids as a torch tensor."""

    def put(self, target: Array, source: Host) -> None:
        """Copy from the host."""

    def fill_table(self, table: Array, dtype: str) -> None:
        """Write the formula's rows into a table of bits, then let nothing write to it."""

    def fill_rows(self, table: Array, rows: Callable[[Host], Host], writable: bool = False) -> None:
        """Write what ``rows`` says of row numbers into a table; then nothing may, unless it is writable."""

    def invert_row(self, table: Array, row: int) -> None:
        """Invert every bit of one row; twice is nothing."""

    def put_rows(
        self, table: Array, numbers: Sequence[int] | Host, bits: Host, writable: bool = False
    ) -> None:
        """Write these rows of a table, of which ``fill_rows`` was told whether it is writable."""

    def on_host(self, array: Array) -> Host:
        """As a NumPy array: the same memory where it is the host's."""

    def beside(self, array: Host) -> Array:
        """A NumPy array as one of this device: the same memory where it is the host's."""

    def snapshot(
        self, result: Array, case: Case, rows: Host | None = None, shape: tuple[int, int] | None = None
    ) -> Array:
        """The bits of a result as they are when this is called, (batch, dim) or some of its rows, copied.

        Args:
            shape: the one it is to be of; null for that which its operation says.

        Raises:
            TypeError: if it is no array of that shape and width on this device; the message says what it is.
        """

    def span(self, array: Array) -> tuple[int, int]:
        """First and last address of an array's memory; (0, 0) if unknown."""

    def huge_pages(self, array: Array) -> float | None:
        """The share of an array's bytes that lie on huge pages; None if unknown."""

    def synchronize(self) -> None:
        """Wait for everything enqueued."""

    def lost(self) -> str | None:
        """Why the device does nothing more in this process, as after a kernel's illegal access; else None."""

    def trim(self) -> None:
        """Give back the memory that is held for later and holds no array."""

    def watch_unused(self) -> Callable[[], int]:
        """Follow the memory in use from now on; the call tells what was put by even at its peak."""


class HostArrays:
    """NumPy arrays in mappings of their own, on huge pages where the kernel gives them.

    Args:
        protected: whether the processor faults on a write to the table, so that it ends the process.
    """

    device = CPU

    def __init__(self, protected: bool = True) -> None:
        self.protected = protected

    def bytes(self, size: int) -> Array:
        return pages.mapped(size)

    def table_bytes(self, size: int, placement: str) -> Array:
        return pages.mapped(size, huge=placement != "small-pages")

    def empty(self, shape: tuple[int, ...]) -> Array:
        return np.empty(shape, np.int32)

    def view(self, memory: Array, dtype: str) -> Array:
        return memory.view(dtype)

    def values(self, bits: Array, dtype: str) -> Array:
        import torch

        return torch.from_numpy(bits).view(getattr(torch, dtype))

    def put(self, target: Array, source: Host) -> None:
        target[...] = source

    def fill_table(self, table: Array, dtype: str) -> None:
        def part(rows: slice) -> None:
            numbers = np.arange(rows.start, rows.stop)
            for where, bits in formula.expected(numbers, table.shape[1], dtype, self.empty):
                table[rows][where] = bits

        formula.parallel(part, len(table))
        self._protect(table, writable=False)

    def fill_rows(self, table: Array, rows: Callable[[Host], Host], writable: bool = False) -> None:
        def part(some: slice) -> None:
            for numbers in _chunks(some, table.shape[1]):
                table[numbers[0] : numbers[-1] + 1] = rows(numbers)

        formula.parallel(part, len(table))
        if not writable:
            self._protect(table, writable=False)

    def invert_row(self, table: Array, row: int) -> None:
        with table_file.noting(table, row):
            self._protect(table, writable=True, only=table[row])
            np.invert(table[row], out=table[row])
            self._protect(table, writable=False, only=table[row])

    def put_rows(
        self, table: Array, numbers: Sequence[int] | Host, bits: Host, writable: bool = False
    ) -> None:
        if writable:
            table[numbers] = bits
            return
        for row, one in zip(numbers, bits, strict=True):
            self._protect(table, writable=True, only=table[row])
            table[row] = one
            self._protect(table, writable=False, only=table[row])

    def on_host(self, array: Array) -> Host:
        host: Host = array
        return host

    def beside(self, array: Host) -> Array:
        return array

    def _protect(self, table: Host, writable: bool, only: Host | None = None) -> None:
        if self.protected:
            pages.protect(table, writable, only)

    def snapshot(
        self, result: Array, case: Case, rows: Host | None = None, shape: tuple[int, int] | None = None
    ) -> Array:
        if type(result) is not np.ndarray:
            result = _torch_bits(result, case, shape).numpy()
        bits = np.ascontiguousarray(result)
        _require(bits.shape, bits.itemsize, f"NumPy {bits.dtype}", case, shape)
        bits = bits.view(BITS[bits.itemsize])
        return bits.copy() if rows is None else bits[rows]

    def span(self, array: Array) -> tuple[int, int]:
        if isinstance(array, np.ndarray):
            return array.ctypes.data, array.ctypes.data + array.nbytes
        return _torch_span(array)

    def huge_pages(self, array: Array) -> float | None:
        first, end = self.span(array)
        if first == end:
            return None
        try:
            huge = mapped_bytes(ROOT, (first, end), "AnonHugePages")
        except OSError:
            return None
        return round(min(1.0, huge / (end - first)), 4)

    def synchronize(self) -> None:
        """Nothing is enqueued on the host."""

    def lost(self) -> str | None:
        return None

    def trim(self) -> None:
        """Nothing is held for later on the host."""

    def watch_unused(self) -> Callable[[], int]:
        return lambda: 0


class CudaArrays:
    """Torch tensors on one GPU."""

    def __init__(self, device: Device) -> None:
        import torch

        self.torch = torch
        self.device = device
        self.place = torch.device(str(device))
        torch.cuda.set_device(self.place)

    def bytes(self, size: int) -> Array:
        return self.torch.zeros(size, dtype=self.torch.uint8, device=self.place)

    def table_bytes(self, size: int, placement: str) -> Array:
        if placement == "memory":
            return self.bytes(size)
        return self.torch.as_tensor(HostForGpu(size, placement), device=self.place)

    def empty(self, shape: tuple[int, ...]) -> Array:
        return self.torch.empty(shape, dtype=self.torch.int32, device=self.place)

    def view(self, memory: Array, dtype: str) -> Array:
        return memory.view(getattr(self.torch, dtype))

    def values(self, bits: Array, dtype: str) -> Array:
        return bits.view(getattr(self.torch, dtype))

    def put(self, target: Array, source: Host) -> None:
        target.copy_(self.torch.from_numpy(np.ascontiguousarray(source)))

    def fill_table(self, table: Array, dtype: str) -> None:
        numbers = self.torch.arange(len(table), device=self.place)
        for where, bits in formula.expected(numbers, table.shape[1], dtype, self.empty, formula.CUDA_CHUNK):
            table[where] = bits

    def fill_rows(self, table: Array, rows: Callable[[Host], Host], writable: bool = False) -> None:
        for numbers in _chunks(slice(0, len(table)), table.shape[1]):
            table[numbers[0] : numbers[-1] + 1] = self.beside(rows(numbers))

    def invert_row(self, table: Array, row: int) -> None:
        table[row] = ~table[row]

    def put_rows(
        self, table: Array, numbers: Sequence[int] | Host, bits: Host, writable: bool = False
    ) -> None:
        table[self.beside(np.asarray(numbers, np.int64))] = self.beside(bits)

    def on_host(self, array: Array) -> Host:
        host: Host = array.cpu().numpy()
        return host

    def beside(self, array: Host) -> Array:
        there = self.view(self.bytes(array.nbytes), str(array.dtype)).reshape(array.shape)
        self.put(there, array)
        return there

    def snapshot(
        self, result: Array, case: Case, rows: Host | None = None, shape: tuple[int, int] | None = None
    ) -> Array:
        bits = _torch_bits(result, case, shape)
        if bits.device != self.place:
            raise TypeError(f"returned an array on {bits.device}, not on {self.device}")
        return bits.clone() if rows is None else bits[rows]

    def span(self, array: Array) -> tuple[int, int]:
        return _torch_span(array)

    def huge_pages(self, array: Array) -> float | None:
        return None

    def synchronize(self) -> None:
        self.torch.cuda.synchronize()

    def lost(self) -> str | None:
        # Of errors that a context does not survive, every later call returns the first.
        try:
            self.torch.cuda.synchronize()
        except RuntimeError as error:
            return str(error)
        return None

    def trim(self) -> None:
        self.torch.cuda.empty_cache()

    def watch_unused(self) -> Callable[[], int]:
        cuda = self.torch.cuda
        cuda.reset_peak_memory_stats()
        return lambda: cuda.memory_reserved() - cuda.max_memory_allocated()


def arrays_on(device: Device, protected: bool = True) -> Arrays:
    """The arrays of a device.

    Args:
        protected: as in ``HostArrays``.
    """
    return CudaArrays(device) if device.is_gpu else HostArrays(protected)


def _torch_bits(result: Array, case: Case, shape: tuple[int, int] | None = None) -> Array:
    try:
        import torch
        import torch.utils.dlpack
    except Exception:
        raise TypeError(f"returned {type(result).__name__}, not a NumPy array") from None
    if type(result) is not torch.Tensor:
        if not hasattr(result, "__dlpack__"):
            raise TypeError(f"returned {type(result).__name__}, not an array")
        result = torch.utils.dlpack.from_dlpack(result)
    _require(tuple(result.shape), result.itemsize, str(result.dtype), case, shape)
    return result.detach().contiguous().view(getattr(torch, BITS[result.itemsize]))


def _torch_span(array: Array) -> tuple[int, int]:
    if not hasattr(array, "data_ptr"):
        return 0, 0
    start = array.data_ptr()
    return start, start + array.numel() * array.element_size()


def _require(
    shape: tuple[int, ...], itemsize: int, dtype: str, case: Case, asked: tuple[int, int] | None
) -> None:
    right = asked or case.kind.result(case)
    if shape != right or itemsize != DTYPE_BYTES[case.dtype]:
        raise TypeError(f"returned {dtype} of shape {shape}, not {case.dtype} of {right}")


def _chunks(some: slice, columns: int) -> Iterator[Host]:
    """Row numbers from one to another, so many at once as are worth a call."""
    step = max(1, formula.HOST_CHUNK // columns)
    for start in range(some.start, some.stop, step):
        yield np.arange(start, min(start + step, some.stop))
