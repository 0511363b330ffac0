"""Numba gradient: sorts the ids, then threads write each row once: a sum in order, or zeros if dense."""

from functools import cache
from typing import Any

from backends.base import Array, Backend, Lookup
from backends.gradient.base import AHEAD, PARALLEL_ELEMENTS, Scratch, asker, share, sorter, threaded


@cache
def _adder() -> Any:
    from numba import njit

    def add(s: int, gradients: Array, order: Array, starts: Array, row: Array) -> None:
        """The kernel: the sum of a segment's gradients, in their order."""
        for k in range(len(row)):
            row[k] = gradients[order[starts[s]], k]
        for i in range(starts[s] + 1, starts[s + 1]):
            for k in range(len(row)):
                row[k] += gradients[order[i], k]

    return njit(nogil=True)(add)


@cache
def _sparse() -> Any:
    from numba import njit

    add, between, ask = _adder(), share(), asker()

    def part(t: int, threads: int, found: int, gradients: Array, scratch: Any, out: Array) -> None:
        """The kernel: the segments that begin in this thread's share of the places."""
        order, starts, _ = scratch
        for s in range(between(starts, found, t, threads), between(starts, found, t + 1, threads)):
            ask(gradients, order[min(starts[s] + AHEAD, len(order) - 1)])
            add(s, gradients, order, starts, out[s])

    return threaded(njit(nogil=True)(part))


@cache
def _dense() -> Any:
    import numpy as np
    from numba import njit

    add = _adder()

    def first_of(t: int, threads: int, found: int, starts: Array, ids: Array, vocab: int) -> int:
        """The kernel: where a thread's rows begin; a row costs as much as a gradient that is added."""
        low, high, most = 0, vocab, t * (vocab + starts[found]) // threads
        while low < high:
            row = (low + high) // 2
            if row + starts[np.searchsorted(ids[:found], row)] < most:
                low = row + 1
            else:
                high = row
        return low

    begin = njit(nogil=True)(first_of)

    def part(t: int, threads: int, found: int, gradients: Array, scratch: Any, out: Array) -> None:
        """The kernel: this thread's rows, one after the other."""
        order, starts, ids = scratch
        first = begin(t, threads, found, starts, ids, len(out))
        s = np.searchsorted(ids[:found], first)
        for row in range(first, begin(t + 1, threads, found, starts, ids, len(out))):
            if s < found and ids[s] == row:
                add(s, gradients, order, starts, out[row])
                s += 1
            else:
                out[row, :] = 0

    return threaded(njit(nogil=True)(part))


class NumbaGradient(Backend):
    operation = "gradient"
    devices = ("cpu",)
    dtypes = ("float32",)
    packages = ("numba",)
    whose = "suite"

    def prepare(self, indices: Array, gradients: Array, out: Array, variant: str, vocab: int) -> Lookup:
        import numba
        import numpy as np

        values, result = gradients.view(np.float32), out.view(np.float32)
        batch, dim = gradients.shape
        many = (vocab if variant == "dense" else batch) * dim >= PARALLEL_ELEMENTS
        scratch, sort, threads = Scratch(batch, vocab), sorter(), numba.get_num_threads() if many else 1
        run = (_dense if variant == "dense" else _sparse)()
        segments = scratch.order, scratch.starts, scratch.ids

        def dense() -> Array:
            run(threads, sort(indices, *scratch.arguments), values, segments, result)
            return result

        def sparse() -> tuple[Array, Array]:
            found = sort(indices, *scratch.arguments)
            run(threads, found, values, segments, result)
            return scratch.ids[:found], result[:found]

        return dense if variant == "dense" else sparse
