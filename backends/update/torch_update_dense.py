"""PyTorch's dense embedding backward and optim.SGD: makes a gradient of all rows and steps over all."""

from backends.base import Array, Backend, Lookup, Unsupported


class TorchUpdateDense(Backend):
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

        if variant != "sgd":
            raise Unsupported("torch.optim.Adagrad keeps a state for each element, not one for each row")
        weight = torch.nn.Parameter(table)
        optimiser = torch.optim.SGD([weight], lr=learning_rate)
        backward = torch.ops.aten.embedding_dense_backward

        def update() -> Array:
            weight.grad = backward(gradients, indices, len(table), -1, False)
            optimiser.step()
            weight.grad = None
            return table

        return update
