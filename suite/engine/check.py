"""Is what a lookup returned right? Bit equality with the formula, on ids and a table that just changed."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from backends import Lookup
from suite.cases import ids
from suite.cases.case import Case
from suite.engine import formula
from suite.engine.arrays import Host
from suite.engine.operands import GUARD_BYTE, Field, Slot

Array = Any

CANARIES = (0xFF, 0x00)
"""Bytes an output holds before a checked call: NaN in every float, and never one of them in both checks."""
SPOT_ELEMENTS = 2**20
_LATE_S = 0.01


class Tampered(Exception):
    """The operands are not what they were, so nobody can be judged by them; the message says which."""


def check(
    field: Field, slot: Slot, lookup: Lookup, clock: str, seed: int, whole: bool = True
) -> tuple[str | None, bool]:
    """Call a lookup three times on one slot: then with other ids, then with another table.

    The second call finds other ids (the last row, row 0 and a repeat among them), the third the same ones
    and one row of the table inverted, each an output filled with another canary, so nothing computed in
    ``prepare`` or kept from an earlier call passes. As soon as a call returns its ids are overwritten and the
    row is turned back, so rows fetched later, lazily or by another thread or stream, come out wrong.

    Args:
        clock: as the backend declares it; ``host`` waits for all its streams.
        whole: whether every row of the first call is compared; of the others it is some of a large result.

    Returns:
        None if it is right, else what is wrong; and whether it returned memory of its own instead of ``out``.

    Raises:
        Tampered: the table itself is wrong.
    """
    case, arrays = field.case, field.arrays
    edges = ids.draw_edges(case, seed)
    turned = int(edges[len(edges) // 2])
    if len(edges) > 3:
        edges[1] = turned
    some = _picked(case, seed, np.flatnonzero(edges == turned))
    rows = np.arange(case.batch) if whole else some
    first, reason = _probe(field, slot, lookup, clock, slot.batch, rows, CANARIES[0])
    allocates = first is not None and not _same_memory(field, first, slot.out)
    if reason is None and not allocates:
        reason = _late_write(field, slot)
    if reason is None:
        _, reason = _probe(field, slot, lookup, clock, edges, some, CANARIES[1])
    if reason is None:
        _, reason = _probe(field, slot, lookup, clock, edges, some, CANARIES[0], turned)
    if reason is None and allocates:
        late = differing(field, arrays.snapshot(first, case, some), slot.batch[some])
        reason = f"returns a buffer that its next call overwrites ({late})" if late else None
    return reason or guards_broken(slot), allocates


def _picked(case: Case, seed: int, also: Host) -> Host:
    """Some rows of a result, all of a small one: first and last, those asked for, and others by chance."""
    count = max(2, SPOT_ELEMENTS // case.dim)
    if count >= case.batch:
        return np.arange(case.batch)
    by_chance = np.random.default_rng(seed).integers(0, case.batch, count)
    return np.unique(np.concatenate([[0, case.batch - 1], also[:count], by_chance]))


def _probe(
    field: Field,
    slot: Slot,
    lookup: Lookup,
    clock: str,
    batch: Host,
    rows: Host,
    canary: int,
    turned: int | None = None,
) -> tuple[Array, str | None]:
    """One call with these ids: what it returned, and what is wrong with those rows of it."""
    case, arrays = field.case, field.arrays
    other = ids.draw_edges(case, seed=1 + int(batch[0]))
    arrays.put(slot.indices, batch)
    raw = arrays.view(slot.out.reshape(-1), "uint8")
    raw[...] = canary
    if turned is not None:
        arrays.invert_row(field.table, turned)
    arrays.synchronize()
    try:
        result = lookup()
        if clock == "host":
            arrays.synchronize()
    finally:
        if turned is not None:
            arrays.invert_row(field.table, turned)
    unchanged = bool((slot.indices == _as_device(field, batch)).all())
    arrays.put(slot.indices, other)
    try:
        bits = arrays.snapshot(result, case, rows)
    except TypeError as error:
        return None, str(error)
    finally:
        arrays.put(slot.indices, slot.batch)
    if not unchanged:
        return None, "changed the ids it was given"
    if _overlaps(field, result, field.table) or _overlaps(field, result, slot.indices):
        return None, "returns a view of its operands, not rows of its own"
    reason = differing(field, bits, batch[rows], turned)
    if reason is not None:
        _require_table(field, batch[rows])
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
                found += [start + i for i, differs in enumerate(bad.tolist()) if differs]
        return found

    whole = slice(0, len(batch))
    # A few rows are hashed sooner than threads hand over the interpreter's lock.
    many = on_host(field) and len(batch) * case.dim > formula.HOST_CHUNK
    parts = formula.parallel(wrong, len(batch)) if many else [wrong(whole)]
    bad = [row for part in parts for row in part]
    if not bad:
        return None
    return (
        f"row {bad[0]} of the result is not table row {int(batch[bad[0]])}; {len(bad)} of {len(batch)} differ"
    )


def surprise(field: Field, slot: Slot, lookup: Lookup, rng: np.random.Generator) -> tuple[Lookup, Host]:
    """A lookup an instant before which an id and some of its output change; and the batch it then is of.

    On the host the change takes less than a microsecond, so that amid timed calls nobody can tell.
    """
    batch = slot.batch.copy()
    place = int(rng.integers(len(batch)))
    batch[place] = other = int(rng.integers(field.case.vocab))
    spoilt = slot.out[place], slot.out[int(rng.integers(len(batch)))]

    def call() -> Array:
        slot.indices[place] = other
        for row in spoilt:
            row[...] = -1
        return lookup()

    return call, batch


def spot(field: Field, slot: Slot, result: Array, batch: Host, rng: np.random.Generator) -> str | None:
    """Compare some rows of a surprised call's result, the changed one among them."""
    case = field.case
    picked = _picked(case, int(rng.integers(2**32)), np.flatnonzero(batch != slot.batch))
    try:
        bits = field.arrays.snapshot(result, case, picked)
    except TypeError as error:
        return str(error)
    wrong = differing(field, bits, batch[picked])
    if wrong:
        if not bool((slot.indices == _as_device(field, batch)).all()):
            raise Tampered("the ids changed during a timed call")
        _require_table(field, batch[picked])
    return wrong or guards_broken(slot)


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


def require_operands(field: Field) -> None:
    """Compare the ids of all slots, and the rows they name, with what they were.

    Raises:
        Tampered: they are not.
    """
    changed = ids_changed(field)
    if changed:
        raise Tampered(changed)
    rows = max(2, SPOT_ELEMENTS // field.case.dim // len(field.slots))
    for slot in field.slots:
        _require_table(field, slot.batch[-rows:])


def _require_table(field: Field, batch: Host) -> None:
    if differing(field, field.table[_as_device(field, batch)], batch):
        raise Tampered("rows of the table changed during the measurement")


def on_host(field: Field) -> bool:
    """Whether the operands are NumPy's."""
    return field.arrays.device == "cpu"


def _late_write(field: Field, slot: Slot) -> str | None:
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
