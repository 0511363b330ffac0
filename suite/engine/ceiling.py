"""The ceiling: a contiguous copy of the bytes a lookup moves, by the best plain copy there is."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from backends import Lookup, load
from suite.engine.arrays import Array
from suite.engine.operands import Operands
from suite.records.device import Device

Copy = Callable[[Array, Array], Lookup]

_IN_ORDER = "numba_cpu"
"""A gather of consecutive rows is a copy, and this one streams past the caches from every processor."""
_PAGE, _LINE = 4096, 64


def copies(operands: Operands) -> dict[str, list[Lookup]]:
    """Every plain copy known on their device, each with one lookup a slot, by name.

    A copy reads and writes as many contiguous bytes as the operation moves rows: of a lookup as many as its
    result has, into the same outputs. Its sources and targets rotate as the slots do, so it is as cold or as
    hot as the lookups it takes turns with.
    """
    size, slots, case = operands.case.ceiling_bytes // 2, operands.slots, operands.case
    parts = _parts(operands, size)
    as_large = size == case.rows_bytes and not case.kind.in_place
    outs = [operands.arrays.view(slot.out.reshape(-1), "uint8") for slot in slots] if as_large else []
    targets = outs or _parts(operands, size)
    return {
        name: [copy(part, target) for part, target in zip(parts, targets, strict=True)]
        for name, copy in _plain_copies(operands.arrays.device).items()
    }


def _parts(operands: Operands, size: int) -> list[Array]:
    """Memory of so many bytes for each slot."""
    memory = operands.arrays.bytes(size * len(operands.slots))
    memory[...] = 1
    return [memory[number * size : (number + 1) * size] for number in range(len(operands.slots))]


def _plain_copies(device: Device) -> dict[str, Copy]:
    if device.is_gpu:
        return {"copy_torch": lambda source, target: lambda: target.copy_(source), "copy_kernel": _by_kernel}
    copies_here: dict[str, Copy] = {"copy_numpy": lambda source, target: lambda: np.copyto(target, source)}
    try:
        import torch
    except Exception:  # of whatever kind: a library that can't be loaded fails no other
        return copies_here

    def by_torch(source: Array, target: Array) -> Lookup:
        a, b = torch.from_numpy(source), torch.from_numpy(target)
        return lambda: b.copy_(a)

    copies_here["copy_torch"] = by_torch
    try:
        in_order = load(_IN_ORDER)()
        in_order.prepare(*(np.zeros(shape, np.int8) for shape in ((1, 1), (0,), (0, 1))))
    except Exception:
        return copies_here

    def by_rows(source: Array, target: Array) -> Lookup:
        row = math.gcd(len(source), _PAGE)  # threads share rows, and short ones are slow
        row = row if row >= _LINE else len(source)
        a, b = (memory.view(np.int8).reshape(-1, row) for memory in (source, target))
        return in_order.prepare(a, np.arange(len(a)), b)

    copies_here["copy_rows"] = by_rows
    return copies_here


def _by_kernel(source: Array, target: Array) -> Lookup:
    """A copy by torch's elementwise kernel: a memcpy has a cost of its own, which is large for few bytes."""
    import torch

    words = torch.int64 if len(source) % 8 == 0 else torch.int32 if len(source) % 4 == 0 else torch.uint8
    a, b = source.view(words), target.view(words)
    return lambda: torch.bitwise_or(a, 0, out=b)
