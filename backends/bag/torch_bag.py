"""PyTorch nn.functional.embedding_bag, as a model calls it: allocates its result."""

from backends.base import Array, Backend, Lookup


class TorchBag(Backend):
    devices = ("cpu", "cuda")
    view = "values"
    dtypes = ("float32", "float16", "bfloat16")
    packages = ("torch",)
    stream = "current"
    operation = "bag"

    def prepare(
        self, table: Array, indices: Array, offsets: Array, out: Array, mode: str, weights: Array = None
    ) -> Lookup:
        from torch.nn.functional import embedding_bag

        return lambda: embedding_bag(
            indices, table, offsets, mode=mode, per_sample_weights=weights, include_last_offset=True
        )
