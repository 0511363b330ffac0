"""The ceiling: a contiguous copy of the bytes a lookup moves, by the best plain copy there is."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from backends import BackendUnavailable, Lookup, load
from suite.engine.arrays import Array
from suite.engine.operands import Field

Copy = Callable[[Array, Array], Lookup]

_IN_ORDER = "numba_cpu"
"""A gather of consecutive rows is a copy, and this one streams past the caches from every processor."""
_PAGE = 4096


def copies(field: Field) -> dict[str, list[Lookup]]:
    """Every plain copy known on the field's device, each with one lookup a slot, by name.

    A copy reads as many contiguous bytes as the looked-up rows and writes them to the same outputs. Its
    sources rotate as the slots do, so it is as cold or as hot as the lookups it takes turns with.
    """
    size = field.case.rows_bytes
    source = field.arrays.bytes(size * len(field.slots))
    source[...] = 1
    made: dict[str, list[Lookup]] = {}
    for name, copy in _plain_copies(field.arrays.device).items():
        lookups = []
        for number, slot in enumerate(field.slots):
            target = field.arrays.view(slot.out.reshape(-1), "uint8")
            lookups.append(copy(source[number * size : (number + 1) * size], target))
        made[name] = lookups
    return made


def _plain_copies(device: str) -> dict[str, Copy]:
    if device != "cpu":
        return {"copy_torch": lambda source, target: lambda: target.copy_(source)}
    found: dict[str, Copy] = {"copy_numpy": lambda source, target: lambda: np.copyto(target, source)}
    try:
        import torch
    except ImportError:
        return found

    def by_torch(source: Array, target: Array) -> Lookup:
        a, b = torch.from_numpy(source), torch.from_numpy(target)
        return lambda: b.copy_(a)

    found["copy_torch"] = by_torch
    try:
        in_order = load(_IN_ORDER)()
        in_order.prepare(*(np.zeros(shape, np.int8) for shape in ((1, 1), (0,), (0, 1))))
    except (BackendUnavailable, ImportError, ValueError):
        return found

    def by_rows(source: Array, target: Array) -> Lookup:
        rows, rest = divmod(len(source), _PAGE)
        shape = (rows, _PAGE) if rows and not rest else (1, len(source))
        a, b = (memory.view(np.int8).reshape(shape) for memory in (source, target))
        return in_order.prepare(a, np.arange(shape[0]), b)

    found["copy_rows"] = by_rows
    return found
