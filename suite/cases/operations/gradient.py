"""Gradient: the gradients of a batch's rows become the gradient of the table, summed where ids repeat."""

from __future__ import annotations

from typing import Any

from suite.cases import exact
from suite.cases.dtypes import width_of
from suite.cases.operations.base import Array, Arrays, Batch, Case, Host, Operation, Stored


class Gradient(Operation):
    """``prepare(indices, gradients, out, variant, vocab)``: indices (batch,), gradients (batch, dim).

    ``dense``: the result is (vocab, dim), ``out`` or an array of its own; rows that no id names are zero.
    ``sparse``: the result is a coalesced torch sparse tensor, or a pair of arrays: the n distinct ids in
    order, and a row for each, (n, dim). ``out`` is (batch, dim), as there can be no more; of it the first n
    rows may be used. Gradients are whole numbers of a power of two, so few for each id that their sums are
    exact.
    """

    variants = ("dense", "sparse")
    has_table = False
    reference = "numpy_gradient"
    baselines = ("torch_gradient_dense", "torch_gradient_sparse", "numpy_gradient")

    def check(self, case: Case) -> None:
        require_variant(case, self.variants)
        require_exact(case)
        for axis, plain in (("placement", "memory"), ("offset", 0)):
            value = getattr(case, axis)
            if value != plain:
                raise ValueError(f"{axis} {value}: the operation gradient reads no table; give {plain}")

    def result(self, case: Case) -> tuple[int, int]:
        return (case.vocab if case.variant == "dense" else case.batch), case.dim

    def stored(self, case: Case) -> tuple[int, str]:
        return 0, case.dtype

    def row_bytes(self, case: Case) -> int:
        """Bytes of a row of the table whose gradient it is."""
        return case.dim * width_of(case.dtype)

    def table_name(self, case: Case) -> str:
        return "none"

    def dtypes(self, case: Case) -> dict[str, str]:
        return {"indices": case.index_dtype, "gradients": case.dtype, "out": case.dtype}

    def settings(self, case: Case) -> dict[str, Any]:
        return {"variant": case.variant, "vocab": case.vocab}

    def batch_bytes(self, case: Case) -> int:
        return case.batch * (width_of(case.index_dtype) + self.row_bytes(case))

    def payload_bytes(self, case: Case) -> int:
        return self.compulsory_bytes(case, case.batch)

    def compulsory_bytes(self, case: Case, distinct: int) -> int:
        row, index = self.row_bytes(case), width_of(case.index_dtype)
        written = case.vocab * row if case.variant == "dense" else distinct * (index + row)
        return self.batch_bytes(case) + written

    def ceiling_bytes(self, case: Case) -> int:
        return case.batch * self.row_bytes(case) + self.result_bytes(case)

    def rows(self, case: Case, numbers: Host) -> Host:
        raise NotImplementedError("there is no table")

    def fill(self, case: Case, arrays: Arrays, table: Array) -> None:
        """There is none."""

    def change_row(self, case: Case, stored: Stored, row: int) -> None:
        """There is none."""

    def table_differs(self, case: Case, stored: Stored, numbers: Host) -> bool:
        return False

    def draw(self, case: Case, ids: Host, seed: int) -> Batch:
        most = exact.MOST[case.dtype] // 2  # a spot check may give an id one gradient more
        return {"indices": ids, "gradients": exact.gradients(ids, case.dim, case.dtype, most, seed)}

    def touched(self, case: Case, batch: Batch, places: Host) -> Host:
        import numpy as np

        ids = batch["indices"]
        return ids[places] if case.variant == "dense" else np.searchsorted(np.unique(ids), ids[places])

    def right(self, case: Case, batch: Batch, picked: Host, changed: int | None = None) -> Host:
        import numpy as np

        ids, gradients = batch["indices"], batch["gradients"]
        if case.variant == "dense":
            return exact.bits_of(exact.sums(ids, gradients, case.dtype, picked)[0], case.dtype)
        distinct = np.unique(ids)
        there = picked[picked < len(distinct)]
        rows = exact.bits_of(exact.sums(ids, gradients, case.dtype, distinct[there])[0], case.dtype)
        return _with_ids(case, rows, distinct, picked)

    def snapshot(self, case: Case, arrays: Arrays, result: Any, picked: Host | None = None) -> Array:
        """As it says; of a sparse one each row is followed by its id and by how many rows there are."""
        import numpy as np

        if case.variant == "dense":
            return arrays.snapshot(result, case, picked)
        parts = self.parts(result)
        if len(parts) != 2:
            raise TypeError(f"returned {_said(result)}, not a coalesced sparse tensor nor ids and rows")
        ids = np.asarray(parts[0].cpu() if hasattr(parts[0], "cpu") else parts[0])
        if ids.ndim != 1 or ids.dtype.kind not in "iu" or len(ids) > case.batch:
            raise TypeError(
                f"returned {ids.dtype} of shape {ids.shape} for the ids, not at most ({case.batch},)"
            )
        picked = np.arange(case.batch) if picked is None else picked
        there = picked[picked < len(ids)]
        rows = arrays.on_host(arrays.snapshot(parts[1], case, there, (len(ids), case.dim)))
        return arrays.beside(_with_ids(case, rows, ids, picked))

    def parts(self, result: Any) -> tuple[Any, ...]:
        if getattr(result, "is_sparse", False):
            return (result._indices()[0], result._values()) if result.is_coalesced() else (result,)
        return tuple(result) if isinstance(result, tuple | list) else (result,)

    def wrong(self, case: Case, batch: Batch, row: int) -> str:
        import numpy as np

        if case.variant == "sparse":
            distinct = np.unique(batch["indices"])
            return f"that of id {distinct[row]}" if row < len(distinct) else "to be: there are no more ids"
        named = bool((batch["indices"] == row).any())
        return f"the sum of the gradients of id {row}" if named else "zero, though no id names it"


def require_variant(case: Case, variants: tuple[str, ...]) -> None:
    """Refuse a variant that is none of these.

    Raises:
        ValueError: one line.
    """
    if case.variant not in variants:
        given = f"variant {case.variant}: unknown" if case.variant else "variant: none given"
        raise ValueError(f"{given} to the operation {case.operation}; give one of {', '.join(variants)}")


def require_exact(case: Case) -> None:
    """Refuse a case whose sums would not be exact.

    Raises:
        ValueError: one line.
    """
    if case.dtype not in exact.MOST:
        what = f"there are no gradients of it; give one of {', '.join(exact.MOST)}"
        raise ValueError(f"dtype {case.dtype}: {what}")


def _with_ids(case: Case, rows: Host, ids: Host, picked: Host) -> Host:
    """A row for each of ``picked``, zeros after the last; beside it its id, or -1, and the number of ids."""
    import numpy as np

    inside = picked < len(ids)
    all_rows = np.zeros((len(picked), case.dim), rows.dtype)
    all_rows[inside] = rows
    named, count = np.full(len(picked), -1, np.int64), np.full(len(picked), len(ids), np.int64)
    named[inside] = ids[picked[inside]]
    return np.concatenate([all_rows, exact.words(named, case.dtype), exact.words(count, case.dtype)], axis=1)


def _said(result: Any) -> str:
    sparse = getattr(result, "is_sparse", False)
    return "an uncoalesced sparse tensor" if sparse else type(result).__name__
