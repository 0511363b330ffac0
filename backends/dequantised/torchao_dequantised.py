"""TorchAO Int8Tensor and Float8Tensor in embedding, which dequantises the whole table for each lookup."""

import logging

from backends.base import Array, Backend, Lookup
from backends.dequantised.base import layout_of


class TorchaoDequantised(Backend):
    devices = ("cpu", "cuda")
    dtypes = ("float32", "float16", "bfloat16")
    view = "values"
    packages = ("torchao", "torch")
    stream = "current"
    operation = "dequantised"

    def prepare(self, table: Array, indices: Array, out: Array, variant: str, scales: Array = None) -> Lookup:
        layout = layout_of(variant, "int8-signed", "fp8-row")
        logging.getLogger("torchao").setLevel(logging.CRITICAL)  # of kernels for other GPUs that don't load
        from torch.nn.functional import embedding
        from torchao.quantization import Float8Tensor, Int8Tensor

        kind = Float8Tensor if layout.code == "fp8" else Int8Tensor
        weight = kind(table, scales, block_size=[1, table.shape[1]], dtype=out.dtype)
        return lambda: embedding(indices, weight)
