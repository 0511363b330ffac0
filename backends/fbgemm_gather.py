"""FBGEMM gather_along_first_dim, rows copied by Hopper's TMA in bfloat16: allocates its result."""

from backends.base import Array, Backend, BackendUnavailable, Lookup, Unsupported

COLUMNS, BOUNDARY = 256, 16  # of a row; bytes. Otherwise FBGEMM silently calls torch's index_select


class FbgemmGather(Backend):
    devices = ("cuda",)
    view = "values"
    dtypes = ("bfloat16",)
    packages = ("fbgemm-gpu-genai", "torch")

    def prepare(self, table: Array, indices: Array, out: Array) -> Lookup:
        import torch

        if table.shape[1] % COLUMNS or table.data_ptr() % BOUNDARY:
            raise Unsupported(f"moves rows of multiples of {COLUMNS} elements, on {BOUNDARY}-byte boundaries")
        if torch.cuda.get_device_capability(table.device)[0] < 9:
            raise Unsupported("needs the TMA of compute capability 9.0 or later")
        try:
            import fbgemm_gpu.experimental.gen_ai  # noqa: F401  # registers its operators with torch

            gather = torch.ops.fbgemm.gather_along_first_dim.default
        except (ImportError, OSError, AttributeError) as error:
            raise BackendUnavailable(f"fbgemm_gpu does not fit torch {torch.__version__}: {error}") from error
        return lambda: gather(table, indices)
