"""PyTorch embedding under torch.compile, compiled once a table for any batch; allocates its result."""

import warnings
from functools import cache
from types import FunctionType
from typing import Any

from backends.base import Array, Backend, BackendUnavailable, Lookup


@cache
def _compiled(*_key: Any) -> Any:
    """A compiled lookup of one sort of table, kept while the process lives: to compile takes a second."""
    import torch

    def embedding(table: Array, ids: Array) -> Array:
        return torch.nn.functional.embedding(ids, table)

    # A code object of its own: one that has been compiled for 8 shapes is compiled for no more.
    fresh = FunctionType(embedding.__code__.replace(), globals(), closure=embedding.__closure__)
    return torch.compile(fresh, dynamic=False, fullgraph=True)


class TorchCompile(Backend):
    devices = ("cpu", "cuda")
    view = "values"
    packages = ("torch",)

    def prepare(self, table: Array, indices: Array, out: Array) -> Lookup:
        from torch._dynamo import mark_dynamic
        from torch._dynamo.exc import BackendCompilerFailed
        from torch._inductor import config

        config.compile_threads = 1  # else it keeps processes of its own, to compile in
        # Where operands are aligned it compiles for that, and copies those that then are not.
        aligned = tuple(array.data_ptr() % 16 for array in (table, indices))
        compiled = _compiled(table.shape, table.dtype, table.device, indices.dtype, aligned, len(indices) < 2)
        if len(indices) > 1:  # as engines do that serve models; one id is a shape of its own to torch
            mark_dynamic(indices, 0)
        try:
            with warnings.catch_warnings():  # of what torch itself uses that is deprecated
                warnings.simplefilter("ignore")
                compiled(table, indices)
        except BackendCompilerFailed as error:
            raise BackendUnavailable(str(error).strip().partition("\n")[0]) from error
        return lambda: compiled(table, indices)
