"""Forward, backward and update of a table in torch, timed in turns: what a child process does."""

from __future__ import annotations

from collections.abc import Iterator
from time import perf_counter
from typing import Any

from suite.claims.place import Place, place_of
from suite.claims.process import Spec
from suite.claims.timed import Call, Timed, in_turns
from suite.stats import round_medians

BATCHES = (1, 32, 512, 8192)
TABLES = 7
"""Tables' worth of memory: weights, a gradient kept and one made, two moments, room for updates."""
ROUNDS = 9
"""Of the dense steps, warming up among them; what a batch must have time for."""
MEMORY_SHARE = 0.8
LEAST_ROWS = 4096
_RATE = 1e-4


def measure(spec: Spec) -> Iterator[Any]:
    """Time every step at every batch, on as many rows of the table as fit memory and time.

    Yields:
        ``{"vocab": rows of the table}``, then ``{"batch", "step", "rounds": medians in seconds}``.
    """
    import torch

    place = place_of(spec)
    torch.set_num_threads(place.threads)
    torch.manual_seed(place.seed)
    seconds, began = spec["seconds"], perf_counter()
    vocab = _rows(torch, place, seconds)
    yield {"vocab": vocab}
    bench = Bench(torch, place, vocab)
    for number, batch in enumerate(BATCHES):
        left = (began + seconds - perf_counter()) / (len(BATCHES) - number)
        steps = [Timed(name, [call], place.device) for name, call in bench.steps(batch).items()]
        in_turns(steps, max(0.2, left), place.seed)
        for step in steps:
            yield {"batch": batch, "step": step.name, "rounds": round_medians(step.rounds)}


def _rows(torch: Any, place: Place, seconds: float) -> int:
    """Halved until the table fits memory, and by a trial on a small one, until the rounds fit the time."""
    vocab = place.vocab
    while vocab > LEAST_ROWS and TABLES * vocab * place.row_bytes > MEMORY_SHARE * place.memory_bytes:
        vocab //= 2
    trial = max(min(vocab, LEAST_ROWS), vocab // 16)
    steps = [
        Timed(name, [call], place.device) for name, call in Bench(torch, place, trial).steps(512).items()
    ]
    for step in steps:
        step.warm_up()
    row_s = sum(step.estimate_s for step in steps if step.name.startswith("dense")) / trial
    while vocab > LEAST_ROWS and len(BATCHES) * ROUNDS * row_s * vocab > seconds:
        vocab //= 2
    return vocab


class Bench:
    """A table that is being trained, and the steps of that over a batch of ids."""

    def __init__(self, torch: Any, place: Place, vocab: int) -> None:
        self.torch, self.device, self.vocab = torch, place.device, vocab
        dtype = getattr(torch, place.model.dtype)
        values = torch.empty(vocab, place.model.dim, dtype=dtype, device=place.device)
        block = torch.randn(LEAST_ROWS, place.model.dim, device=place.device).mul_(0.02).to(dtype)
        for start in range(0, vocab, LEAST_ROWS):
            part = values[start : start + LEAST_ROWS]
            part.copy_(block[: len(part)])
        self.table = torch.nn.Parameter(values)
        self.dense: list[Any] = []
        optim = torch.optim
        self.dense_sgd, self.sparse_sgd = (optim.SGD([self.table], lr=_RATE) for _ in range(2))
        self.sparse_adam = optim.SparseAdam([self.table], lr=_RATE)

    def steps(self, batch: int) -> dict[str, Call]:
        """Each step by its name; the backward ones are the operators that autograd calls."""
        torch, table, vocab = self.torch, self.table, self.vocab
        ids = torch.randint(vocab, (batch,), device=self.device)
        gradient = torch.full((batch, table.shape[1]), 0.01, dtype=table.dtype, device=self.device)
        weight, embedding = table.detach(), torch.nn.functional.embedding
        backward = torch.ops.aten.embedding_backward

        def back(sparse: bool) -> Any:
            return backward(gradient, ids, vocab, -1, False, sparse)

        if not self.dense:  # its update goes over the whole table, whatever the gradient holds
            self.dense.append(back(False))
        return {
            "forward lookup": lambda: embedding(ids, weight),
            "dense backward": lambda: back(False),
            "dense SGD update": self._update(self.dense_sgd, self.dense[0]),
            "sparse backward": lambda: back(True),
            "sparse SGD update": self._update(self.sparse_sgd, back(True)),
            "SparseAdam update": self._update(self.sparse_adam, back(True)),
        }

    def _update(self, optimiser: Any, gradient: Any) -> Call:
        """An optimiser's step with a gradient that is there."""

        def step() -> None:
            self.table.grad = gradient
            optimiser.step()

        return step
