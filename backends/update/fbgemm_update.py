"""FBGEMM's fused backward and update of a table of single rows, EXACT_SGD or EXACT_ROWWISE_ADAGRAD."""

from typing import Any

from backends.base import Array, Backend, Lookup


class FbgemmUpdate(Backend):
    operation = "update"
    devices = ("cpu",)
    view = "values"
    dtypes = ("float32", "float16")
    packages = ("fbgemm-gpu-cpu",)

    def prepare(
        self,
        table: Array,
        indices: Array,
        gradients: Array,
        out: Array,
        variant: str,
        learning_rate: float,
        eps: float,
        state: Array = None,
    ) -> Lookup:
        import fbgemm_gpu  # noqa: F401 - it registers the operators
        import torch

        vocab, dim = table.shape
        zero, one = torch.zeros(1, dtype=torch.int64), torch.zeros(1, dtype=torch.int32)
        rows = torch.tensor([0, vocab])
        offsets = torch.arange(len(indices) + 1, dtype=indices.dtype)
        common = (table.view(-1), one, zero, dim, rows, vocab.bit_length(), indices, offsets, False)
        rate = torch.tensor(learning_rate)
        calls = torch.ops.fbgemm
        step: Any = calls.split_embedding_nobag_backward_codegen_sgd_cpu
        last: tuple[Any, ...] = (rate,)
        if state is not None:
            step = calls.split_embedding_nobag_backward_codegen_rowwise_adagrad_cpu
            last = (state, one, zero, rate, eps)

        def update() -> Array:
            step(gradients, *common, *last)
            return table

        return update
