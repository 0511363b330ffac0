"""JAX segment_sum of the rows taken, compiled by XLA for each shape: allocates its result, waits for it."""

import os
from typing import Any

from backends.base import Array, Backend, BackendUnavailable, Lookup, Unsupported, address

BOUNDARIES = {"cpu": 64, "cuda": 16}  # bytes; XLA copies arrays that do not start on one


class JaxBag(Backend):
    devices = ("cpu", "cuda")
    view = "values"
    dtypes = ("float32", "float16", "bfloat16")
    packages = ("jax>=0.8", "jaxlib", "torch")
    clock = "host"
    operation = "bag"

    def __init__(self) -> None:
        self.compiled: dict[tuple[Any, ...], Any] = {}

    def prepare(
        self, table: Array, indices: Array, offsets: Array, out: Array, mode: str, weights: Array = None
    ) -> Lookup:
        os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # else it reserves most of the GPU
        import jax
        from jax import numpy as jnp

        bags = len(out)

        def pooled(table: Array, ids: Array, ends: Array, factors: Array = None) -> Array:
            lengths = jnp.diff(ends)
            bag_of_id = jnp.repeat(jnp.arange(bags), lengths, total_repeat_length=len(ids))
            rows = jnp.take(table, ids, axis=0, mode="clip")
            rows = rows if factors is None else rows * factors[:, None]
            sums = jax.ops.segment_sum(rows, bag_of_id, num_segments=bags, indices_are_sorted=True)
            return sums / jnp.maximum(lengths, 1)[:, None].astype(sums.dtype) if mode == "mean" else sums

        platform = table.device.type
        if any(address(one) % BOUNDARIES[platform] for one in (table, indices, offsets)):
            raise Unsupported(
                f"uses memory without a copy only on a boundary of {BOUNDARIES[platform]} bytes"
            )
        try:
            jax.devices(platform)
        except RuntimeError as error:
            raise BackendUnavailable(" ".join(str(error).split())) from error
        given = [one for one in (table, indices, offsets, weights) if one is not None]
        with jax.enable_x64(True):  # without it int64 ids are copied to int32 once, and not read again
            arrays = [jax.dlpack.from_dlpack(one, copy=False) for one in given]
            key = mode, bags, *((one.shape, one.dtype) for one in arrays)
            if key not in self.compiled:
                self.compiled[key] = jax.jit(pooled).lower(*arrays).compile()
        compiled = self.compiled[key]
        # JAX arrays are immutable to JAX, but these are the suite's memory: a call reads what is there.
        return lambda: compiled(*arrays).block_until_ready()
