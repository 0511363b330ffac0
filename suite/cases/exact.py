"""Exact numbers: elements whose sums are the same bits in any order, and gradients made of them."""

from __future__ import annotations

from typing import Any

from suite.cases import formula
from suite.cases.dtypes import BITS, width_of

Host = Any
"""A NumPy array."""

MOST = {"float32": 2**24, "float16": 2**11, "bfloat16": 2**8}
"""Whole numbers up to this are exact in a type; each of its sums stays below, in whatever order."""
UNIT = 2.0**-4
"""Gradients are whole numbers of it."""


def values_of(bits: Host, dtype: str) -> Host:
    """Elements as float32, which holds all of a narrower type; of float32 the same memory."""
    import numpy as np

    if dtype == "float16":
        return bits.view(np.float16).astype(np.float32)
    if dtype == "bfloat16":
        return (bits.astype(np.int32) << 16).view(np.float32)
    return bits.view(np.float32)


def bits_of(values: Host, dtype: str) -> Host:
    """Bits of elements that the type holds exactly, as signed integers; of a zero always those of +0."""
    import numpy as np

    values = np.asarray(values, np.float32) + np.float32(0)
    if dtype == "float16":
        return values.astype(np.float16).view(np.int16)
    if dtype == "bfloat16":
        return (values.view(np.int32) >> 16).astype(np.int16)
    return values.view(np.int32)


def hashed(numbers: Host, columns: int, dtype: str, first_column: int = 0) -> Host:
    """The formula's bits of these rows, in int32, as whole numbers of the width of ``dtype``."""
    import numpy as np

    found = np.empty((len(numbers), columns), np.int32)
    if len(numbers):
        made = formula.expected(numbers, columns, dtype, _empty, first_column=first_column)
        for where, part in made:
            found[where] = part
    return found


def _empty(shape: tuple[int, ...]) -> Host:
    import numpy as np

    return np.empty(shape, np.int32)


def repeats(ids: Host) -> tuple[Host, Host]:
    """Of each place of a batch: how often its id is there, and which of those times this is, from 0."""
    import numpy as np

    _, inverse, counts = np.unique(ids, return_inverse=True, return_counts=True)
    order = np.argsort(inverse, kind="stable")
    rank = np.empty(len(ids), np.int64)
    rank[order] = np.arange(len(ids)) - np.repeat(np.cumsum(counts) - counts, counts)
    return counts[inverse], rank


def gradients(ids: Host, dim: int, dtype: str, most: int, seed: int) -> Host:
    """Whole numbers of ``UNIT``, of both signs, by chance: bits, (batch, dim).

    The magnitudes of all gradients of one id come to ``most`` at most, and one is never more than that. Where
    an id has more repeats, those beyond have gradients of zero.
    """
    import numpy as np

    count, rank = repeats(ids)
    largest = np.clip(most // count, 1, 127).astype(np.int16)[:, None]
    drawn = np.random.default_rng([seed, len(ids)]).integers(0, 256, (len(ids), dim), np.uint8)
    values = 1 + ((drawn & 127).astype(np.int16) * largest >> 7)
    values[drawn > 127] *= -1
    values[rank >= most] = 0
    return bits_of(values * np.float32(UNIT), dtype)


def shares(ids: Host, most: int) -> Host:
    """Powers of two, one a place of a batch, that come to 1 over the places of each id: float32, (batch,).

    Where an id has more than ``most`` repeats, itself a power of two, those beyond have zero.
    """
    import numpy as np

    count, rank = repeats(ids)
    count = np.minimum(count, most)
    parts = 2.0 ** np.floor(np.log2(count))
    share = np.where(rank < 2 * parts - count, 1 / parts, 1 / (2 * parts))
    return np.where(rank < count, share, 0).astype(np.float32)


def sums(ids: Host, gradients: Host, dtype: str, numbers: Host) -> tuple[Host, Host]:
    """The sum of the gradients of each of these ids, float32 (n, dim), and which of them the batch has.

    Args:
        gradients: bits, (batch, dim). numbers: distinct ids.
    """
    import numpy as np

    total, found = np.zeros((len(numbers), gradients.shape[1]), np.float32), np.zeros(len(numbers), bool)
    sorter = np.argsort(numbers, kind="stable")
    place = np.minimum(np.searchsorted(numbers, ids, sorter=sorter), len(numbers) - 1)
    place = sorter[place]
    at = np.flatnonzero(numbers[place] == ids)
    if len(at):
        at = at[np.argsort(place[at], kind="stable")]
        first = np.flatnonzero(np.diff(place[at], prepend=-1))
        where = place[at][first]
        total[where] = np.add.reduceat(values_of(gradients[at], dtype), first, axis=0)
        found[where] = True
    return total, found


def words(whole: Host, dtype: str) -> Host:
    """Whole numbers of 32 or 64 bits as columns of the integers that hold bits of a type: (n, columns)."""
    import numpy as np

    return np.ascontiguousarray(whole).reshape(-1, 1).view(BITS[width_of(dtype)])
