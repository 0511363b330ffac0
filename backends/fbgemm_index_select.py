"""FBGEMM index_select_dim0, ids left unsorted: allocates its result; on the CPU it calls torch's."""

from backends.base import Array, Backend, BackendUnavailable, Lookup


class FbgemmIndexSelect(Backend):
    devices = ("cpu", "cuda")
    view = "values"
    packages = ("fbgemm-gpu|fbgemm-gpu-cpu", "torch")

    def prepare(self, table: Array, indices: Array, out: Array) -> Lookup:
        import torch

        try:
            import fbgemm_gpu  # noqa: F401  # registers its operators with torch

            select = torch.ops.fbgemm.index_select_dim0.default
        except (ImportError, OSError, AttributeError) as error:
            raise BackendUnavailable(f"fbgemm_gpu does not fit torch {torch.__version__}: {error}") from error
        # It knows these types only, and copies their bits.
        like, kind = table.dtype, {1: torch.uint8, 2: torch.float16, 4: torch.float32}[table.element_size()]
        rows = table.view(kind)
        return lambda: select(rows, indices, 0, 0, True).view(like)
