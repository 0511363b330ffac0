"""FBGEMM table-batched lookup of n-bit rows (int_nbit_split_embedding): one table; allocates its result."""

from backends.base import Array, Backend, BackendUnavailable, Lookup
from backends.dequantised.base import layout_of

TYPES = {"int8": 2, "int4": 3}  # FBGEMM's numbers of what is stored
RESULTS = {"float32": 0, "float16": 1, "bfloat16": 5}  # and of what is returned
ON_HOST, NO_POOLING = 3, 2


class FbgemmDequantised(Backend):
    devices = ("cpu",)
    dtypes = ("float32", "float16", "bfloat16")
    view = "values"
    packages = ("fbgemm-gpu|fbgemm-gpu-cpu", "torch")
    operation = "dequantised"

    def prepare(self, table: Array, indices: Array, out: Array, variant: str, scales: Array = None) -> Lookup:
        import torch

        layout, dim = layout_of(variant, "int8-start", "int4-start"), out.shape[1]
        try:
            import fbgemm_gpu  # noqa: F401  # registers its operators with torch

            look_up = torch.ops.fbgemm.int_nbit_split_embedding_codegen_lookup_function.default
        except (ImportError, OSError, AttributeError) as error:
            raise BackendUnavailable(f"fbgemm_gpu does not fit torch {torch.__version__}: {error}") from error

        def numbers(*some: int, dtype: torch.dtype = torch.int32) -> Array:
            return torch.tensor(some, dtype=dtype)

        weights, nothing = table.view(torch.uint8).reshape(-1), torch.empty(0, dtype=torch.uint8)
        kind = numbers(TYPES[layout.code], dtype=torch.uint8)
        tables = (weights, nothing, numbers(ON_HOST), numbers(0, dtype=torch.int64), kind, numbers(0, dim))
        widest = [0, dim * (layout.code == "int4"), dim * (layout.code == "int8"), 0, 0]
        bags = torch.arange(len(indices) + 1, dtype=indices.dtype)
        calls = (indices, bags, NO_POOLING, None, RESULTS[str(out.dtype).removeprefix("torch.")])
        more = {"row_alignment": 1}  # rows follow each other
        return lambda: look_up(*tables, dim, *widest, *calls, **more)
