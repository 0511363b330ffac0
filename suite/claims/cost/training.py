"""The claim that training a table touches only the rows looked up: backward and update against forward."""

from __future__ import annotations

from collections.abc import Iterator
from time import perf_counter
from typing import Any

from suite import stats
from suite.claims.cost import rules
from suite.claims.finding import Finding, Plot, Series, Table, finding, point
from suite.claims.target import Place, Unmeasured, place_of
from suite.claims.task import Spec, ask
from suite.claims.timed import Call, Timed, in_turns
from suite.stats import Estimate, round_medians
from suite.units import factor, size_of, spread, time_of

SECONDS = 35.0
SPARE_S = 60.0
PAIRS = {
    "dense": ("dense backward", "dense SGD update"),
    "sparse": ("sparse backward", "sparse SGD update"),
}


def findings(place: Place, seconds: float) -> list[Finding]:
    """The finding.

    Raises:
        Unmeasured: no batch was timed in full.
    """
    answer = ask("training", place.spec(seconds=seconds), 2 * seconds + SPARE_S, place.threads)
    times: dict[int, dict[str, Estimate]] = {}
    for line in answer.lines[1:]:
        times.setdefault(line["batch"], {})[line["step"]] = stats.median([[t] for t in line["rounds"]])
    steps = list(next(iter(times.values()), {}))
    times = {batch: of for batch, of in times.items() if list(of) == steps}
    if not times:
        raise Unmeasured(f"no step was timed: {answer.death}; free memory, or ask for a smaller --model")
    vocab = answer.lines[0]["vocab"]
    ratios = {
        kind: {batch: _sum(of, pair) / of["forward lookup"].value for batch, of in times.items()}
        for kind, pair in PAIRS.items()
    }
    judged = rules.training(ratios["dense"], ratios["sparse"])
    notes = _notes(place, vocab)
    if answer.death:
        notes += (f"cut short: {answer.death}",)
    tables = (_ratios(ratios), _times(times, steps))
    return [finding("training", judged, rules.TRAINING, tables, (_plot(times, steps),), notes)]


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
    title = "What training adds to the lookup, by batch"
    return Plot(title, "batch (ids in one lookup)", "time of one call (µs)", tuple(lines), (), True, True)


def _notes(place: Place, vocab: int) -> tuple[str, ...]:
    used = size_of(vocab * place.row_bytes)
    notes = [
        f"Table of {vocab:,} × {place.model.dim:,} {place.model.dtype}, {used}: the gradient that the dense "
        "backward pass fills with zeros is as large, whatever the batch.",
        "Backward is the operator that autograd calls, alone; ids are uniform and the same in every call, so "
        "rows of a small batch are in a cache, for all steps alike.",
    ]
    if vocab != place.model.vocab:
        notes.insert(
            0,
            f"{place.model.name} has {place.model.vocab:,} rows; the steps were timed on {vocab:,}, so that "
            "they fit memory and time. On all of them the dense steps would move as many times more bytes.",
        )
    return tuple(notes)


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
