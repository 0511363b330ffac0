"""NumPy takes the rows, then dequantises them: the reference implementation, one thread."""

from __future__ import annotations

from backends.base import Array, Backend, Lookup
from backends.dequantised.base import Layout, layout_of


def in_bits(values: Array) -> Array:
    """A torch tensor as a NumPy array of its type, of bfloat16 as int16, which NumPy has not."""
    import torch

    return (values.view(torch.int16) if values.dtype is torch.bfloat16 else values).numpy()


def floats(bits: Array, scale: str) -> Array:
    """What scales and biases are, as float32."""
    import numpy as np

    if scale == "e8m0":
        return np.ldexp(np.float32(1), bits.astype(np.int32) - 127)
    return (
        (bits.astype(np.int32) << 16).view(np.float32) if bits.dtype == np.int16 else bits.astype(np.float32)
    )


def values_of(layout: Layout) -> Array:
    """What each byte, or half of one, stands for (256,), before it is scaled."""
    import torch

    kind = {"fp8": torch.float8_e4m3fn, "signed": torch.int8}.get(layout.code, torch.uint8)
    # -0.0 changes nothing, where 0 would make 0.0 of a code that is -0.0.
    return (torch.arange(256, dtype=torch.uint8).view(kind).float() + (layout.offset or -0.0)).numpy()


class NumpyDequantised(Backend):
    devices = ("cpu",)
    dtypes = ("float32", "float16", "bfloat16")
    view = "values"
    packages = ("numpy",)
    operation = "dequantised"

    def prepare(self, table: Array, indices: Array, out: Array, variant: str, scales: Array = None) -> Lookup:
        import numpy as np
        import torch

        layout, (batch, dim) = layout_of(variant), out.shape
        size, values = layout.code_bytes(dim), values_of(layout)
        stored, ids, result = table.view(torch.uint8).numpy(), indices.numpy(), in_bits(out)
        apart = in_bits(scales) if scales is not None else None

        def lookup() -> Array:
            rows = stored[ids]
            codes = rows[:, layout.codes : layout.codes + size]
            if layout.code == "int4":
                codes = np.stack([codes & 15, codes >> 4], 2).reshape(batch, dim)
            if apart is None:
                ends = np.delete(rows, np.s_[layout.codes : layout.codes + size], 1)
                pair = floats(ends.view(layout.scale), "")
                right = values[codes] * pair[:, :1] + pair[:, 1:]
            else:
                factors = floats(apart[ids], layout.scale)[:, :, None]
                right = (values[codes].reshape(batch, factors.shape[1], -1) * factors).reshape(batch, dim)
            if result.dtype == np.int16:  # the nearest of bfloat16, or the even one of two
                bits = right.view(np.int32)
                right = bits + (bits >> 16 & 1) + 0x7FFF >> 16
            result[...] = right
            return out

        return lookup
