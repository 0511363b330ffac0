"""Numba update: each thread changes rows of its own; for a state, once, by the sum of sorted gradients."""

from functools import cache
from typing import Any

from backends.base import Array, Backend, Lookup
from backends.gradient.base import AHEAD, PARALLEL_ELEMENTS, Scratch, asker, share, sorter, threaded

SPREAD, BITS = 0x9E3779B97F4A7C15, 24
"""An odd number near 2^64 over the golden ratio, and the bits of a product of it that say whose a row is."""


@cache
def _sgd() -> Any:
    import numpy as np
    from numba import njit

    ask, spread, rest, bits = asker(), np.uint64(SPREAD), np.uint64(64 - BITS), np.uint64(BITS)

    def owner_of(row: int, threads: int) -> int:
        """The kernel: whose a row is, strewn."""
        return int((np.uint64(row) * spread >> rest) * np.uint64(threads) >> bits)

    owner = njit(nogil=True)(owner_of)

    def part(t: int, threads: int, _found: int, gradients: Array, ids: Array, target: Any) -> None:
        """The kernel: row -= rate * gradient, in order, of the rows that are this thread's."""
        table, _, rate, _ = target
        for i in range(-AHEAD, len(ids)):
            later = ids[min(i + AHEAD, len(ids) - 1)]
            if owner(later, threads) == t:
                ask(table, later)
            if i >= 0 and owner(ids[i], threads) == t:
                row = table[ids[i]]
                for k in range(len(row)):
                    row[k] -= rate * gradients[i, k]

    return threaded(njit(nogil=True)(part))


@cache
def _adagrad() -> Any:
    import numpy as np
    from numba import njit

    between, ask = share(), asker()

    def part(t: int, threads: int, found: int, gradients: Array, scratch: Any, target: Any) -> None:
        """The kernel: of each segment the sum, the mean of its squares into the state, and the step."""
        order, starts, ids = scratch
        table, state, rate, eps = target
        total = np.empty(table.shape[1], table.dtype)
        for s in range(between(starts, found, t, threads), between(starts, found, t + 1, threads)):
            ask(gradients, order[min(starts[s] + AHEAD, len(order) - 1)])
            ask(table, ids[min(s + AHEAD, found - 1)])
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
        threads = numba.get_num_threads() if gradients.size >= PARALLEL_ELEMENTS else 1
        scratch, sort, run = Scratch(batch, len(table)), sorter(), (_sgd if state is None else _adagrad)()
        segments = scratch.order, scratch.starts, scratch.ids

        def sgd() -> Array:
            run(threads, 0, values, indices, target)
            return table

        def adagrad() -> Array:
            run(threads, sort(indices, *scratch.arguments), values, segments, target)
            return table

        return sgd if state is None else adagrad
