"""NumPy update: gradients sorted by id and summed by add.reduceat, then a step; the reference, one thread."""

from backends.base import Array, Backend, Lookup


class NumpyUpdate(Backend):
    operation = "update"
    devices = ("cpu",)
    dtypes = ("float32", "float16")
    packages = ("numpy",)

    def prepare(
        self,
        table: Array,
        indices: Array,
        gradients: Array,
        out: Array,
        variant: str,
        learning_rate: float,
        eps: float,
        state: Array = None,
    ) -> Lookup:
        import numpy as np

        kind = {4: np.float32, 2: np.float16}[table.itemsize]
        weights, values = table.view(kind), gradients.view(kind)
        moments = None if state is None else state.view(np.float32)

        def update() -> Array:
            order = np.argsort(indices, kind="stable")
            ids = indices[order]
            first = np.flatnonzero(np.concatenate([[True], ids[1:] != ids[:-1]]))
            ids, rows = ids[first], np.add.reduceat(values[order], first, axis=0)
            if moments is not None:
                moment = moments[ids] + np.square(rows, dtype=np.float32).mean(1)
                moments[ids] = moment
                rows = (rows / (np.sqrt(moment) + np.float32(eps))[:, None]).astype(kind)
            weights[ids] -= kind(learning_rate) * rows
            return table

        return update
