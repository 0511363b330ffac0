"""PyTorch's sparse embedding backward and optim.SGD; row-wise Adagrad by index_add_, as people write it."""

from backends.base import Array, Backend, Lookup


class TorchUpdateSparse(Backend):
    operation = "update"
    devices = ("cpu", "cuda")
    view = "values"
    dtypes = ("float32", "float16", "bfloat16")
    packages = ("torch",)

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
        import torch

        weight = torch.nn.Parameter(table)
        optimiser = torch.optim.SGD([weight], lr=learning_rate)
        backward = torch.ops.aten.embedding_backward

        def sgd() -> Array:
            weight.grad = backward(gradients, indices, len(table), -1, False, True)
            optimiser.step()
            weight.grad = None
            return table

        def adagrad() -> Array:
            gradient = backward(gradients, indices, len(table), -1, False, True).coalesce()
            ids, rows = gradient._indices()[0], gradient._values().float()
            state.index_add_(0, ids, rows.square().sum(1) / rows.shape[1])
            steps = rows / (state[ids].sqrt() + eps)[:, None]
            table.index_add_(0, ids, steps.to(table.dtype), alpha=-learning_rate)
            return table

        return sgd if variant == "sgd" else adagrad
