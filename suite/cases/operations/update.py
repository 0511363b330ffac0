"""Update: the rows that a batch names are changed in the table by their gradients, as an optimiser does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from suite.cases import exact
from suite.cases.dtypes import width_of
from suite.cases.operations.base import Array, Batch, Case, Host, Operation, Stored
from suite.cases.operations.gradient import require_exact, require_variant

LEARNING_RATE = 2.0**-4
EPS = 1e-8
"""Too small to change a root of 1 or more."""
STATE_BYTES = 4
_GRID = exact.UNIT * LEARNING_RATE
"""Elements of the table are whole numbers of it, and so is every step of SGD."""


class Update(Operation):
    """``prepare(table, indices, gradients, out, variant, learning_rate, eps)``, and ``state`` (vocab,).

    The lookup changes the table, which is ``out``, in place and returns it. The gradients of an id that
    repeats are summed first: g. ``sgd``: row -= learning_rate · g. ``adagrad``, row-wise: state += mean(g²),
    then row -= learning_rate · g / (sqrt(state) + eps); the state is float32, one number a row.

    Elements and gradients are whole numbers of powers of two, so few that all sums are exact. Of ``adagrad``
    the elements of g are ±2^q, q being the row's, and its state was 0 or 3 · 4^q: the root is 2^q or 2^(q+1).
    """

    variants = ("sgd", "adagrad")
    in_place = True
    reference = "numpy_update"
    baselines = ("torch_update_sparse", "numpy_update")

    def check(self, case: Case) -> None:
        require_variant(case, self.variants)
        require_exact(case)

    def result(self, case: Case) -> tuple[int, int]:
        return case.vocab, case.dim

    def table_name(self, case: Case) -> str:
        return "update"

    def dtypes(self, case: Case) -> dict[str, str]:
        return {**super().dtypes(case), "gradients": case.dtype, "state": "float32"}

    def settings(self, case: Case) -> dict[str, Any]:
        return {"variant": case.variant, "learning_rate": LEARNING_RATE, "eps": EPS}

    def row_bytes(self, case: Case) -> int:
        return super().row_bytes(case) + (STATE_BYTES if case.variant == "adagrad" else 0)

    def batch_bytes(self, case: Case) -> int:
        return case.batch * (width_of(case.index_dtype) + case.dim * width_of(case.dtype))

    def payload_bytes(self, case: Case) -> int:
        return self.compulsory_bytes(case, case.batch)

    def compulsory_bytes(self, case: Case, distinct: int) -> int:
        return self.batch_bytes(case) + 2 * distinct * self.row_bytes(case)

    def ceiling_bytes(self, case: Case) -> int:
        return case.batch * (case.dim * width_of(case.dtype) + 2 * self.row_bytes(case))

    def rows(self, case: Case, numbers: Host) -> Host:
        return exact.bits_of(self._weights(case, numbers), case.dtype)

    def _weights(self, case: Case, numbers: Host) -> Host:
        import numpy as np

        # Of 16 or of 7 bits: with the gradients' sums they stay below what is exact.
        if case.dtype == "float32":
            return exact.hashed(numbers, case.dim, "float16") * np.float32(_GRID)
        return (exact.hashed(numbers, case.dim, "int8") >> 1) * np.float32(_GRID)

    def changed(self, case: Case, bits: Host) -> Host:
        return exact.bits_of(-exact.values_of(bits, case.dtype), case.dtype)

    def beside(self, case: Case) -> dict[str, Host]:
        import numpy as np

        if case.variant == "sgd":
            return {}
        return {"state": exact.bits_of(self._state(case, np.arange(case.vocab))[0], "float32")}

    def _state(self, case: Case, numbers: Host) -> tuple[Host, Host]:
        """The state of rows before any update, and the magnitude of their gradients: float32, (n,)."""
        import numpy as np

        hashed = exact.hashed(numbers, 2, "int8", case.dim)
        size = np.exp2((hashed[:, 0] & 127) % 3).astype(np.float32)
        return np.where(hashed[:, 1] < 0, np.float32(0), 3 * size * size), size

    def draw(self, case: Case, ids: Host, seed: int) -> Batch:
        import numpy as np

        most = exact.MOST[case.dtype]
        if case.variant == "sgd":
            return {"indices": ids, "gradients": exact.gradients(ids, case.dim, case.dtype, most // 4, seed)}
        distinct, place = np.unique(ids, return_inverse=True)
        signs = exact.hashed(distinct, case.dim, "int8", 1 + seed % 2**16) | 1  # other columns, other signs
        rows = np.sign(signs) * self._state(case, distinct)[1][:, None]
        values = rows[place] * exact.shares(ids, most // 2)[:, None]
        return {"indices": ids, "gradients": exact.bits_of(values, case.dtype)}

    def altered(self, case: Case, batch: Batch, place: int, row: int) -> Batch:
        """As it says; but of ``adagrad`` gradients belong to their rows, and to how often those repeat."""
        altered = super().altered(case, batch, place, row)
        return altered if case.variant == "sgd" else self.draw(case, altered["indices"], row)

    def touched(self, case: Case, batch: Batch, places: Host) -> Host:
        return batch["indices"][places]

    def right(self, case: Case, batch: Batch, picked: Host, changed: int | None = None) -> Host:
        import numpy as np

        weights = self._weights(case, picked)
        weights[picked == changed] *= -1
        gradient, named = exact.sums(batch["indices"], batch["gradients"], case.dtype, picked)
        if case.variant == "sgd":
            return exact.bits_of(weights - np.float32(LEARNING_RATE) * gradient, case.dtype)
        state, _ = self._state(case, picked)
        state[named] += np.square(gradient[named]).mean(1, dtype=np.float64).astype(np.float32)
        weights[named] -= np.float32(LEARNING_RATE) * gradient[named] / np.sqrt(state[named])[:, None]
        return self._together(case, exact.bits_of(weights, case.dtype), exact.bits_of(state, "float32"))

    def held(self, case: Case, stored: Stored, numbers: Host) -> Array:
        arrays = stored.arrays
        rows = super().held(case, stored, numbers)
        if case.variant == "sgd":
            return rows
        state = stored.beside["state"][arrays.beside(numbers)]
        return arrays.beside(self._together(case, arrays.on_host(rows), arrays.on_host(state)))

    def _together(self, case: Case, rows: Host, state: Host) -> Host:
        """Rows with the state of each behind them."""
        import numpy as np

        return np.concatenate([rows, exact.words(state, case.dtype)], axis=1)

    def table_differs(self, case: Case, stored: Stored, numbers: Host) -> bool:
        right = self.rows(case, numbers)
        if case.variant == "adagrad":
            right = self._together(case, right, exact.bits_of(self._state(case, numbers)[0], "float32"))
        return bool((stored.arrays.on_host(self.held(case, stored, numbers)) != right).any())

    def restoring(self, case: Case, stored: Stored, numbers: Host) -> Callable[[], None]:
        restore_rows = super().restoring(case, stored, numbers)
        if case.variant == "sgd":
            return restore_rows
        arrays, state = stored.arrays, stored.beside["state"]
        where = arrays.beside(numbers)
        right = arrays.beside(exact.bits_of(self._state(case, numbers)[0], "float32"))

        def restore() -> None:
            restore_rows()
            state[where] = right

        return restore

    def wrong(self, case: Case, batch: Batch, row: int) -> str:
        named = bool((batch["indices"] == row).any())
        state = " and its state" if case.variant == "adagrad" else ""
        return f"row {row} of the table{state} {'updated once' if named else 'as it was'}"
