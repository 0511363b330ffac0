"""PyTorch nn.functional.embedding, as a model calls it: allocates its result."""

from backends.base import Array, Backend, Lookup


class TorchEmbedding(Backend):
    devices = ("cpu", "cuda")
    view = "values"
    packages = ("torch",)
    stream = "current"

    def prepare(self, table: Array, indices: Array, out: Array) -> Lookup:
        from torch.nn.functional import embedding

        return lambda: embedding(indices, table)
