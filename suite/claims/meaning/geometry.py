"""Claims ``near-means-similar``, ``king-queen`` and ``same-rows``, on the published GloVe table."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import numpy as np

from suite.claims.finding import (
    Cell,
    Finding,
    Plot,
    Point,
    Ruling,
    Series,
    Table,
    Verdict,
    finding,
    unmeasured,
)
from suite.claims.meaning import glove, lexicon, real_rows, rules
from suite.claims.meaning.glove import Floats, Space
from suite.stats import Estimate

SECONDS = 25.0
OUT, IN, ALONE = "b − a + c, a b c excluded", "b − a + c, no word excluded", "c alone, a b c excluded"
WITHIN = (1, 2, 3, 5, 10, 20, 50, 100, 200, 500, 1000)
STRAY_ROWS = 3000
IN_SHORT: dict[Verdict, str] = {
    "TRUE": "Near words are similar",
    "IT DEPENDS": "Near words are of one kind, and so are opposites",
    "FALSE": "Near words are not even of one kind",
    "NOT MEASURED": "Random numbers scored too high for the test to show anything",
}
"""The result by verdict."""
EXCEPTIONS = {"other": "other bits from", "failed": "a layout fails in", "refused": "a layout is refused by"}

Answers = list[tuple[str, int]]
"""The kind of each analogy and the rank of its answer, 1 the nearest."""
Ranks = dict[str, Answers]
"""By the way of asking: OUT, IN or ALONE."""
Of = TypeVar("Of")


def findings(seconds: float, seed: int) -> list[Finding]:
    """The three findings; they take half a minute, whatever ``seconds`` is."""
    why = real_rows.absent(*glove.PACKAGES)
    if why is None:
        try:
            names, table = glove.read()
        except (OSError, ValueError, KeyError) as error:
            why = f"Can't use the GloVe table: {' '.join(str(error).split())}; {real_rows.DATA}"
        else:
            return findings_on(names, table, seed)
    return [unmeasured(name, why) for name in ("near-means-similar", "king-queen", "same-rows")]


def findings_on(
    names: Sequence[str], table: Floats, seed: int, backends: Sequence[str] | None = None
) -> list[Finding]:
    """The findings on any (vocab, dim) table of words; a test that needs a word it lacks is left out.

    Raises:
        ValueError: it lacks a word of king − man + woman, or no backend returned its rows.
    """
    at = {name: row for row, name in enumerate(names)}
    lacking = [word for word in lexicon.ROYAL[1:] if word not in at]
    if lacking:
        raise ValueError(f"it has no {', '.join(lacking)}")
    used = [word for word in _words() if word in at]
    stray = np.random.default_rng(seed).integers(0, len(table), STRAY_ROWS)
    ids = np.concatenate([[at[word] for word in used], [len(table) - 1, 0, 0], stray]).astype(np.int64)
    fetched, outcomes = real_rows.fetch(table, ids, backends)
    noise = np.random.default_rng(seed).standard_normal(table.shape, np.float32)
    control = glove.space(names, noise, {word: noise[at[word]] for word in used})
    neighbours_by_chance, ranks_by_chance = neighbours(control), solved(control)
    del control, noise
    space = glove.space(names, table, {word: fetched[i] for i, word in enumerate(used)})
    note = real_rows.note_on(outcomes)
    return [
        _near(space, neighbours_by_chance, note),
        _royal(space, ranks_by_chance, note),
        _same(table, len(ids), outcomes),
    ]


def _words() -> list[str]:
    """Every word of the lexicon's tests, once."""
    words = [word for analogy in (lexicon.ROYAL, *lexicon.analogies()) for word in analogy[1:]]
    words += [word for text in lexicon.GROUPS.values() for word in text.split()]
    words += [word for triple in lexicon.LIKE_AND_OPPOSITE for word in triple]
    return list(dict.fromkeys((*words, *lexicon.NEIGHBOURS_OF)))


def neighbours(space: Space) -> list[list[bool]]:
    """For each word of the groups, whether the others, nearest first, are of its group."""
    group = {word: name for name, text in lexicon.GROUPS.items() for word in text.split()}
    names = [word for word in group if space.has(word)]
    vectors = np.array([space.vectors[word] for word in names])
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    distance = -(units @ units.T) + 4 * np.eye(len(names))  # itself last
    order = np.argsort(distance, axis=1, kind="stable")[:, :-1]
    return [[group[names[k]] == group[name] for k in row] for name, row in zip(names, order, strict=True)]


def of_group(near: list[list[bool]], count: int) -> Estimate:
    """The share of each word's ``count`` nearest that are of its group; the interval is over words."""
    return rules.share(round(sum(sum(row[:count]) for row in near) / count), len(near))


def solved(space: Space) -> Ranks:
    """Every analogy whose words the space has, asked in each way."""
    ready = [analogy for analogy in lexicon.analogies() if space.has(*analogy[1:])]
    kinds = [analogy.kind for analogy in ready]
    return {way: list(zip(kinds, _ranks(space, ready, way), strict=True)) for way in (OUT, IN, ALONE)}


def _ranks(space: Space, ready: Sequence[lexicon.Analogy], way: str) -> list[int]:
    of = space.vectors
    queries = [of[x.c] if way == ALONE else of[x.b] - of[x.a] + of[x.c] for x in ready]
    left_out = [() if way == IN else (x.a, x.b, x.c) for x in ready]
    return space.ranks(queries, [x.d for x in ready], left_out)


def within(answers: Answers, count: int = 1) -> Estimate:
    """The share of analogies whose answer is among the ``count`` nearest."""
    return rules.share(sum(rank <= count for _, rank in answers), len(answers))


def _near(space: Space, by_chance: list[list[bool]], note: str) -> Finding:
    near = neighbours(space)
    triples = [triple for triple in lexicon.LIKE_AND_OPPOSITE if space.has(*triple)]
    pairs = [(a, b, space.cosine(a, b), c, space.cosine(a, c)) for a, b, c in triples]
    group, chance = of_group(near, 1), of_group(by_chance, 1)
    like = rules.share(sum(pair[2] > pair[4] for pair in pairs), len(pairs))
    synonym, opposite = (float(np.mean([pair[k] for pair in pairs] or [np.nan])) for k in (2, 4))
    headings = ("word", "synonym", "cosine of synonym", "opposite", "cosine of opposite")
    rows = tuple((a, b, round(x, 3), c, round(y, 3)) for a, b, x, c, y in pairs)
    verdict = rules.near(group, like, chance)
    return finding(
        "near-means-similar",
        Ruling(
            verdict,
            f"nearest of the same group {rules.whole(group.value)}, synonym nearer than opposite "
            f"{rules.whole(like.value)}",
            f"{IN_SHORT[verdict]}: the nearest of {len(near)} words is of the same kind for "
            f"{rules.percent(group)}; among random numbers for {rules.percent(chance)}; the synonym is "
            f"nearer than the opposite in {rules.percent(like)} of {len(pairs)} triples",
        ),
        rule=rules.NEAR_RULE,
        tables=(_neighbours(space), Table("Synonyms and opposites, by cosine to the word", headings, rows)),
        plots=(_near_plot({"GloVe": near, "random numbers": by_chance}),),
        notes=(f"Mean cosine to the word: synonym {synonym:.2f}, opposite {opposite:.2f}.", note),
    )


def _near_plot(curves: dict[str, list[list[bool]]]) -> Plot:
    return Plot(
        title="Neighbours of the same group",
        x_label="neighbours counted, nearest first",
        y_label="share of the same group",
        series=tuple(_series(name, of_group, near, range(1, 8)) for name, near in curves.items()),
    )


def _neighbours(space: Space) -> Table:
    rows = []
    for word in filter(space.has, lexicon.NEIGHBOURS_OF):
        near = space.nearest(space.vectors[word], 5, (word,))
        rows.append((word, ", ".join(f"{name} {score:.2f}" for name, score in near)))
    return Table("Nearest neighbours among all words, by cosine", ("word", "nearest"), tuple(rows))


def _royal(space: Space, by_chance: Ranks, note: str) -> Finding:
    ranks = solved(space)
    queen = {way: _ranks(space, [lexicon.ROYAL], way)[0] for way in ranks}
    share = {way: within(answers) for way, answers in ranks.items()}
    chance = within(by_chance[OUT])
    curves = {**ranks, "random numbers, a b c excluded": by_chance[OUT]}
    of = space.vectors
    nearest = space.nearest(of["king"] - of["man"] + of["woman"], 8)
    rows = tuple((name, round(score, 3)) for name, score in nearest)
    count = len(ranks[OUT])
    return finding(
        "king-queen",
        Ruling(
            rules.royal(queen[IN], queen[OUT], share[IN], share[OUT], chance),
            f"queen is no. {queen[IN]}, or no. {queen[OUT]} with king, man and woman excluded; of {count} "
            f"analogies {rules.whole(share[IN].value)}, or {rules.whole(share[OUT].value)}",
            f"The nearest word is {nearest[0][0]}; over all analogies the first answer is right for "
            f"{rules.percent(share[IN])} with no word excluded, {rules.percent(share[OUT])} with the three "
            f"words excluded, {rules.percent(share[ALONE])} without arithmetic and {rules.percent(chance)} "
            "in a table of random numbers",
        ),
        rule=rules.ROYAL_RULE,
        tables=(Table("Nearest to king − man + woman", ("word", "cosine"), rows), _kinds(curves)),
        plots=(_royal_plot(curves),),
        notes=(*_royal_notes(queen[ALONE], count, len(space.names)), note),
    )


def _royal_plot(curves: Ranks) -> Plot:
    return Plot(
        title="Analogies solved",
        x_label="the answer is among the first",
        y_label="share of the analogies",
        series=tuple(_series(way, within, answers, WITHIN) for way, answers in curves.items()),
        log_x=True,
    )


def _royal_notes(alone: int, count: int, words: int) -> tuple[str, ...]:
    return (
        f"Without arithmetic, queen is no. {alone} among the neighbours of king.",
        "a, b, c, d: man is to woman as king is to queen. An answer counts only if it is the nearest of all "
        f"{words:,} words.",
        f"The table has all words of {count} of {len(lexicon.analogies())} analogies. Every pair is combined "
        "with the next of its kind, so analogies of one kind are not independent.",
    )


def _kinds(curves: Ranks) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for kind in (*dict.fromkeys(kind for kind, _ in curves[OUT]), None):
        shares = (within([x for x in answers if kind in (None, x[0])]) for answers in curves.values())
        rows.append((kind or "all", *map(rules.percent, shares)))
    return Table("Right first answers (95 % interval)", ("kind", *curves), tuple(rows))


def _same(table: Floats, batch: int, outcomes: Sequence[real_rows.Outcome]) -> Finding:
    row_bytes = table.shape[1] * table.itemsize
    did = {what: sorted({o.backend for o in outcomes if o.what == what}) for what in ("same", *EXCEPTIONS)}
    odd = ", half of them off a 16-byte boundary," if row_bytes % 16 == 8 else ""
    exceptions = "".join(
        f"; {words} {', '.join(did[what])}" for what, words in EXCEPTIONS.items() if did[what]
    )
    title = f"{batch:,} rows of a table of {len(table):,} × {table.shape[1]} float32"
    return finding(
        "same-rows",
        Ruling(
            rules.same_rows([(o.backend, o.what) for o in outcomes]),
            f"{len(did['same'])} backends, {batch:,} rows in {len(real_rows.LAYOUTS)} layouts",
            f"Rows of {row_bytes} bytes{odd} were compared bit for bit with the table's own{exceptions}",
        ),
        rule=rules.ROWS_RULE,
        tables=(real_rows.table_of(title, outcomes),),
        notes=("One layout begins on a page, the other 4 bytes after it: the worst alignment of a float32.",),
    )


def _series(name: str, share: Callable[[Of, int], Estimate], of: Of, counts: Iterable[int]) -> Series:
    shares = ((count, share(of, count)) for count in counts)
    return Series(name, tuple(Point(count, one.value, one.low, one.high) for count, one in shares))
