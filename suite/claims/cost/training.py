"""Claim ``training``: the backward pass and the update of a table, against the forward lookup."""

from __future__ import annotations

from collections.abc import Iterator
from time import perf_counter
from typing import Any

from suite import stats
from suite.claims.cost import rules
from suite.claims.finding import Finding, Plot, Series, Table, finding, point
from suite.claims.target import Target, Unmeasured, target_of
from suite.claims.task import Spec, ask
from suite.claims.timed import Call, Timed, in_turns
from suite.stats import Estimate, round_medians
from suite.units import factor, size_of, spread, time_of

SECONDS = 35.0
SPARE_S = 60.0
"""Time beyond its own, for building the table."""
PAIRS = {
    "dense": ("dense backward", "dense SGD update"),
    "sparse": ("sparse backward", "sparse SGD update"),
}


def findings(target: Target, seconds: float) -> list[Finding]:
    """The finding.

    Raises:
        Unmeasured: no batch was timed in full.
    """
    answer = ask("training", target.spec(seconds=seconds), 2 * seconds + SPARE_S, target.threads)
    times: dict[int, dict[str, Estimate]] = {}
    for line in answer.lines[1:]:
        times.setdefault(line["batch"], {})[line["step"]] = stats.order_statistics(line["rounds"])
    steps = list(next(iter(times.values()), {}))
    times = {batch: of for batch, of in times.items() if list(of) == steps}
    if not times:
        raise Unmeasured(f"no step was timed: {answer.death}; free memory, or choose a smaller --model")
    vocab = answer.lines[0]["vocab"]
    ratios = {
        kind: {batch: _sum(of, pair) / of["forward lookup"].value for batch, of in times.items()}
        for kind, pair in PAIRS.items()
    }
    cut_short = (f"cut short: {answer.death}",) if answer.death else ()
    return [
        finding(
            "training",
            rules.training(ratios["dense"], ratios["sparse"]),
            rule=rules.TRAINING,
            tables=(_ratios(ratios), _times(times, steps)),
            plots=(_plot(times, steps),),
            notes=(*_notes(target, vocab), *cut_short),
        )
    ]


def _sum(of: dict[str, Estimate], names: tuple[str, ...]) -> float:
    return sum(of[name].value for name in names)


def _ratios(ratios: dict[str, dict[int, float]]) -> Table:
    rows = tuple(
        (batch, factor(ratios["dense"][batch]), factor(ratios["sparse"][batch])) for batch in ratios["dense"]
    )
    headings = ("batch", "dense: × the forward", "sparse: × the forward")
    return Table("Backward and SGD update together, over the forward lookup", headings, rows)


def _times(times: dict[int, dict[str, Estimate]], steps: list[str]) -> Table:
    rows = tuple(
        (step, *(f"{time_of(of[step].value)} {spread(of[step])}" for of in times.values())) for step in steps
    )
    return Table("Time of one call", ("step", *(f"batch {batch:,}" for batch in times)), rows)


def _plot(times: dict[int, dict[str, Estimate]], steps: list[str]) -> Plot:
    lines = []
    for step in steps:
        lines.append(Series(step, tuple(point(batch, of[step], 1e6) for batch, of in times.items())))
    return Plot(
        title="What training adds to the lookup, by batch",
        x_label="batch (ids in one lookup)",
        y_label="time of one call (µs)",
        series=tuple(lines),
        log_x=True,
        log_y=True,
    )


def _notes(target: Target, vocab: int) -> tuple[str, ...]:
    used = size_of(vocab * target.row_bytes)
    notes = [
        f"Table of {vocab:,} × {target.model.dim:,} {target.model.dtype}, {used}: the gradient that "
        "the dense backward pass fills with zeros is as large, whatever the batch.",
        "Backward is only the operator that autograd calls. Ids are uniform and the same in every call, so "
        "the rows of a small batch are in a cache, in all steps alike.",
    ]
    if vocab != target.model.vocab:
        notes.insert(
            0,
            f"{target.model.name} has {target.model.vocab:,} rows; the steps were timed on {vocab:,}, to fit "
            "memory and time. On all rows the dense steps would move more bytes in proportion.",
        )
    return tuple(notes)


BATCHES = (1, 32, 512, 8192)
TABLES = 7
"""Memory needed, in tables: weights, a gradient kept and a new one, two moments, room for updates."""
ROUNDS = 9
"""Rounds of the dense steps that a batch must have time for, the warm-up among them."""
MEMORY_SHARE = 0.8
LEAST_ROWS = 4096
_RATE = 1e-4


def measure(spec: Spec) -> Iterator[Any]:
    """Time every step at every batch, on as many rows of the table as fit memory and time.

    Yields:
        ``{"vocab": rows of the table}``, then ``{"batch", "step", "rounds": medians in seconds}``.
    """
    import torch

    target = target_of(spec)
    torch.set_num_threads(target.threads)
    torch.manual_seed(target.seed)
    seconds, began = spec["seconds"], perf_counter()
    vocab = _rows(torch, target, seconds)
    yield {"vocab": vocab}
    bench = Bench(torch, target, vocab)
    for number, batch in enumerate(BATCHES):
        left = (began + seconds - perf_counter()) / (len(BATCHES) - number)
        steps = [Timed(name, [call], target.device) for name, call in bench.steps(batch).items()]
        in_turns(steps, max(0.2, left), target.seed)
        for step in steps:
            yield {"batch": batch, "step": step.name, "rounds": round_medians(step.rounds)}


def _rows(torch: Any, target: Target, seconds: float) -> int:
    """Rows of the table: halved until it fits memory, and until the rounds fit the time, by a trial."""
    vocab = target.vocab
    while vocab > LEAST_ROWS and TABLES * vocab * target.row_bytes > MEMORY_SHARE * target.memory_bytes:
        vocab //= 2
    trial = max(min(vocab, LEAST_ROWS), vocab // 16)
    steps = [
        Timed(name, [call], target.device) for name, call in Bench(torch, target, trial).steps(512).items()
    ]
    for step in steps:
        step.warm_up()
    row_s = sum(step.estimate_s for step in steps if step.name.startswith("dense")) / trial
    while vocab > LEAST_ROWS and len(BATCHES) * ROUNDS * row_s * vocab > seconds:
        vocab //= 2
    return vocab


class Bench:
    """A table in training, and the steps of that over a batch of ids."""

    def __init__(self, torch: Any, target: Target, vocab: int) -> None:
        self.torch, self.device, self.vocab = torch, str(target.device), vocab
        dtype = getattr(torch, target.model.dtype)
        values = torch.empty(vocab, target.model.dim, dtype=dtype, device=self.device)
        block = torch.randn(LEAST_ROWS, target.model.dim, device=self.device).mul_(0.02).to(dtype)
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

        if not self.dense:  # kept for all batches: its update goes over the whole table, whatever it holds
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
        """An optimiser's step with a gradient computed before."""

        def step() -> None:
            self.table.grad = gradient
            optimiser.step()

        return step
