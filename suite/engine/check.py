"""Is what a lookup returned right? Bit equality with the formula, on ids and a table that just changed."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from backends import Lookup
from suite.cases import ids
from suite.cases.case import Case
from suite.cases.operations.base import Batch
from suite.engine.arrays import Host
from suite.engine.operands import GUARD_BYTE, Operands, Slot

Array = Any

CANARIES = (0xFF, 0x00)
"""Bytes an output holds before a checked call: NaN in every float, and never one of them in both checks."""
SPOT_ELEMENTS = 2**20
OTHER = 2**32
"""Added to the seed of a batch that is drawn for a check, so that it is like none that is measured."""
_LATE_S = 0.01


class Tampered(Exception):
    """The operands changed, so no backend can be judged by them; the message says which did."""


def check(
    operands: Operands, slot: Slot, lookup: Lookup, clock: str, seed: int, whole: bool = True
) -> tuple[str | None, bool]:
    """Call a lookup three times on one slot: then with another batch, then with another table.

    The second call finds other ids (the last row, row 0 and a repeat among them) and other operands beside
    them, the third the same ones and one row of the table changed, each an output filled with another
    canary, so nothing computed in ``prepare`` or kept from an earlier call passes. As soon as a call returns
    its batch is overwritten and the row is changed back, so rows fetched later, lazily or by another thread
    or stream, come out wrong.

    Args:
        clock: as the backend declares it; ``host`` waits for all its streams.
        whole: whether every row of the first call is compared; of the others it is some of a large result.

    Returns:
        None if it is right, else what is wrong; and whether it returned memory of its own instead of ``out``.

    Raises:
        Tampered: the table itself is wrong.
    """
    case, kind = operands.case, operands.case.kind
    edges, changed = _edges(operands, seed)
    into = kind.touched(case, edges, np.flatnonzero(edges["indices"] == changed))
    some = _picked(case, seed, into)
    rows = np.arange(kind.result(case)[0]) if whole else some
    first, reason = _probed(operands, slot, lookup, clock, _Probe(slot.batch, rows, CANARIES[0]))
    allocates = first is not None and not _same_memory(operands, first, slot.out)
    if reason is None and not allocates and not kind.in_place:
        reason = _late_write(operands, slot)
    if reason is None:
        _, reason = _probed(operands, slot, lookup, clock, _Probe(edges, some, CANARIES[1]))
    if reason is None:
        _, reason = _probed(operands, slot, lookup, clock, _Probe(edges, some, CANARIES[0], changed))
    if reason is None and allocates:
        late = differing(operands, _snapshot(operands, first, some), slot.batch, some)
        reason = f"returns a buffer that its next call overwrites ({late})" if late else None
    return reason or guards_broken(slot), allocates


def _edges(operands: Operands, seed: int) -> tuple[Batch, int]:
    """A batch with the ids that matter, one of them twice, and that one: its row is the one to be changed."""
    numbers = ids.draw_edges(operands.case, seed)
    changed = int(numbers[len(numbers) // 2])
    if len(numbers) > 3:
        numbers[1] = changed
    return operands.case.kind.draw(operands.case, numbers, seed + OTHER), changed


def _other(operands: Operands, batch: Batch) -> Batch:
    """A batch that is not this one."""
    seed = 1 + int(batch["indices"][0])
    return operands.case.kind.draw(operands.case, ids.draw_edges(operands.case, seed), seed + OTHER)


def _snapshot(operands: Operands, result: Array, picked: Host | None = None) -> Array:
    return operands.case.kind.snapshot(operands.case, operands.arrays, result, picked)


def _picked(case: Case, seed: int, also: Host) -> Host:
    """Some rows of a result, all of a small one: first and last, those asked for, and others by chance.

    Where a row comes of several ids, so many fewer: what takes the time is to tell what is right.
    """
    rows, columns = case.kind.result(case)
    count = max(2, SPOT_ELEMENTS // (columns * max(1, case.ids // rows)))
    if count >= rows:
        return np.arange(rows)
    by_chance = np.random.default_rng(seed).integers(0, rows, count)
    return np.unique(np.concatenate([[0, rows - 1], also[:count], by_chance]))


@dataclass(frozen=True, slots=True)
class _Probe:
    """One checked call: its batch, the rows of the result compared, its canary, and the table row changed."""

    batch: Batch
    rows: Host
    canary: int
    changed: int | None = None


def _probed(
    operands: Operands, slot: Slot, lookup: Lookup, clock: str, probe: _Probe
) -> tuple[Array, str | None]:
    """What one call returned, and what is wrong with those rows of it."""
    result, bits, unchanged = _called(operands, slot, lookup, clock, probe)
    if isinstance(bits, TypeError):
        return None, str(bits)
    if not unchanged:
        return None, "changed the ids it was given"
    given = [*slot.given.values(), *([] if operands.case.kind.in_place else [operands.table])]
    if any(_overlaps(operands, result, array) for array in given):
        return None, "returns a view of its operands, not rows of its own"
    reason = differing(operands, bits, probe.batch, probe.rows, probe.changed)
    if reason is not None:
        _require_table(operands, probe.batch["indices"])
    return result, reason


def _called(
    operands: Operands, slot: Slot, lookup: Lookup, clock: str, probe: _Probe
) -> tuple[Array, Array | TypeError, bool]:
    """The result of one call, its bits (or why it has none), and whether the call left its batch alone.

    The batch is overwritten once it returns, and put back once the bits are taken.
    """
    arrays, kind = operands.arrays, operands.case.kind
    operands.restore(slot.batch)
    operands.restore(probe.batch)
    operands.put(slot, probe.batch)
    if not kind.in_place:
        arrays.view(slot.out.reshape(-1), "uint8")[...] = probe.canary
    changes = partial(kind.change_row, operands.case, operands.stored)
    if probe.changed is not None:
        changes(probe.changed)
    arrays.synchronize()
    try:
        result = lookup()
        if clock == "host":
            arrays.synchronize()
    finally:
        if probe.changed is not None and not kind.in_place:
            changes(probe.changed)
    unchanged = operands.holds(slot, probe.batch)
    operands.put(slot, _other(operands, probe.batch))
    bits: Array | TypeError
    try:
        bits = _snapshot(operands, result, probe.rows)
    except TypeError as error:
        bits = error
    finally:
        operands.put(slot, slot.batch)
        operands.restore(probe.batch)
    return result, bits, unchanged


def differing(
    operands: Operands, bits: Array, batch: Batch, picked: Host, changed: int | None = None
) -> str | None:
    """Which of the picked rows are not right for a batch, row ``changed`` being changed; None if none."""
    case, kind = operands.case, operands.case.kind
    bad = kind.differing(case, operands.arrays, bits, batch, picked, changed)
    if not bad:
        return None
    what = kind.wrong(case, batch, int(picked[bad[0]]))
    return f"row {bad[0]} of the result is not {what}; {len(bad)} of {len(picked)} differ"


def replayed(operands: Operands, slot: Slot, replay: Callable[[], None], result: Array) -> str | None:
    """What is wrong with the rows that a CUDA graph leaves in a result; None if nothing.

    Its ids change between capture and replay, so neither an empty graph passes nor one that remembers ids.
    """
    case, kind = operands.case, operands.case.kind
    changed = _other(operands, slot.batch)
    places = np.flatnonzero(changed["indices"] != slot.batch["indices"])
    picked = _picked(case, 0, kind.touched(case, changed, places))
    operands.restore(slot.batch)
    operands.restore(changed)
    operands.put(slot, changed)
    try:
        replay()
        operands.arrays.synchronize()
        wrong = differing(operands, _snapshot(operands, result, picked), changed, picked)
    except TypeError as error:
        wrong = str(error)
    finally:
        operands.put(slot, slot.batch)
    return f"replayed, it does not look up: {wrong}" if wrong else None


def spot_check(
    operands: Operands, slot: Slot, lookup: Lookup, clock: str, rng: np.random.Generator
) -> tuple[Lookup, Batch]:
    """A lookup that first changes an id and some of its output, and the batch it then looks up.

    On the host the change takes less than a microsecond, so a backend can't tell it from other timed calls;
    but where the result is in place, as what the calls before it did must be undone.

    Args:
        clock: as the backend declares it; streams of its library's own do not wait for the change, so with
            ``host`` the lookup begins when a GPU has made it.
    """
    case, kind = operands.case, operands.case.kind
    waits = clock == "host" and not on_host(operands)
    numbers = slot.batch["indices"].copy()
    place = int(rng.integers(len(numbers)))
    numbers[place] = other = int(rng.integers(case.vocab))
    batch = {**slot.batch, "indices": numbers}
    into = int(kind.touched(case, batch, np.array([place]))[0])
    overwritten = slot.out[into], slot.out[int(rng.integers(kind.result(case)[0]))]

    def call() -> Array:
        slot.indices[place] = other
        if kind.in_place:
            operands.restore(slot.batch)
            operands.restore(batch)
        else:
            for row in overwritten:
                row[...] = -1
        if waits:
            operands.arrays.synchronize()
        return lookup()

    return call, batch


def spot_checked(
    operands: Operands, slot: Slot, result: Array, batch: Batch, rng: np.random.Generator
) -> str | None:
    """Compare some rows of a spot check's result, the changed one among them."""
    case, kind = operands.case, operands.case.kind
    places = np.flatnonzero(batch["indices"] != slot.batch["indices"])
    also = np.concatenate([kind.touched(case, one, places) for one in (batch, slot.batch)])
    picked = _picked(case, int(rng.integers(2**32)), also)
    try:
        bits = _snapshot(operands, result, picked)
    except TypeError as error:
        return str(error)
    wrong = differing(operands, bits, batch, picked)
    if wrong:
        if not operands.holds(slot, batch):
            raise Tampered("the ids changed during a timed call")
        _require_table(operands, batch["indices"])
    return wrong or guards_broken(slot)


def guards_broken(slot: Slot) -> str | None:
    """Whether something was written before or after the rows."""
    for guard, where in zip(slot.guards, ("before", "after"), strict=False):
        if not bool((guard == GUARD_BYTE).all()):
            guard[...] = GUARD_BYTE
            return f"writes {where} its output"
    return None


def ids_changed(operands: Operands) -> str | None:
    """Whether any slot's ids, or what it is given beside them, are not what they were."""
    changed = sum(not operands.holds(slot, slot.batch) for slot in operands.slots)
    return f"the ids of {changed} batches changed during the measurement" if changed else None


def require_operands(operands: Operands) -> None:
    """Compare the batches of all slots, and the rows they name, with what they were.

    Raises:
        Tampered: they are not.
    """
    changed = ids_changed(operands)
    if changed:
        raise Tampered(changed)
    rows = max(2, SPOT_ELEMENTS // operands.case.dim // len(operands.slots))
    for slot in operands.slots:
        operands.restore(slot.batch)
    for slot in operands.slots:
        _require_table(operands, slot.batch["indices"][-rows:])


def _require_table(operands: Operands, numbers: Host) -> None:
    """Compare rows of the table with what is stored there, and others by chance where calls write to it.

    Raises:
        Tampered: they differ.
    """
    case, kind = operands.case, operands.case.kind
    if kind.in_place:
        numbers = np.random.default_rng(len(numbers)).integers(0, case.vocab, len(numbers))
    if kind.table_differs(case, operands.stored, numbers):
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


def _same_memory(operands: Operands, a: Array, b: Array) -> bool:
    return operands.arrays.span(a) == operands.arrays.span(b)


def _overlaps(operands: Operands, a: Array, b: Array) -> bool:
    (a_start, a_end), (b_start, b_end) = operands.arrays.span(a), operands.arrays.span(b)
    return a_start < b_end and b_start < a_end
