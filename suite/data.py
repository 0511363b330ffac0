"""The only owner of arrays: tables, ids and outputs of a case, on the host or on one GPU."""

from __future__ import annotations

import ctypes
import mmap
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from suite import formula
from suite.case import DTYPE_BYTES, Case

Array = Any
Host = npt.NDArray[Any]

BITS = {1: "int8", 2: "int16", 4: "int32"}
"""The signed integer of each element width."""
GUARD_BYTES = 4096
"""Bytes before and after every output that no lookup may write to."""
GUARD_BYTE = 0x5A
_ALIGN = 64


class Arrays(Protocol):
    """Where arrays live: NumPy's on the host, torch's on a GPU."""

    device: str

    def bytes(self, size: int) -> Array:
        """Zeroed memory, uint8 (size,), aligned to 64 bytes or more."""

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

    def invert_row(self, table: Array, row: int) -> None:
        """Turn every bit of one row over; twice is nothing."""

    def snapshot(self, result: Array, case: Case, rows: Host | None = None) -> Array:
        """The bits of a result as they are when this is called, (batch, dim) or some of its rows, copied.

        Raises:
            TypeError: if it is no array of that shape and width on this device; the message says what it is.
        """

    def span(self, array: Array) -> tuple[int, int]:
        """First and last address of an array's memory; (0, 0) if it does not tell."""

    def synchronize(self) -> None:
        """Wait for everything enqueued."""


class HostArrays:
    """NumPy arrays in mappings of their own, on huge pages where the kernel gives them."""

    device = "cpu"

    def bytes(self, size: int) -> Array:
        mapping = mmap.mmap(-1, max(size, 1))
        if hasattr(mmap, "MADV_HUGEPAGE") and size >= 2**22:
            mapping.madvise(mmap.MADV_HUGEPAGE)
        return np.frombuffer(mapping, np.uint8)[:size]

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
        _protect(table, writable=False)

    def invert_row(self, table: Array, row: int) -> None:
        _protect(table, writable=True)
        np.invert(table[row], out=table[row])
        _protect(table, writable=False)

    def snapshot(self, result: Array, case: Case, rows: Host | None = None) -> Array:
        if type(result) is not np.ndarray:
            result = _torch_bits(result, case).numpy()
        bits = np.ascontiguousarray(result)
        _require(bits.shape, bits.itemsize, f"NumPy {bits.dtype}", case)
        bits = bits.view(BITS[bits.itemsize])
        return bits.copy() if rows is None else bits[rows]

    def span(self, array: Array) -> tuple[int, int]:
        if isinstance(array, np.ndarray):
            return array.ctypes.data, array.ctypes.data + array.nbytes
        return _torch_span(array)

    def synchronize(self) -> None:
        """Nothing is enqueued on the host."""


class CudaArrays:
    """Torch tensors on one GPU."""

    def __init__(self, index: int) -> None:
        import torch

        self.torch = torch
        self.device = f"cuda:{index}"
        self.place = torch.device(self.device)
        torch.cuda.set_device(self.place)

    def bytes(self, size: int) -> Array:
        return self.torch.zeros(size, dtype=self.torch.uint8, device=self.place)

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

    def invert_row(self, table: Array, row: int) -> None:
        table[row] = ~table[row]

    def snapshot(self, result: Array, case: Case, rows: Host | None = None) -> Array:
        bits = _torch_bits(result, case)
        if bits.device != self.place:
            raise TypeError(f"returned an array on {bits.device}, not on {self.device}")
        return bits.clone() if rows is None else bits[rows]

    def span(self, array: Array) -> tuple[int, int]:
        return _torch_span(array)

    def synchronize(self) -> None:
        self.torch.cuda.synchronize()


def arrays_on(device: str) -> Arrays:
    """The arrays of ``cpu`` or ``cuda:N``."""
    return HostArrays() if device == "cpu" else CudaArrays(int(device.partition(":")[2]))


def build_table(arrays: Arrays, vocab: int, dim: int, dtype: str) -> Array:
    """The (vocab, dim) table of a dtype, as bits; read-only on the host."""
    memory = arrays.bytes(vocab * dim * DTYPE_BYTES[dtype])
    table = arrays.view(memory, BITS[DTYPE_BYTES[dtype]]).reshape(vocab, dim)
    arrays.fill_table(table, dtype)
    return table


@dataclass(frozen=True, slots=True)
class Slot:
    """One batch of ids and the output its rows go to, with the guards around that output."""

    batch: Host
    indices: Array
    out: Array
    guards: tuple[Array, Array]


@dataclass(frozen=True, slots=True)
class Field:
    """The operands of one case on one device, shared by all its backends."""

    case: Case
    arrays: Arrays
    table: Array
    slots: tuple[Slot, ...]

    def operands(self, slot: Slot, view: str) -> tuple[Array, Array, Array]:
        """Table, ids and output as a backend asked for them."""
        if view == "bits":
            return self.table, slot.indices, slot.out
        dtype, values = self.case.dtype, self.arrays.values
        return values(self.table, dtype), values(slot.indices, self.case.index_dtype), values(slot.out, dtype)


def lay_out(case: Case, arrays: Arrays, table: Array, batches: list[Host]) -> Field:
    """Make the slots of a case, one for each batch of ids."""
    ids_stride = -(-case.ids_bytes // _ALIGN) * _ALIGN
    stride = GUARD_BYTES + -(-(case.rows_bytes + GUARD_BYTES) // _ALIGN) * _ALIGN
    ids_memory = arrays.bytes(ids_stride * len(batches))
    memory = arrays.bytes(stride * len(batches))
    memory[...] = GUARD_BYTE
    slots = []
    for number, batch in enumerate(batches):
        ids_at = number * ids_stride
        indices = arrays.view(ids_memory[ids_at : ids_at + case.ids_bytes], case.index_dtype)
        arrays.put(indices, batch)
        start = number * stride + GUARD_BYTES
        end = start + case.rows_bytes
        out = arrays.view(memory[start:end], BITS[DTYPE_BYTES[case.dtype]]).reshape(case.batch, case.dim)
        guards = memory[start - GUARD_BYTES : start], memory[end : (number + 1) * stride]
        slots.append(Slot(batch, indices, out, guards))
    return Field(case, arrays, table, tuple(slots))


def _protect(array: Host, writable: bool) -> None:
    # The processor then faults whoever writes to the table, and the culprit is known.
    flags = mmap.PROT_READ | (mmap.PROT_WRITE if writable else 0)
    size = -(-array.nbytes // mmap.PAGESIZE) * mmap.PAGESIZE
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mprotect(ctypes.c_void_p(array.ctypes.data), ctypes.c_size_t(size), flags):
        raise OSError(ctypes.get_errno(), "mprotect failed")


def _torch_bits(result: Array, case: Case) -> Array:
    try:
        import torch
        import torch.utils.dlpack
    except ImportError:
        raise TypeError(f"returned {type(result).__name__}, not a NumPy array") from None
    if type(result) is not torch.Tensor:
        if not hasattr(result, "__dlpack__"):
            raise TypeError(f"returned {type(result).__name__}, not an array")
        result = torch.utils.dlpack.from_dlpack(result)
    _require(tuple(result.shape), result.itemsize, str(result.dtype), case)
    return result.detach().contiguous().view(getattr(torch, BITS[result.itemsize]))


def _torch_span(array: Array) -> tuple[int, int]:
    if not hasattr(array, "data_ptr"):
        return 0, 0
    start = array.data_ptr()
    return start, start + array.numel() * array.element_size()


def _require(shape: tuple[int, ...], itemsize: int, dtype: str, case: Case) -> None:
    if shape != (case.batch, case.dim) or itemsize != DTYPE_BYTES[case.dtype]:
        raise TypeError(f"returned {dtype} of shape {shape}, not {case.dtype} of {(case.batch, case.dim)}")
