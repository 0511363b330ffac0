"""NumPy takes the rows, then dequantises them: the reference implementation, one thread."""

from backends.base import Array, Backend, Lookup
from backends.dequantised.base import layout_of


def floats(bits: Array, scale: str) -> Array:
    """Scales and biases as float32; int16 are the bits of bfloat16, which NumPy has not."""
    import numpy as np

    if scale == "e8m0":
        return np.ldexp(np.float32(1), bits.astype(np.int32) - 127)
    return (
        (bits.astype(np.int32) << 16).view(np.float32) if bits.dtype == np.int16 else bits.astype(np.float32)
    )


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
        stored, ids = table.view(torch.uint8).numpy(), indices.numpy()
        codes = np.s_[layout.codes : layout.codes + layout.code_bytes(dim)]
        kind = {"fp8": torch.float8_e4m3fn, "signed": torch.int8}.get(layout.code, torch.uint8)
        # -0.0 changes nothing, where 0 would make 0.0 of a code that is -0.0.
        values = (torch.arange(256, dtype=torch.uint8).view(kind).float() + (layout.offset or -0.0)).numpy()
        result, apart = (
            (array.view(torch.int16) if array.dtype is torch.bfloat16 else array).numpy()
            for array in (out, out if scales is None else scales)
        )

        def lookup() -> Array:
            rows = stored[ids]
            found = rows[:, codes]
            if layout.code == "int4":
                found = np.stack([found & 15, found >> 4], 2).reshape(batch, dim)
            if scales is None:
                pair = floats(np.delete(rows, codes, 1).view(layout.scale), "")
                right = values[found] * pair[:, :1] + pair[:, 1:]
            else:
                factors = floats(apart[ids], layout.scale)[:, :, None]
                right = (values[found].reshape(batch, factors.shape[1], -1) * factors).reshape(batch, dim)
            if result.dtype == np.int16:  # the nearest of bfloat16, or the even one of two
                bits = right.view(np.int32)
                right = bits + (bits >> 16 & 1) + 0x7FFF >> 16
            result[...] = right
            return out

        return lookup
