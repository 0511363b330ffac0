"""PyTorch index_select into a given tensor."""

from backends.base import Array, Backend, Lookup


class TorchIndexSelect(Backend):
    devices = ("cpu", "cuda")
    view = "values"
    packages = ("torch",)
    stream = "current"

    def prepare(self, table: Array, indices: Array, out: Array) -> Lookup:
        import torch

        index_select = torch.index_select
        return lambda: index_select(table, 0, indices, out=out)
