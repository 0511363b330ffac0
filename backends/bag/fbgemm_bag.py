"""FBGEMM's table batched embeddings, forward as in training, over this table: allocates its result."""

import warnings

from backends.base import Array, Backend, BackendUnavailable, Lookup, Unsupported


class FbgemmBag(Backend):
    devices = ("cpu",)
    view = "values"
    dtypes = ("float32", "float16")
    packages = ("fbgemm-gpu-cpu|fbgemm-gpu", "torch")
    operation = "bag"

    def prepare(
        self, table: Array, indices: Array, offsets: Array, out: Array, mode: str, weights: Array = None
    ) -> Lookup:
        import torch

        try:
            with warnings.catch_warnings():  # of optional parts that the wheel lacks
                warnings.simplefilter("ignore")
                from fbgemm_gpu.split_embedding_configs import SparseType
                from fbgemm_gpu.split_table_batched_embeddings_ops_common import (
                    BoundsCheckMode,
                    ComputeDevice,
                    EmbeddingLocation,
                    PoolingMode,
                )
                from fbgemm_gpu.split_table_batched_embeddings_ops_training import (
                    SplitTableBatchedEmbeddingBagsCodegen,
                )
        except (ImportError, OSError, AttributeError) as error:
            raise BackendUnavailable(f"fbgemm_gpu does not fit torch {torch.__version__}: {error}") from error
        if table.shape[1] % 4:
            raise Unsupported(f"takes rows of a multiple of 4 elements, not of {table.shape[1]}")
        kind = SparseType.FP32 if table.dtype == torch.float32 else SparseType.FP16
        bags = SplitTableBatchedEmbeddingBagsCodegen(
            [(*table.shape, EmbeddingLocation.HOST, ComputeDevice.CPU)],
            weights_precision=kind,
            output_dtype=kind,
            pooling_mode=PoolingMode.MEAN if mode == "mean" else PoolingMode.SUM,
            stochastic_rounding=False,
            bounds_check_mode=BoundsCheckMode.NONE,
            device="cpu",
        )
        bags.weights_host.data = table.reshape(-1)  # its own, of as many rows, was never touched
        if bags.split_embedding_weights()[0].data_ptr() != table.data_ptr():
            raise Unsupported("looks up in a table of its own only")

        def lookup() -> Array:
            with torch.no_grad():
                return bags(indices, offsets, per_sample_weights=weights)

        return lookup
