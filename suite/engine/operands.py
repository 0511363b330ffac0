"""Operands of a case: its table, ids and outputs, laid out on one device for all its backends."""

from __future__ import annotations

from dataclasses import dataclass

from suite.cases.case import DTYPE_BYTES, Case
from suite.engine.arrays import Array, Arrays, Host
from suite.engine.formula import BITS

GUARD_BYTES = 4096
"""Bytes before and after every output that no lookup may write to."""
GUARD_BYTE = 0x5A
_ALIGN = 64


def build_table(
    arrays: Arrays, vocab: int, dim: int, dtype: str, offset: int = 0, placement: str = "memory"
) -> Array:
    """The (vocab, dim) table of a dtype, as bits, ``offset`` bytes into its memory; read-only on the host.

    Args:
        placement: any that its device has but ``file``, which ``table_file.mapped`` is for.
    """
    memory = arrays.table_bytes(offset + vocab * dim * DTYPE_BYTES[dtype], placement)[offset:]
    table = arrays.view(memory, BITS[DTYPE_BYTES[dtype]]).reshape(vocab, dim)
    arrays.fill_table(table, dtype)
    return table


@dataclass(frozen=True, slots=True)
class Slot:
    """One batch of ids and the output its rows go to, with the guards around that output."""

    batch: Host
    indices: Array
    out: Array
    guards: tuple[Array, Array]


@dataclass(frozen=True, slots=True)
class Operands:
    """The operands of one case on one device, shared by all its backends."""

    case: Case
    arrays: Arrays
    table: Array
    slots: tuple[Slot, ...]

    def of(self, slot: Slot, view: str) -> tuple[Array, Array, Array]:
        """Table, ids and output of a slot, in the view that a backend asks for."""
        if view == "bits":
            return self.table, slot.indices, slot.out
        dtype, values = self.case.dtype, self.arrays.values
        return values(self.table, dtype), values(slot.indices, self.case.index_dtype), values(slot.out, dtype)


def lay_out(case: Case, arrays: Arrays, table: Array, batches: list[Host]) -> Operands:
    """Make the slots of a case, one for each batch of ids."""
    ids_stride = -(-case.ids_bytes // _ALIGN) * _ALIGN
    stride = GUARD_BYTES + -(-(case.rows_bytes + GUARD_BYTES) // _ALIGN) * _ALIGN
    ids_memory = arrays.bytes(ids_stride * len(batches))
    memory = arrays.bytes(stride * len(batches))
    memory[...] = GUARD_BYTE
    slots = []
    for number, batch in enumerate(batches):
        ids_at = number * ids_stride
        indices = arrays.view(ids_memory[ids_at : ids_at + case.ids_bytes], case.index_dtype)
        arrays.put(indices, batch)
        start = number * stride + GUARD_BYTES
        end = start + case.rows_bytes
        out = arrays.view(memory[start:end], BITS[DTYPE_BYTES[case.dtype]]).reshape(case.batch, case.dim)
        guards = memory[start - GUARD_BYTES : start], memory[end : (number + 1) * stride]
        slots.append(Slot(batch, indices, out, guards))
    return Operands(case, arrays, table, tuple(slots))
