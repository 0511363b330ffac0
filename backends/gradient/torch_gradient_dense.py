"""PyTorch's dense embedding backward, as autograd calls it: allocates a gradient of all rows."""

from backends.base import Array, Backend, Lookup, Unsupported


class TorchGradientDense(Backend):
    operation = "gradient"
    devices = ("cpu", "cuda")
    view = "values"
    dtypes = ("float32", "float16", "bfloat16")
    packages = ("torch",)
    stream = "current"

    def prepare(self, indices: Array, gradients: Array, out: Array, variant: str, vocab: int) -> Lookup:
        import torch

        if variant != "dense":
            raise Unsupported("makes dense gradients")
        backward = torch.ops.aten.embedding_dense_backward
        return lambda: backward(gradients, indices, vocab, -1, False)
