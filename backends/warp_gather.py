"""NVIDIA Warp kernel: rows seen as the widest integers that fit; one thread on the CPU."""

from functools import cache
from types import FunctionType
from typing import Any

from backends.base import Array, Backend, Lookup, address

wp: Any = None  # set in prepare; Warp finds the names a kernel uses among its module's globals


def gather_rows(table, ids, out, lanes):  # type: ignore[no-untyped-def]
    """The kernel: out[t, c] = table[ids[t], c]; the lanes of a token share its columns."""
    token, lane = wp.tid()
    row = ids[token]
    for column in range(lane, out.shape[1], lanes):
        out[token, column] = table[row, column]


@cache
def kernel(width: int, index_width: int) -> Any:
    """The kernel for elements and ids of these widths, in a module of its own."""
    kind, number = (getattr(wp, f"int{8 * w}") for w in (width, index_width))
    typed = FunctionType(gather_rows.__code__, globals(), gather_rows.__name__)
    rows = wp.array(dtype=kind, ndim=2)
    typed.__annotations__ = {"table": rows, "ids": wp.array(dtype=number), "out": rows, "lanes": wp.int32}
    return wp.kernel(typed, module="unique", enable_backward=False)


class WarpGather(Backend):
    devices = ("cpu", "cuda")
    packages = ("warp-lang>=1.19",)
    whose = "suite"

    def prepare(self, table: Array, indices: Array, out: Array) -> Lookup:
        global wp  # noqa: PLW0603
        import warp as wp

        wp.config.log_level = wp.LOG_ERROR  # else it prints every compilation to standard output
        place = str(table.device)
        row_bytes = table.shape[1] * table.itemsize
        bits = row_bytes | address(table) | address(out) | 8
        width = bits & -bits
        columns = row_bytes // width

        def view(array: Array, width: int, *shape: int) -> Any:
            kind = getattr(wp, f"int{8 * width}")
            return wp.array(ptr=address(array), dtype=kind, shape=shape, device=place, copy=False)

        rows, result = view(table, width, len(table), columns), view(out, width, len(out), columns)
        ids = view(indices, indices.itemsize, len(indices))
        lanes = 1 if place == "cpu" else columns
        work, operands = kernel(width, indices.itemsize), [rows, ids, result, lanes]
        launch = wp.launch(work, dim=(len(out), lanes), inputs=operands, device=place, record_cmd=True).launch
        stream = None if place == "cpu" else wp.Stream(place, cuda_stream=None)  # CUDA's legacy default one

        def lookup(_held: Array = (table, indices)) -> Array:
            launch(stream)
            return out

        return lookup
