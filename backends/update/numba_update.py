"""Numba update: sorts the ids, then threads change each row once, by the sum of its gradients in order."""

from functools import cache
from typing import Any

from backends.base import Array, Backend, Lookup
from backends.gradient.base import PARALLEL_ELEMENTS, Scratch, share, sorter, threaded


@cache
def _sgd() -> Any:
    from numba import njit

    between = share()

    def part(t: int, threads: int, found: int, gradients: Array, scratch: Any, target: Any) -> None:
        """The kernel: of each segment in this thread's share, row -= rate * gradient, one after the other."""
        order, starts, ids = scratch
        table, _, rate, _ = target
        for s in range(between(starts, found, t, threads), between(starts, found, t + 1, threads)):
            row = table[ids[s]]
            for i in range(starts[s], starts[s + 1]):
                for k in range(len(row)):
                    row[k] -= rate * gradients[order[i], k]

    return threaded(njit(nogil=True)(part))


@cache
def _adagrad() -> Any:
    import numpy as np
    from numba import njit

    between = share()

    def part(t: int, threads: int, found: int, gradients: Array, scratch: Any, target: Any) -> None:
        """The kernel: of each segment the sum, the mean of its squares into the state, and the step."""
        order, starts, ids = scratch
        table, state, rate, eps = target
        total = np.empty(table.shape[1], table.dtype)
        for s in range(between(starts, found, t, threads), between(starts, found, t + 1, threads)):
            total[:] = gradients[order[starts[s]]]
            for i in range(starts[s] + 1, starts[s + 1]):
                total += gradients[order[i]]
            row, squares = table[ids[s]], np.float32(0)
            for k in range(len(row)):
                squares += total[k] * total[k]
            state[ids[s]] += squares / np.float32(len(row))
            step = rate / (np.sqrt(state[ids[s]]) + eps)
            for k in range(len(row)):
                row[k] -= step * total[k]

    return threaded(njit(nogil=True)(part))


class NumbaUpdate(Backend):
    operation = "update"
    devices = ("cpu",)
    dtypes = ("float32",)
    packages = ("numba",)
    whose = "suite"

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
        import numba
        import numpy as np

        values, weights, batch = gradients.view(np.float32), table.view(np.float32), len(indices)
        moments = np.empty(0, np.float32) if state is None else state.view(np.float32)
        target = weights, moments, np.float32(learning_rate), np.float32(eps)
        scratch, sort, run = Scratch(batch, len(table)), sorter(), (_sgd if state is None else _adagrad)()
        segments = scratch.order, scratch.starts, scratch.ids
        threads = numba.get_num_threads() if gradients.size >= PARALLEL_ELEMENTS else 1

        def update() -> Array:
            run(threads, sort(indices, *scratch.arguments), values, segments, target)
            return table

        return update
