"""NumPy gradient: rows sorted by their ids and summed by add.reduceat; the reference, one thread."""

from backends.base import Array, Backend, Lookup


class NumpyGradient(Backend):
    operation = "gradient"
    devices = ("cpu",)
    dtypes = ("float32", "float16")
    packages = ("numpy",)

    def prepare(self, indices: Array, gradients: Array, out: Array, variant: str, vocab: int) -> Lookup:
        import numpy as np

        kind = {4: np.float32, 2: np.float16}[out.itemsize]
        values, result = gradients.view(kind), out.view(kind)

        def summed() -> tuple[Array, Array]:
            order = np.argsort(indices, kind="stable")
            ids = indices[order]
            first = np.flatnonzero(np.concatenate([[True], ids[1:] != ids[:-1]]))
            return ids[first], np.add.reduceat(values[order], first, axis=0)

        def dense() -> Array:
            ids, rows = summed()
            result[...] = 0
            result[ids] = rows
            return result

        return dense if variant == "dense" else summed
