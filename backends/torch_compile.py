"""PyTorch embedding under torch.compile, compiled for each shape before timing; allocates its result."""

import warnings
from types import FunctionType
from typing import Any

from backends.base import Array, Backend, BackendUnavailable, Lookup


class TorchCompile(Backend):
    devices = ("cpu", "cuda")
    view = "values"
    packages = ("torch",)

    def __init__(self) -> None:
        self.compiled: dict[tuple[Any, ...], Any] = {}

    def prepare(self, table: Array, indices: Array, out: Array) -> Lookup:
        import torch
        from torch._dynamo.exc import BackendCompilerFailed
        from torch._inductor import config

        config.compile_threads = 1  # else it keeps processes of its own, to compile in

        def embedding(table: Array, ids: Array) -> Array:
            return torch.nn.functional.embedding(ids, table)

        shape = (table.shape, table.dtype, table.device, indices.shape, indices.dtype)
        if shape not in self.compiled:
            # A code object of its own: one that has been compiled for 8 shapes is compiled for no more.
            fresh = FunctionType(embedding.__code__.replace(), globals(), closure=embedding.__closure__)
            self.compiled[shape] = torch.compile(fresh, dynamic=False, fullgraph=True)
        compiled = self.compiled[shape]
        try:
            with warnings.catch_warnings():  # of what torch itself uses that is deprecated
                warnings.simplefilter("ignore")
                compiled(table, indices)
        except BackendCompilerFailed as error:
            raise BackendUnavailable(str(error).strip().partition("\n")[0]) from error
        return lambda: compiled(table, indices)
