"""A rank's part of a table, made by the formula, and whether a result is what that says, bit for bit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from backends.ranks.base import Place
from suite.cases import formula
from suite.cases.case import Case
from suite.cases.dtypes import BITS, DTYPE_BYTES
from suite.engine.arrays import HostArrays
from suite.engine.placement.pages import protect
from suite.ranks import split

Array = Any
Ids = npt.NDArray[np.int64]


def build(case: Case, sharding: str, place: Place) -> Array:
    """The part that this rank holds, a torch tensor of the case's dtype; on the host it is read-only."""
    import torch

    by_row = sharding == "row"
    size = case.vocab if by_row else case.dim
    mine = split.held(size, place.ranks, place.rank)
    shape = (mine, case.dim) if by_row else (case.vocab, mine)
    width = DTYPE_BYTES[case.dtype]
    bits = HostArrays().bytes(shape[0] * shape[1] * width).view(BITS[width]).reshape(shape)
    first = place.first if by_row else 0

    def fill(rows: slice) -> None:
        numbers = np.arange(first + rows.start, first + rows.stop)
        columns = 0 if by_row else place.first
        for where, right in formula.expected(numbers, shape[1], case.dtype, _empty, first_column=columns):
            bits[rows][where] = right

    formula.parallel(fill, len(bits))
    part = torch.from_numpy(bits).view(getattr(torch, case.dtype)).to(place.device)
    if place.device == "cpu":
        protect(bits, writable=False)
    return part


def negative_zero(part: Array, sharding: str, place: Place) -> int:
    """The first row of the table with -0.0 in this rank's part; -1 if there is none."""
    import torch

    width = BITS[part.element_size()]
    if not part.dtype.is_floating_point:
        return -1
    bits = part.view(getattr(torch, width))
    found = (bits == torch.iinfo(bits.dtype).min).any(1).nonzero()
    return int(found[0]) + (place.first if sharding == "row" else 0) if len(found) else -1


def negate(part: Array, sharding: str, place: Place, row: int) -> None:
    """Flip the sign bits of a row of the table, where this rank holds it; twice is nothing.

    Not all bits, as an exponent of ones is a NaN, which a sum with zeros need not keep.
    """
    import torch

    mine = row - place.first if sharding == "row" else row
    if 0 <= mine < len(part):
        whole = part.view(getattr(torch, BITS[part.element_size()]))
        on_host = whole.device.type == "cpu"
        if on_host:
            protect(whole.numpy(), writable=True, only=whole[mine].numpy())
        whole[mine] ^= torch.iinfo(whole.dtype).min
        if on_host:
            protect(whole.numpy(), writable=False, only=whole[mine].numpy())


@dataclass(frozen=True, slots=True)
class Difference:
    """What differs from the right rows.

    Attributes:
        zeros: whether it is the sign of zeros only, of so many elements.
        owners: ranks that hold what differs.
    """

    reason: str
    zeros: int
    owners: tuple[int, ...]


def differing(
    result: Array, ids: Ids, case: Case, sharding: str, place: Place, negated: int | None = None
) -> Difference | None:
    """How a result differs from the rows of these ids; None if in no bit.

    Args:
        negated: a row whose signs are flipped in the table.
    """
    import torch

    shape = (len(ids), case.dim)
    if not isinstance(result, torch.Tensor) or tuple(result.shape) != shape:
        what = getattr(result, "shape", type(result).__name__)
        return Difference(f"returns {tuple(what) if not isinstance(what, str) else what}, not {shape}", 0, ())
    if result.dtype != getattr(torch, case.dtype):
        return Difference(f"returns {result.dtype}, not {case.dtype}", 0, ())
    width = BITS[DTYPE_BYTES[case.dtype]]
    bits = result.detach().contiguous().view(getattr(torch, width)).cpu().numpy()
    wrong = np.zeros(shape, bool)
    zeros = 0
    for where, right in formula.expected(ids, case.dim, case.dtype, _empty):
        right[ids[where] == negated] ^= np.iinfo(width).min
        differs = bits[where] != right
        signed = differs & (right == np.iinfo(width).min) & (bits[where] == 0)
        zeros += int(signed.sum())
        wrong[where] = differs & ~(signed & (case.dtype != "int8"))
    if not wrong.any():
        return Difference(f"returns 0.0 for -0.0, {zeros} times here", zeros, ()) if zeros else None
    rows, columns = np.nonzero(wrong)
    owners = tuple(np.unique((ids[rows] if sharding == "row" else columns) // place.each).tolist())
    bad = len(np.unique(rows))
    reason = f"row {rows[0]} of the result is not table row {ids[rows[0]]}; {bad} of {len(ids)} differ"
    return Difference(reason, 0, owners)


def _empty(shape: tuple[int, ...]) -> Array:
    return np.empty(shape, np.int32)
