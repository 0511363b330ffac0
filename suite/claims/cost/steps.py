"""Steps of a forward pass in plain torch, timed in turns on one device, in a child process."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from time import perf_counter
from typing import Any

from backends import load
from suite.claims.target import Target, target_of
from suite.claims.task import Spec
from suite.claims.timed import Call, Timed, in_turns
from suite.stats import round_medians

TOKENS = (1, 32, 512, 8192)
SHARES = {1: 0.15, 32: 0.2, 512: 0.28, 8192: 0.37}
"""Share of the time, by the number of tokens."""
LEAST_S = 0.5
MOST_SLOTS = 8192
MEMORY_SHARE = 0.6
CALLS = 24
"""A matrix step is cut until so many of its calls fit the time, the trial calls among them."""
SMALLEST = 256
Cut = Callable[[int], list[Call]]
"""Takes a cut; gives the calls of the step over 1/cut of its columns."""
_BLOCK = 2**21


def measure(spec: Spec) -> Iterator[Any]:
    """Time every step at every number of tokens.

    Args:
        spec: a target, and ``seconds`` for all.

    Yields:
        ``{"tokens", "begun": true}``, then for each step ``{"tokens", "step", "rounds": medians in seconds,
        "cut": 1/cut of its columns were timed}``.
    """
    import torch

    target = target_of(spec)
    torch.set_num_threads(target.threads)
    torch.manual_seed(target.seed)
    with torch.inference_mode():
        end = perf_counter() + spec["seconds"]
        bench = Bench(torch, target)
        for number, tokens in enumerate(TOKENS):
            began = perf_counter()
            left = sum(SHARES[n] for n in TOKENS[number:])
            seconds = max(LEAST_S, (end - began) * SHARES[tokens] / left)
            yield {"tokens": tokens, "begun": True}
            steps, cuts = bench.steps(tokens, seconds)
            in_turns(steps, max(LEAST_S, began + seconds - perf_counter()), target.seed)
            for step in steps:
                medians = round_medians(step.rounds)
                yield {"tokens": tokens, "step": step.name, "rounds": medians, "cut": cuts.get(step.name, 1)}
            del steps


class Bench:
    """A model's table and one layer's weights on a device, and the steps over some tokens.

    Weights that would fit a cache are held several times and used in turn, since a pass comes back to a layer
    only after all the others.
    """

    def __init__(self, torch: Any, target: Target) -> None:
        self.torch, self.target, model = torch, target, target.model
        self.dtype = getattr(torch, model.dtype)
        self.memory = int(MEMORY_SHARE * target.memory_bytes)
        self.block = torch.randn(_BLOCK, device=str(target.device)).mul_(0.02).to(self.dtype)
        self.table = self.filled(target.vocab, model.dim)
        left = self.memory - target.table_bytes
        layer_bytes = 2 * sum(columns * inputs for columns, inputs in model.products)
        head_bytes = 2 * model.vocab * model.dim
        # The least power of two that leaves half of the memory to what goes through the weights.
        self.weights_cut = 2 ** max(0, math.ceil(math.log2(2 * (layer_bytes + head_bytes) / max(left, 1))))
        cut = self.weights_cut
        copies = max(1, min(16, math.ceil(2 * target.cache_bytes * cut / layer_bytes)))
        self.layers = [[self.filled(c // cut, i) for c, i in model.products] for _ in range(copies)]
        self.head = self.filled(model.vocab // cut, model.dim)

    def filled(self, rows: int, columns: int) -> Any:
        """(rows, columns) of small random numbers, which repeat every few millions."""
        memory = self.torch.empty(rows * columns, dtype=self.dtype, device=str(self.target.device))
        for start in range(0, len(memory), _BLOCK):
            part = memory[start : start + _BLOCK]
            part.copy_(self.block[: len(part)])
        return memory.view(rows, columns)

    def steps(self, tokens: int, seconds: float) -> tuple[list[Timed], dict[str, int]]:
        """All steps over that many tokens, and by how much some were cut to fit the time."""
        calls = {
            "lookup": self.lookups(tokens),
            "copy": self._copy(tokens),
            "RMSNorm": self._norm(tokens),
            "residual add": self._add(tokens),
            "RoPE": self._rope(tokens),
            "KV-cache write": self._write(tokens),
        }
        cuts = {}
        for name, cut_to in (("matrix products", self._products(tokens)), ("LM head", self._head(tokens))):
            cuts[name], calls[name] = self._in_time(cut_to, seconds / 2 / CALLS)
        return [Timed(name, some, self.target.device) for name, some in calls.items()], cuts

    def lookups(self, tokens: int) -> list[Call]:
        """The lookup that a model calls, on as many batches of ids as keep rows cold."""
        torch, target = self.torch, self.target
        count = math.ceil(2 * target.cache_bytes / (tokens * target.row_bytes)) + 1
        ids = torch.randint(target.vocab, (min(MOST_SLOTS, max(2, count)), tokens), device=str(target.device))
        out = torch.empty(tokens, target.model.dim, dtype=self.dtype, device=str(target.device))
        backend = load("torch_embedding")()
        return [backend.prepare(self.table, batch, out) for batch in ids]

    def _activations(self, *shape: int) -> Any:
        rows, columns = math.prod(shape[:-1]), shape[-1]
        return self.filled(rows, columns).view(shape)

    def _copy(self, tokens: int) -> list[Call]:
        x = self._activations(tokens, self.target.model.dim)
        return [x.clone]

    def _norm(self, tokens: int) -> list[Call]:
        norm, dim = self.torch.nn.functional.rms_norm, self.target.model.dim
        x, weight = self._activations(tokens, dim), self._activations(1, dim)[0]
        return [lambda: norm(x, (dim,), weight)]

    def _add(self, tokens: int) -> list[Call]:
        x, y = (self._activations(tokens, self.target.model.dim) for _ in range(2))
        return [lambda: x + y]

    def _rope(self, tokens: int) -> list[Call]:
        """Queries and keys of one layer, rotated in halves by their positions."""
        torch, model = self.torch, self.target.model
        queries = self._activations(tokens, model.heads, model.head_dim)
        keys = self._activations(tokens, model.kv_heads, model.head_dim)
        angles = self._activations(tokens, 1, model.head_dim)
        cos, sin, half = angles.cos(), angles.sin(), model.head_dim // 2

        def rotated(x: Any) -> Any:
            return x * cos + torch.cat((-x[..., half:], x[..., :half]), -1) * sin

        return [lambda: (rotated(queries), rotated(keys))]

    def _write(self, tokens: int) -> list[Call]:
        """Keys and values of one layer, those of each token at a place of its own in the cache."""
        torch, model = self.torch, self.target.model
        width = model.kv_heads * model.head_dim
        keys, values = (self._activations(tokens, width) for _ in range(2))
        cached = [self._activations(2 * max(TOKENS), width) for _ in range(2)]
        places = torch.randperm(2 * max(TOKENS), device=str(self.target.device))[:tokens]
        return [lambda: (cached[0].index_copy_(0, places, keys), cached[1].index_copy_(0, places, values))]

    def _products(self, tokens: int) -> Cut:
        """One layer's four matrices over their inputs; the first 1/cut of the columns of each."""
        linear, model = self.torch.nn.functional.linear, self.target.model
        inputs = [self._activations(tokens, width) for _, width in model.products]

        def through(weights: list[Any], cut: int) -> Call:
            parts = zip(weights, model.products, inputs, strict=True)
            ready = [(x, w[: max(1, columns // cut)]) for w, (columns, _), x in parts]
            return lambda: [linear(x, w) for x, w in ready]

        return lambda cut: [through(weights, cut) for weights in self.layers]

    def _head(self, tokens: int) -> Cut:
        linear, model = self.torch.nn.functional.linear, self.target.model
        x = self._activations(tokens, model.dim)

        def through(weights: Any) -> Call:
            return lambda: linear(x, weights)

        return lambda cut: [through(self.head[: max(1, model.vocab // cut)])]

    def _in_time(self, cut_to: Cut, call_s: float) -> tuple[int, list[Call]]:
        """The least power of two to cut a step by, so that a call takes no longer than that."""
        cut = max(SMALLEST, self.weights_cut)
        while True:
            calls = cut_to(cut)
            trial = Timed("trial", calls, self.target.device)
            trial.warm_up()
            if cut // 2 < self.weights_cut or 2.2 * trial.estimate_s > call_s:
                return cut, calls
            cut //= 2
