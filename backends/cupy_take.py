"""CuPy take into a given array: one thread and two integer divisions an element; ids wrap around."""

from backends.base import Array, Backend, BackendUnavailable, Lookup


class CupyTake(Backend):
    devices = ("cuda",)
    packages = ("cupy-cuda13x|cupy-cuda12x|cupy",)

    def prepare(self, table: Array, indices: Array, out: Array) -> Lookup:
        try:
            import cupy
        except ImportError as error:
            raise BackendUnavailable(str(error).strip().partition("\n")[0]) from error

        cupy.cuda.Device(table.device.index).use()
        rows, ids, result = map(cupy.asarray, (table, indices, out))  # views of the same memory
        rows.take(ids, 0, result)  # compiles

        def lookup() -> Array:
            rows.take(ids, 0, result)  # on CuPy's current stream, which is CUDA's legacy default stream
            return out

        return lookup
