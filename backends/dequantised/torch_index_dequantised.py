"""PyTorch operators one by one, as models are written: index, to floats, times scale; allocates each step."""

from backends.base import Array, Backend, Lookup
from backends.dequantised.base import layout_of


class TorchIndexDequantised(Backend):
    devices = ("cpu", "cuda")
    dtypes = ("float32", "float16", "bfloat16")
    view = "values"
    packages = ("torch",)
    stream = "current"
    operation = "dequantised"

    def prepare(self, table: Array, indices: Array, out: Array, variant: str, scales: Array = None) -> Lookup:
        import torch

        layout, dim, dtype = layout_of(variant), out.shape[1], out.dtype
        size, rows = layout.code_bytes(dim), table.view(torch.uint8)
        kind = {"fp8": torch.float8_e4m3fn, "signed": torch.int8}.get(layout.code, torch.uint8)
        end = layout.scales if layout.scales != 0 else None

        def codes_of(found: Array) -> Array:
            codes = found[:, layout.codes : layout.codes + size]
            if layout.code == "int4":
                codes = torch.stack((codes & 15, codes >> 4), 2).flatten(1)
            return codes.contiguous().view(kind).to(dtype)

        def lookup_inside() -> Array:
            found = rows[indices]
            pair = found[:, end:] if layout.scales else found[:, : layout.codes]
            scale, bias = pair.contiguous().view(getattr(torch, layout.scale)).to(dtype).split(1, 1)
            return torch.addcmul(bias, codes_of(found), scale)

        def lookup_apart() -> Array:
            factors = scales[indices]
            if layout.scale == "e8m0":
                factors = factors.view(torch.float8_e8m0fnu).to(dtype)
            codes = codes_of(rows[indices])
            codes = codes.add_(layout.offset) if layout.offset else codes
            return codes.unflatten(1, (factors.shape[1], -1)).mul_(factors.unsqueeze(2)).flatten(1)

        return lookup_inside if scales is None else lookup_apart
