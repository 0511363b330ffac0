"""Operands of bags for kernels that run without a GPU: torch tensors on the host, and what is right."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from suite.cases import ids
from suite.cases.case import Case
from suite.cases.dtypes import width_of

CANARY = 0x5A
GUARD_BYTES = 256
CASES = tuple(
    Case(97, dim, dtype, batch, index_dtype, operation="bag", variant=variant)
    for dim, dtype, batch, index_dtype, variant in (
        (1, "float32", 33, "int64", "ragged-20"),
        (7, "float16", 17, "int32", "weighted-3"),
        (129, "bfloat16", 20, "int64", "ragged-7"),
        (64, "float32", 9, "int32", "mean-16"),
        (1032, "float16", 4, "int64", "sum-20"),
        (100, "bfloat16", 5, "int32", "weighted-20"),
        (5000, "float32", 2, "int64", "ragged-2"),
        (128, "bfloat16", 64, "int64", "mean-4"),
    )
)


@dataclass(frozen=True, slots=True)
class Guarded:
    """Memory of an output with a canary on either side of it."""

    memory: Any
    start: int
    size: int

    def whole(self) -> bool:
        """Whether nothing was written beside the output."""
        outside = np.concatenate([self.memory[: self.start], self.memory[self.start + self.size :]])
        return bool((outside == CANARY).all())


def operands_of(
    case: Case, shift: int = 0
) -> tuple[dict[str, Any], Guarded, Callable[[bool], Callable[[Any], bool]]]:
    """Operands by name as tensors of their types, the output so many bytes off its alignment.

    Returns:
        The operands; the memory of the output; and a call that writes the first batch into them, or another,
        fills the output, and returns the test of what is then right.
    """
    kind = case.kind
    batches = [kind.draw(case, draw, seed) for seed, draw in enumerate((ids.draw(case, 0, 0), _edges(case)))]
    bits = {name: array.copy() for name, array in batches[0].items()}
    size, start = case.rows_bytes, GUARD_BYTES + shift
    memory = np.full(64 + start + size + GUARD_BYTES, CANARY, np.uint8)
    start += -(memory.ctypes.data + GUARD_BYTES) % 64
    out = torch.from_numpy(memory[start : start + size])
    table = kind.rows(case, np.arange(case.vocab))
    dtypes = kind.dtypes(case)
    given = {
        name: torch.from_numpy(array).view(getattr(torch, dtypes[name]))
        for name, array in {"table": table, **bits}.items()
    }
    given["out"] = _typed(out, case)

    def right_of(again: bool) -> Callable[[Any], bool]:
        for name, array in batches[again].items():
            bits[name][...] = array
        memory[start : start + size] = CANARY
        rows = kind.right(case, batches[again], np.arange(case.batch))
        return lambda got: np.array_equal(got.view(getattr(torch, str(rows.dtype))).numpy(), rows)

    return given, Guarded(memory, start, size), right_of


def _typed(out: Any, case: Case) -> Any:
    """Bytes as a result; a view, unless they are off the boundary of an element."""
    assert out.data_ptr() % width_of(case.dtype) == 0
    return out.view(getattr(torch, case.dtype)).view(case.batch, case.dim)


def _edges(case: Case) -> Any:
    return ids.draw_edges(case, 1)
