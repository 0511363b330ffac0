"""NVIDIA cuTile gather: a tile of tokens by columns for each block; checks every index."""

from functools import cache
from typing import Any

from backends.base import Array, Backend, BackendUnavailable, Lookup

ct: Any = None  # set in prepare; cuTile finds the names a kernel uses among its module's globals
TILE_BYTES = 8192


def gather_rows(table, ids, out, high, wide):  # type: ignore[no-untyped-def]
    """The kernel: out[t, c] = table[ids[t], c] for one tile; leaves out what is outside of an array."""
    token = ct.bid(0) * high + ct.arange(high, dtype=ct.int32)
    column = ct.bid(1) * wide + ct.arange(wide, dtype=ct.int32)
    row = ct.gather(ids, token)
    values = ct.gather(table, (row[:, None], column[None, :]))
    ct.scatter(out, (token[:, None], column[None, :]), values)


def tile(dim: int, item: int) -> tuple[int, int]:
    """Tokens and columns of a tile, powers of two."""
    wide = min(TILE_BYTES // item, 1 << (dim - 1).bit_length())
    return TILE_BYTES // item // wide, wide


@cache
def build() -> Any:
    """The kernel, compiled once for each type and tile; its tables may have more than 2^31 elements."""
    wide, constant = ct.IndexedWithInt64, ct.Constant[int]
    gather_rows.__annotations__ = {"table": wide, "out": wide, "high": constant, "wide": constant}
    return ct.kernel(gather_rows)


class CutileGather(Backend):
    devices = ("cuda",)
    packages = ("cuda-tile>=1.7",)
    whose = "suite"

    def prepare(self, table: Array, indices: Array, out: Array) -> Lookup:
        global ct  # noqa: PLW0603
        import torch

        try:
            import cuda.tile as ct
        except ImportError as error:
            raise BackendUnavailable(str(error)) from error

        high, wide = tile(out.shape[1], out.element_size())
        grid = -(-len(out) // high), -(-out.shape[1] // wide), 1
        kernel, launch, arguments = build(), ct.launch, (table, indices, out, high, wide)
        stream = torch.cuda.default_stream(table.device)
        try:
            launch(stream, grid, kernel, arguments)  # compiles
        except (ct.TileError, FileNotFoundError) as error:
            raise BackendUnavailable(str(error).strip().partition("\n")[0]) from error

        def lookup() -> Array:
            launch(stream, grid, kernel, arguments)
            return out

        return lookup
