"""PyTorch's embedding backward with sparse=True, then coalesce, which optimisers do before they use it."""

from backends.base import Array, Backend, Lookup, Unsupported


class TorchGradientSparse(Backend):
    operation = "gradient"
    devices = ("cpu", "cuda")
    view = "values"
    dtypes = ("float32", "float16", "bfloat16")
    packages = ("torch",)

    def prepare(self, indices: Array, gradients: Array, out: Array, variant: str, vocab: int) -> Lookup:
        import torch

        if variant != "sparse":
            raise Unsupported("makes sparse gradients")
        if len(indices) == 1:
            raise Unsupported("of one id its result is the gradients it was given, nothing of its own")
        backward = torch.ops.aten.embedding_backward
        return lambda: backward(gradients, indices, vocab, -1, False, True).coalesce()
