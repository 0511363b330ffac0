"""FBGEMM's table batched embeddings, forward as in training, over this table: allocates its result."""

import warnings
from typing import Any

from backends.base import Array, Backend, BackendUnavailable, Lookup, Unsupported


def made(table: Array, mode: str) -> Any:
    """Its module of one table, which is this one and no copy."""
    import torch

    try:
        with warnings.catch_warnings():  # of optional parts that the wheel lacks
            warnings.simplefilter("ignore")
            from fbgemm_gpu import split_table_batched_embeddings_ops_common as common
            from fbgemm_gpu import split_table_batched_embeddings_ops_training as training
            from fbgemm_gpu.split_embedding_configs import SparseType
    except (ImportError, OSError, AttributeError) as error:
        raise BackendUnavailable(f"fbgemm_gpu does not fit torch {torch.__version__}: {error}") from error
    kind = SparseType.FP32 if table.dtype == torch.float32 else SparseType.FP16
    try:
        return training.SplitTableBatchedEmbeddingBagsCodegen(
            [(*table.shape, common.EmbeddingLocation.HOST, training.ComputeDevice.CPU)],
            weights_precision=kind,
            output_dtype=kind,
            pooling_mode=common.PoolingMode.MEAN if mode == "mean" else common.PoolingMode.SUM,
            stochastic_rounding=False,
            bounds_check_mode=common.BoundsCheckMode.NONE,
            device="cpu",
            preallocated_host_buffers={"weights": table.reshape(-1)},
        )
    except TypeError:
        raise Unsupported("this release looks up in a table of its own only; 1.8 takes one") from None


class FbgemmBag(Backend):
    devices = ("cpu",)
    view = "values"
    dtypes = ("float32", "float16")
    packages = ("fbgemm-gpu|fbgemm-gpu-cpu", "torch")
    operation = "bag"

    def __init__(self) -> None:
        self.made: dict[tuple[int, str], Any] = {}

    def prepare(
        self, table: Array, indices: Array, offsets: Array, out: Array, mode: str, weights: Array = None
    ) -> Lookup:
        import torch

        if table.shape[1] % 4:
            raise Unsupported(f"takes rows of a multiple of 4 elements, not of {table.shape[1]}")
        key = table.data_ptr(), mode
        if key not in self.made:
            self.made[key] = made(table, mode)
        bags = self.made[key]

        def lookup() -> Array:
            with torch.no_grad():
                return bags(indices, offsets, per_sample_weights=weights)

        return lookup
