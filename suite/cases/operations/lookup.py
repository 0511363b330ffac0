"""Lookup: row ``indices[t]`` of the table is row ``t`` of the result, as it is."""

from __future__ import annotations

from typing import Any

from suite.cases import formula
from suite.cases.dtypes import BITS, width_of
from suite.cases.operations.base import Array, Arrays, Batch, Case, Host, Operation, Stored


class Lookup(Operation):
    """``prepare(table, indices, out)``: table (vocab, dim), indices (batch,), out (batch, dim)."""

    by_position = True
    reference = "numpy_take"
    baselines = ("torch_embedding", "torch_index_select", "numpy_take")

    def rows(self, case: Case, numbers: Host) -> Host:
        import numpy as np

        bits = np.empty((len(numbers), case.dim), BITS[width_of(case.dtype)])
        for where, part in formula.expected(
            numbers, case.dim, case.dtype, lambda shape: np.empty(shape, np.int32)
        ):
            bits[where] = part
        return bits

    def fill(self, case: Case, arrays: Arrays, table: Array) -> None:
        arrays.fill_table(table, case.dtype)

    def change_row(self, case: Case, stored: Stored, row: int) -> None:
        stored.arrays.invert_row(stored.table, row)

    def table_differs(self, case: Case, stored: Stored, numbers: Host) -> bool:
        bits = stored.table[stored.arrays.beside(numbers)]
        return bool(self.differing(case, stored.arrays, bits, {"indices": numbers}, slice(None)))

    def right(self, case: Case, batch: Batch, picked: Host, changed: int | None = None) -> Host:
        numbers = batch["indices"][picked]
        bits = self.rows(case, numbers)
        bits[numbers == changed] ^= -1
        return bits

    def differing(
        self, case: Case, arrays: Arrays, bits: Array, batch: Batch, picked: Host, changed: int | None = None
    ) -> list[int]:
        """As it says, but on the device of the result, and on the host by all threads."""
        numbers = arrays.beside(batch["indices"][picked])
        on_gpu = arrays.device.is_gpu
        chunk = formula.CUDA_CHUNK if on_gpu else formula.HOST_CHUNK

        def wrong(part: slice) -> list[int]:
            differ: list[int] = []
            rows = numbers[part]
            for where, right in formula.expected(rows, case.dim, case.dtype, arrays.empty, chunk):
                got = bits[part][where]
                if changed is not None:
                    right[rows[where] == changed] ^= -1
                bad = (got != right).any(1)
                if bool(bad.any()):
                    start = part.start + where.start
                    differ += [start + i for i, is_bad in enumerate(bad.tolist()) if is_bad]
            return differ

        # A few rows are hashed sooner than threads hand over the interpreter's lock.
        many = not on_gpu and len(numbers) * case.dim > formula.HOST_CHUNK
        parts: list[Any] = formula.parallel(wrong, len(numbers)) if many else [wrong(slice(0, len(numbers)))]
        return [row for part in parts for row in part]

    def wrong(self, case: Case, batch: Batch, row: int) -> str:
        return f"table row {int(batch['indices'][row])}"
