"""Is what a lookup returned right? Bit equality with the formula, on ids and a table that just changed."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from backends import Lookup
from suite.cases import ids
from suite.cases.case import Case
from suite.engine import formula
from suite.engine.arrays import Host
from suite.engine.operands import GUARD_BYTE, Operands, Slot

Array = Any

CANARIES = (0xFF, 0x00)
"""Bytes an output holds before a checked call: NaN in every float, and never one of them in both checks."""
SPOT_ELEMENTS = 2**20
_LATE_S = 0.01


class Tampered(Exception):
    """The operands changed, so no backend can be judged by them; the message says which did."""


def check(
    operands: Operands, slot: Slot, lookup: Lookup, clock: str, seed: int, whole: bool = True
) -> tuple[str | None, bool]:
    """Call a lookup three times on one slot: then with other ids, then with another table.

    The second call finds other ids (the last row, row 0 and a repeat among them), the third the same ones
    and one row of the table inverted, each an output filled with another canary, so nothing computed in
    ``prepare`` or kept from an earlier call passes. As soon as a call returns its ids are overwritten and the
    row is inverted again, so rows fetched later, lazily or by another thread or stream, come out wrong.

    Args:
        clock: as the backend declares it; ``host`` waits for all its streams.
        whole: whether every row of the first call is compared; of the others it is some of a large result.

    Returns:
        None if it is right, else what is wrong; and whether it returned memory of its own instead of ``out``.

    Raises:
        Tampered: the table itself is wrong.
    """
    case, arrays = operands.case, operands.arrays
    edges = ids.draw_edges(case, seed)
    inverted = int(edges[len(edges) // 2])
    if len(edges) > 3:
        edges[1] = inverted
    some = _picked(case, seed, np.flatnonzero(edges == inverted))
    rows = np.arange(case.batch) if whole else some
    first, reason = _probed(operands, slot, lookup, clock, _Probe(slot.batch, rows, CANARIES[0]))
    allocates = first is not None and not _same_memory(operands, first, slot.out)
    if reason is None and not allocates:
        reason = _late_write(operands, slot)
    if reason is None:
        _, reason = _probed(operands, slot, lookup, clock, _Probe(edges, some, CANARIES[1]))
    if reason is None:
        _, reason = _probed(operands, slot, lookup, clock, _Probe(edges, some, CANARIES[0], inverted))
    if reason is None and allocates:
        late = differing(operands, arrays.snapshot(first, case, some), slot.batch[some])
        reason = f"returns a buffer that its next call overwrites ({late})" if late else None
    return reason or guards_broken(slot), allocates


def _picked(case: Case, seed: int, also: Host) -> Host:
    """Some rows of a result, all of a small one: first and last, those asked for, and others by chance."""
    count = max(2, SPOT_ELEMENTS // case.dim)
    if count >= case.batch:
        return np.arange(case.batch)
    by_chance = np.random.default_rng(seed).integers(0, case.batch, count)
    return np.unique(np.concatenate([[0, case.batch - 1], also[:count], by_chance]))


@dataclass(frozen=True, slots=True)
class _Probe:
    """One checked call: its ids, the rows of the result compared, its canary, and the table row inverted."""

    batch: Host
    rows: Host
    canary: int
    inverted: int | None = None


def _probed(
    operands: Operands, slot: Slot, lookup: Lookup, clock: str, probe: _Probe
) -> tuple[Array, str | None]:
    """What one call returned, and what is wrong with those rows of it."""
    arrays, batch, rows = operands.arrays, probe.batch, probe.rows
    result, unchanged = _called(operands, slot, lookup, clock, probe)
    try:
        bits = arrays.snapshot(result, operands.case, rows)
    except TypeError as error:
        return None, str(error)
    finally:
        arrays.put(slot.indices, slot.batch)
    if not unchanged:
        return None, "changed the ids it was given"
    if _overlaps(operands, result, operands.table) or _overlaps(operands, result, slot.indices):
        return None, "returns a view of its operands, not rows of its own"
    reason = differing(operands, bits, batch[rows], probe.inverted)
    if reason is not None:
        _require_table(operands, batch[rows])
    return result, reason


def _called(operands: Operands, slot: Slot, lookup: Lookup, clock: str, probe: _Probe) -> tuple[Array, bool]:
    """The result of one call, and whether it left its ids alone; they are overwritten once it returns."""
    arrays, inverted = operands.arrays, probe.inverted
    arrays.put(slot.indices, probe.batch)
    raw = arrays.view(slot.out.reshape(-1), "uint8")
    raw[...] = probe.canary
    if inverted is not None:
        arrays.invert_row(operands.table, inverted)
    arrays.synchronize()
    try:
        result = lookup()
        if clock == "host":
            arrays.synchronize()
    finally:
        if inverted is not None:
            arrays.invert_row(operands.table, inverted)
    unchanged = bool((slot.indices == _as_device(operands, probe.batch)).all())
    arrays.put(slot.indices, ids.draw_edges(operands.case, seed=1 + int(probe.batch[0])))
    return result, unchanged


def differing(operands: Operands, bits: Array, batch: Host, inverted: int | None = None) -> str | None:
    """Which rows differ from what the formula says of this batch, row ``inverted`` being so; None if none."""
    case = operands.case
    numbers = _as_device(operands, batch)

    def wrong(part: slice) -> list[int]:
        differ: list[int] = []
        rows = numbers[part]
        chunk = formula.HOST_CHUNK if on_host(operands) else formula.CUDA_CHUNK
        for where, right in formula.expected(rows, case.dim, case.dtype, operands.arrays.empty, chunk):
            got = bits[part][where]
            if inverted is not None:
                right[rows[where] == inverted] ^= -1
            bad = (got != right).any(1)
            if bool(bad.any()):
                start = part.start + where.start
                differ += [start + i for i, is_bad in enumerate(bad.tolist()) if is_bad]
        return differ

    whole = slice(0, len(batch))
    # A few rows are hashed sooner than threads hand over the interpreter's lock.
    many = on_host(operands) and len(batch) * case.dim > formula.HOST_CHUNK
    parts = formula.parallel(wrong, len(batch)) if many else [wrong(whole)]
    bad = [row for part in parts for row in part]
    if not bad:
        return None
    return (
        f"row {bad[0]} of the result is not table row {int(batch[bad[0]])}; {len(bad)} of {len(batch)} differ"
    )


def replayed(operands: Operands, slot: Slot, replay: Callable[[], None], result: Array) -> str | None:
    """What is wrong with the rows that a CUDA graph leaves in a result; None if nothing.

    Its ids change between capture and replay, so neither an empty graph passes nor one that remembers ids.
    """
    arrays, case = operands.arrays, operands.case
    changed = ids.draw_edges(case, seed=1 + int(slot.batch[0]))
    rows = _picked(case, 0, np.flatnonzero(changed != slot.batch))
    arrays.put(slot.indices, changed)
    try:
        replay()
        arrays.synchronize()
        wrong = differing(operands, arrays.snapshot(result, case, rows), changed[rows])
    except TypeError as error:
        wrong = str(error)
    finally:
        arrays.put(slot.indices, slot.batch)
    return f"replayed, it does not look up: {wrong}" if wrong else None


def spot_check(
    operands: Operands, slot: Slot, lookup: Lookup, clock: str, rng: np.random.Generator
) -> tuple[Lookup, Host]:
    """A lookup that first changes an id and some of its output, and the batch of ids it then looks up.

    On the host the change takes less than a microsecond, so a backend can't tell it from other timed calls.

    Args:
        clock: as the backend declares it; streams of its library's own do not wait for the change, so with
            ``host`` the lookup begins when a GPU has made it.
    """
    waits = clock == "host" and not on_host(operands)
    batch = slot.batch.copy()
    place = int(rng.integers(len(batch)))
    batch[place] = other = int(rng.integers(operands.case.vocab))
    overwritten = slot.out[place], slot.out[int(rng.integers(len(batch)))]

    def call() -> Array:
        slot.indices[place] = other
        for row in overwritten:
            row[...] = -1
        if waits:
            operands.arrays.synchronize()
        return lookup()

    return call, batch


def spot_checked(
    operands: Operands, slot: Slot, result: Array, batch: Host, rng: np.random.Generator
) -> str | None:
    """Compare some rows of a spot check's result, the changed one among them."""
    case = operands.case
    picked = _picked(case, int(rng.integers(2**32)), np.flatnonzero(batch != slot.batch))
    try:
        bits = operands.arrays.snapshot(result, case, picked)
    except TypeError as error:
        return str(error)
    wrong = differing(operands, bits, batch[picked])
    if wrong:
        if not bool((slot.indices == _as_device(operands, batch)).all()):
            raise Tampered("the ids changed during a timed call")
        _require_table(operands, batch[picked])
    return wrong or guards_broken(slot)


def guards_broken(slot: Slot) -> str | None:
    """Whether something was written before or after the rows."""
    for guard, where in zip(slot.guards, ("before", "after"), strict=True):
        if not bool((guard == GUARD_BYTE).all()):
            guard[...] = GUARD_BYTE
            return f"writes {where} its output"
    return None


def ids_changed(operands: Operands) -> str | None:
    """Whether any slot's ids are not what they were."""
    changed = sum(not bool((s.indices == _as_device(operands, s.batch)).all()) for s in operands.slots)
    return f"the ids of {changed} batches changed during the measurement" if changed else None


def require_operands(operands: Operands) -> None:
    """Compare the ids of all slots, and the rows they name, with what they were.

    Raises:
        Tampered: they are not.
    """
    changed = ids_changed(operands)
    if changed:
        raise Tampered(changed)
    rows = max(2, SPOT_ELEMENTS // operands.case.dim // len(operands.slots))
    for slot in operands.slots:
        _require_table(operands, slot.batch[-rows:])


def _require_table(operands: Operands, batch: Host) -> None:
    if differing(operands, operands.table[_as_device(operands, batch)], batch):
        raise Tampered("rows of the table changed during the measurement")


def on_host(operands: Operands) -> bool:
    """Whether the operands are NumPy's."""
    return not operands.arrays.device.is_gpu


def _late_write(operands: Operands, slot: Slot) -> str | None:
    arrays = operands.arrays
    raw = arrays.view(slot.out.reshape(-1), "uint8")
    raw[...] = CANARIES[1]
    arrays.synchronize()
    time.sleep(_LATE_S)
    arrays.synchronize()
    return None if not bool(raw.any()) else "still writes to its output after its call has returned"


def _as_device(operands: Operands, batch: Host) -> Array:
    if on_host(operands):
        return batch
    numbers = operands.arrays.view(operands.arrays.bytes(batch.nbytes), str(batch.dtype))
    operands.arrays.put(numbers, batch)
    return numbers


def _same_memory(operands: Operands, a: Array, b: Array) -> bool:
    return operands.arrays.span(a) == operands.arrays.span(b)


def _overlaps(operands: Operands, a: Array, b: Array) -> bool:
    (a_start, a_end), (b_start, b_end) = operands.arrays.span(a), operands.arrays.span(b)
    return a_start < b_end and b_start < a_end
