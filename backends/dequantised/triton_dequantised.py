"""Triton dequantises a tile of tokens by columns for each program, launched by Triton's own launcher."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import cache
from subprocess import CalledProcessError
from typing import Any

from backends.base import Array, Backend, BackendUnavailable, Lookup, Unsupported
from backends.dequantised.base import Layout, layout_of

tl: Any = None  # set in prepare; Triton finds the names a kernel uses among its module's globals
ELEMENTS, LEAST = 4096, 512
"""Of a tile; and of the least one, where there are few tokens."""


def dequantise_rows(  # type: ignore[no-untyped-def]
    table,
    ids,
    scales,
    out,
    batch,
    dim,
    size,
    stride,
    codes: tl.constexpr,
    first: tl.constexpr,
    kind: tl.constexpr,
    offset: tl.constexpr,
    e8m0: tl.constexpr,
    apart: tl.constexpr,
    block: tl.constexpr,
    high: tl.constexpr,
    wide: tl.constexpr,
):
    """The kernel: out[t, c] = code · scale + bias for one tile of tokens by columns; offsets have 64 bits."""
    token = tl.program_id(0).to(tl.int64) * high + tl.arange(0, high)
    column = tl.program_id(1) * wide + tl.arange(0, wide)
    known, inside = token < batch, (token < batch)[:, None] & (column < dim)[None, :]
    row = tl.load(ids + token, mask=known, other=0).to(tl.int64)
    byte = column // 2 if kind == "int4" else column
    code = tl.load(table + row[:, None] * size + (codes + byte)[None, :], mask=inside, other=0)
    if block:
        pair = scales + row[:, None] * stride + (column // block)[None, :]
        scale = tl.load(pair, mask=inside, other=0)
    else:
        pair = scales + row[:, None] * stride + first
        scale = tl.load(pair, mask=known[:, None], other=0)
    scale = (scale.to(tl.int32) << 23).to(tl.float32, bitcast=True) if e8m0 else scale.to(tl.float32)
    if kind == "fp8":  # its exponent and fraction are a half's, which has one bit more of exponent
        half = ((code & 0x80).to(tl.int16) << 8) | ((code & 0x7F).to(tl.int16) << 7)
        values = half.to(tl.float16, bitcast=True).to(tl.float32) * 256.0 * scale
    else:
        if kind == "int4":
            code = (code >> ((column & 1) * 4)[None, :].to(tl.uint8)) & 15
        if apart:
            values = (code.to(tl.float32) + offset) * scale
        else:
            bias = tl.load(pair + 1, mask=known[:, None], other=0).to(tl.float32)
            values = code.to(tl.float32) * scale + bias
    to = out + token[:, None] * dim + column[None, :]
    tl.store(to, values.to(out.dtype.element_ty), mask=inside, cache_modifier=".cs")


@cache
def compiler() -> Any:
    """One for all lookups, of which a case prepares up to a thousand: it compiles for new types only."""
    import triton

    return triton.jit(dequantise_rows)


def tile(dim: int, batch: int, processors: int) -> tuple[int, int]:
    """Tokens by columns of a program: powers of two; fewer tokens until each processor has two."""
    size = ELEMENTS
    while True:
        wide = min(size, 1 << (dim - 1).bit_length())
        high = size // wide
        if -(-batch // high) * -(-dim // wide) >= 2 * processors or size == LEAST:
            return high, wide
        size //= 2


def where_scales_are(layout: Layout, table: Array, scales: Array) -> tuple[Array, int, int]:
    """An array of scales, how many of its elements a row has, and which of them is the row's first scale."""
    import torch

    if layout.scales is None:
        return scales, scales.shape[1], 0
    kind = getattr(torch, layout.scale)
    if table.data_ptr() % kind.itemsize:
        raise Unsupported(f"reads scales on {kind.itemsize}-byte boundaries only")
    numbers = table.reshape(-1).view(kind)
    each = table.shape[1] // kind.itemsize
    return numbers, each, layout.scales // kind.itemsize % each


def configure(
    operands: tuple[Array, Array, Array, Array], variant: str, processors: int
) -> tuple[Callable[..., object], tuple[Any, ...]]:
    """The kernel bound to its grid, and its arguments, for table, ids, out and scales."""
    global tl  # noqa: PLW0603
    try:
        import torch
        import triton.language as tl
    except ImportError as error:
        raise BackendUnavailable(str(error)) from error
    (table, indices, out, scales), layout = operands, layout_of(variant)
    (batch, dim), rows = out.shape, table.view(torch.int8 if layout.code == "signed" else torch.uint8)
    numbers, stride, first = where_scales_are(layout, rows, scales)
    high, wide = tile(dim, batch, processors)
    constants = layout.codes, first, layout.code, layout.offset, layout.scale == "e8m0", layout.apart
    arguments = (rows, indices, numbers, out, batch, dim, rows.shape[1], stride)
    grid = -(-batch // high), -(-dim // wide)
    return compiler()[grid], (*arguments, *constants, layout.block, high, wide)


class TritonDequantised(Backend):
    devices = ("cuda",)
    dtypes = ("float32", "float16", "bfloat16")
    view = "values"
    packages = ("triton",)
    whose = "suite"
    stream = "current"
    operation = "dequantised"

    def prepare(self, table: Array, indices: Array, out: Array, variant: str, scales: Array = None) -> Lookup:
        import torch

        processors = torch.cuda.get_device_properties(table.device).multi_processor_count
        launch, arguments = configure((table, indices, out, scales), variant, processors)
        with warnings.catch_warnings():  # about float options, which exact products and sums do not use
            warnings.simplefilter("ignore", UserWarning)
            try:
                launch(*arguments)  # compiles
            except (OSError, CalledProcessError, RuntimeError) as error:
                if isinstance(error, RuntimeError) and "C compiler" not in str(error):
                    raise
                # For its launcher, not for the kernel: that it can't be had is no fault of the kernel.
                what = f"Triton needs a C compiler and Python's headers: {error}"
                raise BackendUnavailable(what) from error

        def lookup(_held: Array = (table, indices, scales)) -> Array:
            launch(*arguments)
            return out

        return lookup
