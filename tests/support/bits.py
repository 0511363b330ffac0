"""Rows of a table by formula, all at once."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from suite.cases import formula

Ints = npt.NDArray[Any]


def empty(shape: tuple[int, ...]) -> Ints:
    return np.empty(shape, np.int32)


def rows_of(rows: Ints, dim: int, dtype: str, chunk: int = formula.HOST_CHUNK) -> Ints:
    """All the expected rows at once: (len(rows), dim) int32, sign-extended bits."""
    found = np.full((len(rows), dim), 0x5A5A5A5A, np.int32)
    for where, bits in formula.expected(rows, dim, dtype, empty, chunk):
        found[where] = bits
    return found
