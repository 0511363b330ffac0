"""JAX take, compiled by XLA for each shape: allocates its result, clamps ids, waits for the rows."""

import os
from typing import Any

from backends.base import Array, Backend, BackendUnavailable, Lookup, Unsupported, address

BOUNDARIES = {"cpu": 64, "cuda": 16}  # bytes; XLA copies arrays that do not start on one


class JaxTake(Backend):
    devices = ("cpu", "cuda")
    packages = ("jax>=0.8", "jaxlib")
    clock = "host"

    def __init__(self) -> None:
        self.compiled: dict[tuple[Any, ...], Any] = {}

    def prepare(self, table: Array, indices: Array, out: Array) -> Lookup:
        os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # else it reserves most of the GPU
        import jax

        def take(table: Array, ids: Array) -> Array:
            return jax.numpy.take(table, ids, axis=0, mode="clip")

        platform = str(table.device).partition(":")[0]
        boundary = BOUNDARIES[platform]

        def view(array: Array) -> Array:
            if address(array) % boundary:
                raise Unsupported(f"uses memory without a copy only on a boundary of {boundary} bytes")
            return jax.dlpack.from_dlpack(array, copy=False)

        try:
            jax.devices(platform)
        except RuntimeError as error:
            raise BackendUnavailable(" ".join(str(error).split())) from error
        with jax.enable_x64(True):  # without it int64 ids are copied to int32 once, and not read again
            rows, ids = view(table), view(indices)
            key = rows.shape, rows.dtype, ids.shape, ids.dtype, str(table.device)
            if key not in self.compiled:
                self.compiled[key] = jax.jit(take).lower(rows, ids).compile()
        compiled = self.compiled[key]
        # JAX arrays are immutable to JAX, but these are the suite's memory: a call reads what is there.
        return lambda: compiled(rows, ids).block_until_ready()
