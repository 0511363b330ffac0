"""Operands of a case: its table, batches and outputs, laid out on one device for all its backends."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from backends import Backend, Lookup
from suite.cases.case import Case
from suite.cases.dtypes import BITS, width_of
from suite.cases.operations.base import Batch, Stored
from suite.engine.arrays import Array, Arrays, Host

GUARD_BYTES = 4096
"""Bytes before and after every output that no lookup may write to."""
GUARD_BYTE = 0x5A
_ALIGN = 64


def build_table(arrays: Arrays, case: Case) -> Array:
    """The table of a case as bits, at its offset into its memory; on the host read-only, unless it changes.

    Not of the placement ``file``, which ``table_file.mapped`` is for. Of an operation that reads none it has
    no columns.
    """
    columns, dtype = case.kind.stored(case)
    size = case.vocab * columns * width_of(dtype)
    memory = arrays.table_bytes(case.offset + size, case.placement)[case.offset :]
    table = arrays.view(memory, BITS[width_of(dtype)]).reshape(case.vocab, columns)
    case.kind.fill(case, arrays, table)
    return table


@dataclass(frozen=True, slots=True)
class Slot:
    """One batch, its operands on the device, and the output its rows go to.

    Attributes:
        batch: the operands as they are to be, on the host. given: the same on the device, by name.
        guards: before and after the output; of a result in place none.
    """

    batch: Batch
    given: Mapping[str, Array]
    out: Array
    guards: tuple[Array, ...]

    @property
    def indices(self) -> Array:
        """The ids."""
        return self.given["indices"]


@dataclass(frozen=True)
class Operands:
    """The operands of one case on one device, shared by all its backends.

    Attributes:
        beside: what belongs to the table, by name, such as the scales of its rows.
    """

    case: Case
    arrays: Arrays
    table: Array
    slots: tuple[Slot, ...]
    beside: Mapping[str, Array]

    @property
    def stored(self) -> Stored:
        """The table and what is beside it."""
        return Stored(self.arrays, self.table, self.beside)

    def of(self, slot: Slot, view: str) -> dict[str, Array]:
        """The operands of a slot by name, the table first and the output last, in the view asked for."""
        table = {"table": self.table} if self.case.kind.has_table else {}
        return self._viewed({**table, **slot.given, **self.beside, "out": slot.out}, view)

    def _viewed(self, bits: dict[str, Array], view: str) -> dict[str, Array]:
        if view == "bits":
            return bits
        dtypes, values = self.case.kind.dtypes(self.case), self.arrays.values
        return {name: values(array, dtypes[name]) for name, array in bits.items()}

    def prepared(self, backend: Backend, slot: Slot) -> Lookup:
        """What a backend prepares for a slot."""
        return self._prepared(backend, self.of(slot, backend.view))

    def _prepared(self, backend: Backend, given: dict[str, Array]) -> Lookup:
        if self.case.kind.by_position:
            return backend.prepare(*given.values())
        return backend.prepare(**given, **self.case.kind.settings(self.case))

    def aside(self, backend: Backend, case: Case, given: Batch) -> Host:
        """The bits that a backend makes of a table and a batch of their own, of a case that is like this one.

        Args:
            given: bits on the host, by name.
        """
        arrays = self.arrays
        bits = {name: _laid_out(arrays, [host])[0] for name, host in given.items()}
        (out, _), *_ = _outputs(case, arrays, 1)
        result = self._prepared(backend, self._viewed({**bits, "out": out}, backend.view))()
        arrays.synchronize()
        return arrays.on_host(case.kind.snapshot(case, arrays, result))

    def put(self, slot: Slot, batch: Batch) -> None:
        """Give a slot the operands of a batch."""
        for name, array in slot.given.items():
            self.arrays.put(array, batch[name])

    def holds(self, slot: Slot, batch: Batch) -> bool:
        """Whether a slot's operands are those of a batch."""
        arrays = self.arrays
        return all(bool((slot.given[name] == arrays.beside(host)).all()) for name, host in batch.items())

    @cached_property
    def named(self) -> Host:
        """The rows that the batches of the slots name, each once, in order."""
        return np.unique(np.concatenate([slot.batch["indices"] for slot in self.slots]))

    def restoring(self, *batches: Batch) -> Callable[[], None]:
        """A call that puts right what calls with these batches change in place; without any, all slots'."""
        if not self.case.kind.in_place:
            return lambda: None
        some = [batch["indices"] for batch in batches]
        numbers = np.unique(np.concatenate(some)) if some else self.named
        return self.case.kind.restoring(self.case, self.stored, numbers)

    def restore(self, *batches: Batch) -> None:
        """Put that right."""
        self.restoring(*batches)()

    def rebuild(self) -> None:
        """Write a table that calls change, and what is beside it, anew: nobody knows where it differs."""
        if self.case.kind.in_place:
            self.case.kind.fill(self.case, self.arrays, self.table)
            for name, host in self.case.kind.beside(self.case).items():
                self.arrays.put(self.beside[name], host)


def lay_out(
    case: Case, arrays: Arrays, table: Array, batches: list[Host], seed: int = 0, lengths: Host | None = None
) -> Operands:
    """Make the slots of a case.

    Args:
        batches: the ids of each. seed: of whatever else a call of the operation is given.
        lengths: of the bags of the file that the ids are from, where the case is of those.
    """
    kind = case.kind
    drawn = [
        kind.draw(case, ids, seed + number) if lengths is None else kind.of_trace(case, ids, lengths, number)
        for number, ids in enumerate(batches)
    ]
    given = {name: _laid_out(arrays, [batch[name] for batch in drawn]) for name in drawn[0]}
    outs = [(table, ())] * len(drawn) if kind.in_place else _outputs(case, arrays, len(drawn))
    slots = [
        Slot(batch, {name: some[number] for name, some in given.items()}, *outs[number])
        for number, batch in enumerate(drawn)
    ]
    beside = {name: arrays.beside(host) for name, host in kind.beside(case).items()}
    return Operands(case, arrays, table, tuple(slots), beside)


def _laid_out(arrays: Arrays, some: list[Host]) -> list[Array]:
    """An operand of all batches, aligned, in one piece of memory."""
    stride = -(-some[0].nbytes // _ALIGN) * _ALIGN
    memory = arrays.bytes(max(1, stride * len(some)))
    found = []
    for number, host in enumerate(some):
        part = memory[number * stride : number * stride + host.nbytes]
        found.append(arrays.view(part, str(host.dtype)).reshape(host.shape))
        arrays.put(found[-1], host)
    return found


def _outputs(case: Case, arrays: Arrays, count: int) -> list[tuple[Array, tuple[Array, ...]]]:
    """So many outputs, each with the guards around it."""
    shape, width = case.kind.result(case), width_of(case.dtype)
    size = math.prod(shape) * width
    stride = GUARD_BYTES + -(-(size + GUARD_BYTES) // _ALIGN) * _ALIGN
    memory = arrays.bytes(stride * count)
    memory[...] = GUARD_BYTE
    found = []
    for number in range(count):
        start = number * stride + GUARD_BYTES
        out = arrays.view(memory[start : start + size], BITS[width]).reshape(shape)
        guards = memory[start - GUARD_BYTES : start], memory[start + size : (number + 1) * stride]
        found.append((out, guards))
    return found
