"""SciPy: the bags as the rows of a sparse matrix, made at each call, times the table; one thread."""

from backends.base import Array, Backend, Lookup


class ScipyBag(Backend):
    devices = ("cpu",)
    view = "values"
    dtypes = ("float32",)
    packages = ("scipy", "numpy")
    operation = "bag"

    def prepare(
        self, table: Array, indices: Array, offsets: Array, out: Array, mode: str, weights: Array = None
    ) -> Lookup:
        import numpy as np
        from scipy.sparse import csr_array

        rows, ids, ends = table.numpy(), indices.numpy(), offsets.numpy()
        factors = np.ones(len(ids), rows.dtype) if weights is None else weights.numpy()
        shape = len(out), len(rows)

        def lookup() -> Array:
            data = factors
            if mode == "mean":
                lengths = np.diff(ends)
                data = np.repeat((1 / np.maximum(lengths, 1)).astype(rows.dtype), lengths)
            return csr_array((data, ids, ends), shape=shape) @ rows

        return lookup
