"""PyTorch quantized.embedding_bag_byte or _4bit_rowwise_offsets, a bag of each id: allocates its result."""

from backends.base import Array, Backend, Lookup
from backends.dequantised.base import layout_of


class TorchDequantised(Backend):
    devices = ("cpu",)
    dtypes = ("float32",)
    view = "values"
    packages = ("torch",)
    operation = "dequantised"

    def prepare(self, table: Array, indices: Array, out: Array, variant: str, scales: Array = None) -> Lookup:
        import torch

        layout, kernels = layout_of(variant, "int8-end", "int4-end"), torch.ops.quantized
        bits = "byte" if layout.code == "int8" else "4bit"
        look_up = getattr(kernels, f"embedding_bag_{bits}_rowwise_offsets").default
        rows, bags = table.view(torch.uint8), torch.arange(len(indices) + 1, dtype=indices.dtype)
        return lambda: look_up(rows, indices, bags, include_last_offset=True)
