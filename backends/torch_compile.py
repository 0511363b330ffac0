"""PyTorch embedding under torch.compile, compiled once per table for any batch; allocates its result."""

import warnings
from functools import cache
from types import FunctionType
from typing import Any

from backends.base import Array, Backend, BackendUnavailable, Lookup


@cache
def _compiled(*_key: Any) -> Any:
    """A compiled lookup for one kind of table, kept for the life of the process: compiling takes a second."""
    import torch

    def embedding(table: Array, ids: Array) -> Array:
        if not torch.compiler.is_compiling():  # what is compiled never comes here
            raise BackendUnavailable("torch.compile does not compile here: switched off, or it failed unsaid")
        return torch.nn.functional.embedding(ids, table)

    # A code object of its own, since torch compiles one for at most 8 shapes.
    fresh = FunctionType(embedding.__code__.replace(), globals(), closure=embedding.__closure__)
    return torch.compile(fresh, dynamic=False, fullgraph=True)


class TorchCompile(Backend):
    devices = ("cpu", "cuda")
    view = "values"
    packages = ("torch",)
    stream = "current"

    def prepare(self, table: Array, indices: Array, out: Array) -> Lookup:
        from torch._dynamo import mark_dynamic
        from torch._dynamo.exc import BackendCompilerFailed
        from torch._inductor import config

        config.compile_threads = 1  # else it keeps compiler processes of its own
        # If operands are aligned it compiles for that, and then copies those that are not.
        aligned = tuple(array.data_ptr() % 16 for array in (table, indices))
        compiled = _compiled(table.shape, table.dtype, table.device, indices.dtype, aligned, len(indices) < 2)
        if len(indices) > 1:  # as serving engines do; torch compiles a batch of one separately
            mark_dynamic(indices, 0)
        try:
            with warnings.catch_warnings():  # about deprecated things that torch itself uses
                warnings.simplefilter("ignore")
                compiled(table, indices)
        except BackendCompilerFailed as error:
            raise BackendUnavailable(str(error).strip().partition("\n")[0]) from error
        return lambda: compiled(table, indices)
