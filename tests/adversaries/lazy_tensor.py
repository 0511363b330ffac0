"""Returns a tensor of a class of its own that gathers when it is read."""

import functools
from typing import Any

import torch

from backends.base import Array, Backend, Lookup


class Later(torch.Tensor):
    """Empty memory until DLPack or a function of torch touches it."""

    gather: Any

    @classmethod
    def __torch_function__(cls, function: Any, _: Any, given: Any = (), named: Any = None) -> Any:
        with torch._C.DisableTorchFunctionSubclass():
            real = [g.gather() if isinstance(g, cls) and hasattr(g, "gather") else g for g in given]
            return function(*real, **(named or {}))


class Adversary(Backend):
    devices = ("cpu",)
    view = "values"

    def prepare(self, table: Array, indices: Array, out: Array) -> Lookup:
        def lookup() -> Array:
            later = torch.empty(tuple(out.shape), dtype=out.dtype).as_subclass(Later)
            later.gather = functools.partial(table.__getitem__, indices.clone())
            return later

        return lookup
