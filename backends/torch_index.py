"""PyTorch advanced indexing, table[ids]: allocates its result, converts int32 ids on a GPU."""

from backends.base import Array, Backend, Lookup


class TorchIndex(Backend):
    devices = ("cpu", "cuda")
    view = "values"
    packages = ("torch",)
    stream = "current"

    def prepare(self, table: Array, indices: Array, out: Array) -> Lookup:
        return lambda: table[indices]
