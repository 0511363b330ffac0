"""NumPy add.reduceat over the rows taken: the reference implementation; bfloat16 by way of float32."""

from backends.base import Array, Backend, Lookup


class NumpyBag(Backend):
    devices = ("cpu",)
    view = "values"
    dtypes = ("float32", "float16", "bfloat16")
    packages = ("numpy",)
    operation = "bag"

    def prepare(
        self, table: Array, indices: Array, offsets: Array, out: Array, mode: str, weights: Array = None
    ) -> Lookup:
        import numpy as np
        import torch

        brief = table.dtype == torch.bfloat16  # unknown to NumPy: seen as the upper halves of float32

        def seen(array: Array) -> Array:
            return (array.view(torch.int16) if brief else array).numpy()

        def wide(bits: Array) -> Array:
            return (bits.astype(np.int32) << 16).view(np.float32) if brief else bits

        rows, ids, ends, result = seen(table), indices.numpy(), offsets.numpy(), seen(out)
        factors = None if weights is None else seen(weights)

        def lookup() -> Array:
            terms = wide(rows[ids])
            if factors is not None:
                terms = terms * wide(factors)[:, None]
            lengths = np.diff(ends)
            full = np.flatnonzero(lengths)  # of an empty bag reduceat gives the row that follows, or fails
            sums = np.zeros(result.shape, terms.dtype)
            if len(full):
                sums[full] = np.add.reduceat(terms, ends[full], axis=0)
            if mode == "mean":
                sums /= np.maximum(lengths, 1)[:, None].astype(sums.dtype)
            if brief:  # to the nearest of bfloat16, to an even one of two
                bits = sums.view(np.int32)
                sums = (bits + 0x7FFF + (bits >> 16 & 1)) >> 16
            result[...] = sums
            return result

        return lookup
