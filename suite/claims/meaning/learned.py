"""Claim ``learned-from-noise``: a table trained on real text, from random noise on."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from suite.claims.finding import Finding, Plot, Point, Ruling, Series, Table, finding, unmeasured
from suite.claims.meaning import corpus, real_rows, rules
from suite.stats import Z95, Estimate

if TYPE_CHECKING:
    import torch


Floats = npt.NDArray[np.float32]
Pairs = Sequence[tuple[int, int]]
History = list[tuple[int, Floats]]
"""(steps, the table after them)."""

NAME = "learned-from-noise"
SECONDS = 70.0
DIM = 64
BATCH = 4096
NEGATIVES = 5
WINDOW = 4
RATE = 0.01
NOISE = 0.1
SUBSAMPLE = 1e-3
DRAWN = 2**20
STEPS_PER_S = 14
"""Steps of each of the two trainings per second of time; an idle core does three times as many."""
FEWEST_STEPS = 256
FEWEST_PAIRS = 20
SHOWN = ("True", "int", "ValueError", "stdout", "append", "start", "you", "list")


def findings(seconds: float, seed: int) -> list[Finding]:
    """The finding, after steps that fit these seconds on a slow core; same seconds and seed, same result."""
    why = real_rows.absent("torch")
    if why is None:
        try:
            text = corpus.read()
            pairs = corpus.like_pairs(text)
            if len(pairs) < FEWEST_PAIRS:
                raise ValueError(f"{len(pairs)} pairs of words in similar contexts")
        except (OSError, ValueError) as error:
            message = " ".join(str(error).split())
            why = f"Can't use the standard library's sources: {message}; install a Python that has them"
        else:
            return [finding_on(text, pairs, steps_for(seconds), seed)]
    return [unmeasured(NAME, why)]


def steps_for(seconds: float) -> int:
    """Number of steps, from the time alone: a busy machine takes longer, with the same result."""
    return max(FEWEST_STEPS, int(seconds * STEPS_PER_S))


def train(stream: corpus.Ids, vocab: int, steps: int, seed: int) -> History:
    """Skip-gram with negative sampling (T. Mikolov et al., NeurIPS 2013), by Adam.

    Same seed, same result, if torch has one thread: then sums are taken in one order.

    Args:
        stream: ids in the order of the text.

    Returns:
        The (vocab, DIM) table at the start, at doubling numbers of steps, and at the end.

    Raises:
        ValueError: the text is too short.
    """
    import torch
    from torch.nn import functional

    chance = torch.Generator().manual_seed(seed)
    draw = _draws(stream, vocab, chance)
    table, contexts = ((NOISE * torch.randn(vocab, DIM, generator=chance)).requires_grad_() for _ in range(2))
    optimiser = torch.optim.Adam([table, contexts], lr=RATE)
    kept_at = {steps >> k for k in range(steps.bit_length())}
    history = [(0, table.detach().numpy().copy())]
    for step in range(1, steps + 1):
        word, beside = draw()
        rows = functional.embedding(word, table)
        fit = (functional.embedding(beside, contexts) @ rows[:, :, None])[:, :, 0]
        loss = -functional.logsigmoid(fit[:, 0]).mean() - functional.logsigmoid(-fit[:, 1:]).sum(1).mean()
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        if step in kept_at:
            history.append((step, table.detach().numpy().copy()))
    return history


def _draws(
    stream: corpus.Ids, vocab: int, chance: torch.Generator
) -> Callable[[], tuple[torch.Tensor, torch.Tensor]]:
    """A function that draws a batch: words (BATCH,), and for each a word near it, then NEGATIVES random ones.

    Frequent words are thinned, and the random ones drawn by their count to the power 3/4, as in the paper.
    """
    import torch

    counts = np.bincount(stream, minlength=vocab)
    order = np.random.default_rng(chance.initial_seed())
    kept = np.sqrt(SUBSAMPLE * len(stream) / np.maximum(counts, 1))
    thinned = torch.from_numpy(stream[order.random(len(stream)) < kept[stream]])
    if len(thinned) <= 2 * WINDOW:
        raise ValueError(f"{len(stream)} words are too few to train on")
    weights = counts**0.75
    by_chance = torch.from_numpy(order.choice(vocab, DRAWN, p=weights / weights.sum()))

    def pick(high: int, *shape: int) -> torch.Tensor:
        return torch.randint(high, shape, generator=chance)

    def draw() -> tuple[torch.Tensor, torch.Tensor]:
        at = WINDOW + pick(len(thinned) - 2 * WINDOW, BATCH)
        near = thinned[at + (1 + pick(WINDOW, BATCH)) * (2 * pick(2, BATCH) - 1)]
        return thinned[at], torch.cat([near[:, None], by_chance[pick(DRAWN, BATCH, NEGATIVES)]], 1)

    return draw


@dataclass(frozen=True, slots=True)
class Score:
    """How well pairs from similar contexts are separated from other pairs of the same words.

    Attributes:
        nearer: share of comparisons in which the similar pair has the larger cosine; its interval is
            over pairs.
        like, other: mean cosine of the similar pairs, and of the other pairs.
    """

    nearer: Estimate
    like: float
    other: float


def score(table: Floats, pairs: Pairs) -> Score:
    """The score of a (vocab, dim) table.

    Raises:
        ValueError: fewer than two pairs.
    """
    n = len(pairs)
    if n < 2:
        raise ValueError("fewer than two pairs of words in similar contexts")
    left, right = (_units(table[[pair[k] for pair in pairs]]) for k in (0, 1))
    cosines = left @ right.T
    own = np.diag(cosines)
    less = (cosines < own[:, None]).sum(1) + (cosines < own[None]).sum(0)
    each = less / (2 * (n - 1))
    mean, half = float(each.mean()), Z95 * float(each.std(ddof=1)) / math.sqrt(n)
    others = float(cosines.sum() - own.sum()) / (n * (n - 1))
    return Score(Estimate(mean, max(0.0, mean - half), min(1.0, mean + half)), float(own.mean()), others)


def _units(rows: Floats) -> Floats:
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12), np.float32)


def finding_on(
    text: corpus.Text, pairs: Pairs, steps: int, seed: int, backends: Sequence[str] | None = None
) -> Finding:
    """The finding on any text, with the same training on the same words in shuffled order as control.

    Raises:
        ValueError: the text is too short.
    """
    vocab = len(text.names)
    history = train(text.learnt, vocab, steps, seed)
    shuffled = train(np.random.default_rng(seed).permutation(text.learnt), vocab, steps, seed)
    scores = [(at, score(table, pairs)) for at, table in history]
    control = [(at, score(table, pairs)) for at, table in shuffled]
    ids = np.array([word for pair in pairs for word in pair], np.int64)
    _, outcomes = real_rows.fetch(history[-1][1], ids, backends, real_rows.LAYOUTS[:1])
    title = f"{len(ids)} rows of the learned {vocab:,} × {DIM} table, by backend"
    moments = [history[0], history[2 * len(history) // 3], history[-1]]
    first, last, mixed = scores[0][1].nearer, scores[-1][1].nearer, control[-1][1].nearer
    return finding(
        NAME,
        Ruling(
            rules.learned(first, last, mixed),
            f"similar pairs are nearer in {rules.whole(first.value)} of comparisons at first, "
            f"{rules.whole(last.value)} after {steps:,} steps",
            f"{len(pairs)} pairs of words from similar contexts go from {rules.percent(first)} to "
            f"{rules.percent(last)}; after training on shuffled words, to {rules.percent(mixed)}",
        ),
        rule=rules.LEARNED_RULE,
        tables=(
            _steps(scores, control),
            _neighbours(text.names, moments),
            real_rows.table_of(title, outcomes),
        ),
        plots=(_plot(scores, control),),
        notes=(*_notes(text, pairs, history), real_rows.note_on(outcomes)),
    )


def _notes(text: corpus.Text, pairs: Pairs, history: History) -> tuple[str, ...]:
    start, end = history[0][1], history[-1][1]
    untouched = int((start.view(np.int32) == end.view(np.int32)).all(1).sum())
    names = ", ".join(f"{text.names[a]}–{text.names[b]}" for a, b in pairs[:8])
    return (
        f"{untouched:,} of {len(text.names):,} rows still have every bit of their initial noise: training "
        "never read their words. A vector is learned only where its word is read.",
        f"The pairs ({names} …) come from counts of {len(text.held_out):,} words of other files, which "
        f"training never reads; it reads {len(text.learnt):,} words, {BATCH:,} at a step. The text differs "
        "between releases of Python.",
        "The mean cosine alone misleads: early on it rises for all pairs alike.",
    )


Scores = list[tuple[int, Score]]


def _steps(scores: Scores, control: Scores) -> Table:
    rows = []
    for (at, one), (_, other) in zip(scores, control, strict=True):
        figures = (f for s in (one, other) for f in (s.nearer.value, s.like, s.other))
        rows.append((at, *(round(figure, 3) + 0.0 for figure in figures)))
    names = ("similar nearer, share", "cosine, similar", "cosine, other")
    headings = ("steps", *names, *(f"shuffled: {name}" for name in names))
    return Table("The score by steps", headings, tuple(rows))


def _plot(scores: Scores, control: Scores) -> Plot:
    def curve(name: str, of: Scores) -> Series:
        # The start is drawn at half a step, as a logarithmic axis has no 0.
        points = (Point(max(at, 0.5), s.nearer.value, s.nearer.low, s.nearer.high) for at, s in of)
        return Series(name, tuple(points))

    return Plot(
        title="Words in similar contexts, as the table learns",
        x_label="steps",
        y_label="similar pair nearer, share",
        series=(curve("text", scores), curve("the same words, shuffled", control)),
        log_x=True,
    )


def _neighbours(names: Sequence[str], moments: History) -> Table:
    at = {name: row for row, name in enumerate(names)}
    units = [_units(table) for _, table in moments]
    rows = []
    for word in (word for word in SHOWN if word in at):
        orders = (np.argsort(-(one @ one[at[word]]), kind="stable")[1:5] for one in units)
        rows.append((word, *(", ".join(names[row] for row in order) for order in orders)))
    headings = ("word", *(f"after {steps:,} steps" for steps, _ in moments))
    return Table("Nearest neighbours as the table learns", headings, tuple(rows))
