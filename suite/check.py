"""Is what a lookup returned right? Bit equality with the formula, on ids and a table that just changed."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from backends import Lookup
from suite import formula, ids
from suite.data import GUARD_BYTE, Field, Host, Slot

Array = Any

CANARIES = (0xFF, 0x00)
"""Bytes an output holds before a checked call: NaN in every float, and never one of them in both checks."""
SPOT_ELEMENTS = 2**20
_LATE_S = 0.01


def check(field: Field, slot: Slot, lookup: Lookup, clock: str, seed: int) -> tuple[str | None, bool]:
    """Call a lookup twice on one slot, with other ids and another table.

    The second call finds other ids (the last row and row 0 among them), one row of the table inverted, and an
    output filled with another canary, so nothing computed in ``prepare`` or kept from an earlier call passes.
    As soon as a call returns its ids are overwritten, so rows fetched later, lazily or by another thread or
    stream, come out wrong.

    Args:
        clock: as the backend declares it; ``host`` waits for all its streams.

    Returns:
        None if it is right, else what is wrong; and whether it returned memory of its own instead of ``out``.
    """
    case, arrays = field.case, field.arrays
    edges = ids.draw_edges(case, seed)
    first, reason = _probe(field, slot, lookup, clock, slot.batch, CANARIES[0], None)
    if reason is None:
        turned = int(edges[len(edges) // 2])
        arrays.invert_row(field.table, turned)
        try:
            _, reason = _probe(field, slot, lookup, clock, edges, CANARIES[1], turned)
        finally:
            arrays.invert_row(field.table, turned)
    allocates = first is not None and not _same_memory(field, first, slot.out)
    if reason is None and allocates:
        late = differing(field, arrays.snapshot(first, case), slot.batch)
        reason = f"returns a buffer that its next call overwrites ({late})" if late else None
    return reason or guards_broken(slot), allocates


def _probe(
    field: Field, slot: Slot, lookup: Lookup, clock: str, batch: Host, canary: int, turned: int | None
) -> tuple[Array, str | None]:
    """One call with these ids: what it returned, and what is wrong with it."""
    case, arrays = field.case, field.arrays
    other = ids.draw_edges(case, seed=1 + int(batch[0]))
    arrays.put(slot.indices, batch)
    raw = arrays.view(slot.out.reshape(-1), "uint8")
    raw[...] = canary
    arrays.synchronize()
    result = lookup()
    if clock == "host":
        arrays.synchronize()
    unchanged = bool((slot.indices == _as_device(field, batch)).all())
    arrays.put(slot.indices, other)
    try:
        bits = arrays.snapshot(result, case)
    except TypeError as error:
        return None, str(error)
    finally:
        arrays.put(slot.indices, slot.batch)
    if not unchanged:
        return None, "changed the ids it was given"
    if _overlaps(field, result, field.table) or _overlaps(field, result, slot.indices):
        return None, "returns a view of its operands, not rows of its own"
    reason = differing(field, bits, batch, turned)
    if reason is None and _same_memory(field, result, slot.out):
        reason = _late_write(field, slot, bits)
    return result, reason


def differing(field: Field, bits: Array, batch: Host, turned: int | None = None) -> str | None:
    """Which rows differ from what the formula says of this batch of ids, or None; ``turned`` is inverted."""
    case = field.case
    numbers = _as_device(field, batch)

    def wrong(part: slice) -> list[int]:
        found: list[int] = []
        rows = numbers[part]
        chunk = formula.HOST_CHUNK if on_host(field) else formula.CUDA_CHUNK
        for where, right in formula.expected(rows, case.dim, case.dtype, field.arrays.empty, chunk):
            got = bits[part][where]
            if turned is not None:
                right[rows[where] == turned] ^= -1
            bad = (got != right).any(1)
            if bool(bad.any()):
                start = part.start + where.start
                found += [start + int(i) for i in np.flatnonzero(np.asarray(bad.tolist()))]
        return found

    whole = slice(0, len(batch))
    parts = formula.parallel(wrong, len(batch)) if on_host(field) else [wrong(whole)]
    bad = [row for part in parts for row in part]
    if not bad:
        return None
    return (
        f"row {bad[0]} of the result is not table row {int(batch[bad[0]])}; {len(bad)} of {len(batch)} differ"
    )


def spot(field: Field, slot: Slot, result: Array, rng: np.random.Generator) -> str | None:
    """Compare some rows of a timed call's result, its first and last among them; cheap enough to do often."""
    case = field.case
    count = min(case.batch, max(2, SPOT_ELEMENTS // case.dim))
    picked = np.unique(np.concatenate([[0, case.batch - 1], rng.integers(0, case.batch, count)]))
    try:
        bits = field.arrays.snapshot(result, case)
    except TypeError as error:
        return str(error)
    return differing(field, bits[picked], slot.batch[picked]) or guards_broken(slot)


def guards_broken(slot: Slot) -> str | None:
    """Whether something was written before or after the rows."""
    for guard, where in zip(slot.guards, ("before", "after"), strict=True):
        if not bool((guard == GUARD_BYTE).all()):
            guard[...] = GUARD_BYTE
            return f"writes {where} its output"
    return None


def ids_changed(field: Field) -> str | None:
    """Whether any slot's ids are not what they were."""
    changed = sum(not bool((s.indices == _as_device(field, s.batch)).all()) for s in field.slots)
    return f"the ids of {changed} batches changed during the measurement" if changed else None


def on_host(field: Field) -> bool:
    """Whether the operands are NumPy's."""
    return field.arrays.device == "cpu"


def _late_write(field: Field, slot: Slot, bits: Array) -> str | None:
    arrays = field.arrays
    raw = arrays.view(slot.out.reshape(-1), "uint8")
    raw[...] = CANARIES[1]
    arrays.synchronize()
    time.sleep(_LATE_S)
    arrays.synchronize()
    return None if not bool(raw.any()) else "still writes to its output after its call has returned"


def _as_device(field: Field, batch: Host) -> Array:
    if on_host(field):
        return batch
    numbers = field.arrays.view(field.arrays.bytes(batch.nbytes), str(batch.dtype))
    field.arrays.put(numbers, batch)
    return numbers


def _same_memory(field: Field, a: Array, b: Array) -> bool:
    return field.arrays.span(a) == field.arrays.span(b)


def _overlaps(field: Field, a: Array, b: Array) -> bool:
    (a_start, a_end), (b_start, b_end) = field.arrays.span(a), field.arrays.span(b)
    return a_start < b_end and b_start < a_end
