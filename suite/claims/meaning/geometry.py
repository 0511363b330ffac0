"""Near means similar, and king − man + woman is near queen: measured on the published GloVe table."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import numpy as np

from suite.claims.finding import MEANING, Cell, Finding, Plot, Point, Series, Table
from suite.claims.meaning import glove, lexicon, real_rows, rules
from suite.claims.meaning.glove import Floats, Space
from suite.stats import Estimate

CLAIMS = MEANING["geometry"]
NAMES = tuple(CLAIMS)
OUT, IN, ALONE = "b − a + c, the three left out", "b − a + c, none left out", "c alone, the three left out"
WITHIN = (1, 2, 3, 5, 10, 20, 50, 100, 200, 500, 1000)
STRAY_ROWS = 3000
SAID = {
    "TRUE": "Near is alike",
    "IT DEPENDS": "Near is of one kind, and opposites are of one kind too",
    "FALSE": "Near is not even of one kind",
    "NOT MEASURED": "Random numbers did too well for the test to show anything",
}
"""What the verdict comes to."""
EXCEPTIONS = {"other": "other bits from", "failed": "a layout fails in", "refused": "a layout is refused by"}

Answers = list[tuple[str, int]]
"""The kind of each analogy and the place of its answer, 1 the nearest."""
Places = dict[str, Answers]
"""By way of asking."""
Of = TypeVar("Of")


def findings(seconds: float, seed: int) -> list[Finding]:
    """The claims about geometry; they take half a minute, whatever is given."""
    why = real_rows.absent(*glove.PACKAGES)
    if why is None:
        try:
            names, table = glove.read()
        except (OSError, ValueError, KeyError) as error:
            why = f"Can't use the GloVe table: {' '.join(str(error).split())}; {real_rows.DATA}"
        else:
            return judged(names, table, seed)
    return [Finding(name, "meaning", claim, "NOT MEASURED", "", why) for name, claim in CLAIMS.items()]


def judged(
    names: Sequence[str], table: Floats, seed: int, backends: Sequence[str] | None = None
) -> list[Finding]:
    """The claims on any (vocab, dim) table of words; a test one of whose words it lacks is passed over.

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
    neighbours_by_chance, places_by_chance = neighbours(control), solved(control)
    del control, noise
    space = glove.space(names, table, {word: fetched[i] for i, word in enumerate(used)})
    note = real_rows.agreed(outcomes)
    return [
        _near(space, neighbours_by_chance, note),
        _royal(space, places_by_chance, note),
        _same(table, len(ids), outcomes),
    ]


def _words() -> list[str]:
    found = [word for one in (lexicon.ROYAL, *lexicon.analogies()) for word in one[1:]]
    found += [word for text in lexicon.GROUPS.values() for word in text.split()]
    found += [word for triple in lexicon.LIKE_AND_OPPOSITE for word in triple]
    return list(dict.fromkeys((*found, *lexicon.NEIGHBOURS_OF)))


def neighbours(space: Space) -> list[list[bool]]:
    """Of each word of the groups: whether the others, nearest first, are of its group."""
    group = {word: name for name, text in lexicon.GROUPS.items() for word in text.split()}
    names = [word for word in group if space.has(word)]
    vectors = np.array([space.vectors[word] for word in names])
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    distance = -(units @ units.T) + 4 * np.eye(len(names))  # itself last
    order = np.argsort(distance, axis=1, kind="stable")[:, :-1]
    return [[group[names[k]] == group[name] for k in row] for name, row in zip(names, order, strict=True)]


def of_group(found: list[list[bool]], count: int) -> Estimate:
    """The share of each word's first so many neighbours that are of its group; words are what varies."""
    return rules.share(round(sum(sum(row[:count]) for row in found) / count), len(found))


def solved(space: Space) -> Places:
    """Every analogy whose words are there, asked in each way."""
    ready = [one for one in lexicon.analogies() if space.has(*one[1:])]
    kinds = [one.kind for one in ready]
    return {way: list(zip(kinds, _asked(space, ready, way), strict=True)) for way in (OUT, IN, ALONE)}


def _asked(space: Space, ready: Sequence[lexicon.Analogy], way: str) -> list[int]:
    of = space.vectors
    queries = [of[one.c] if way == ALONE else of[one.b] - of[one.a] + of[one.c] for one in ready]
    left_out = [() if way == IN else (one.a, one.b, one.c) for one in ready]
    return space.places(queries, [one.d for one in ready], left_out)


def within(places: Answers, count: int = 1) -> Estimate:
    """The share of analogies whose answer is among the first so many."""
    return rules.share(sum(place <= count for _, place in places), len(places))


def _near(space: Space, by_chance: list[list[bool]], note: str) -> Finding:
    found = neighbours(space)
    triples = [triple for triple in lexicon.LIKE_AND_OPPOSITE if space.has(*triple)]
    pairs = [(a, b, space.cosine(a, b), c, space.cosine(a, c)) for a, b, c in triples]
    group, chance = of_group(found, 1), of_group(by_chance, 1)
    like = rules.share(sum(pair[2] > pair[4] for pair in pairs), len(pairs))
    alike, opposite = (float(np.mean([pair[k] for pair in pairs] or [np.nan])) for k in (2, 4))
    headings = ("word", "means alike", "cosine of alike", "opposite", "cosine of opposite")
    lines = tuple((a, b, round(x, 3), c, round(y, 3)) for a, b, x, c, y in pairs)
    curves = {"GloVe": found, "random numbers": by_chance}
    verdict = rules.near(group, like, chance)
    return Finding(
        NAMES[0],
        "meaning",
        CLAIMS[NAMES[0]],
        verdict,
        f"nearest of the same group {rules.whole(group.value)}, alike nearer than opposite "
        f"{rules.whole(like.value)}",
        f"{SAID[verdict]}: the nearest of {len(found)} words is of the same kind for {rules.percent(group)}; "
        f"among random numbers for {rules.percent(chance)}; what means alike is nearer than the opposite in "
        f"{rules.percent(like)} of {len(pairs)} triples.",
        rules.NEAR_RULE,
        (_neighbours(space), Table("Alike and opposite, by cosine to the word", headings, lines)),
        (
            Plot(
                "Neighbours of the same group",
                "neighbours counted, nearest first",
                "share of the same group",
                tuple(_series(name, of_group, of, range(1, 8)) for name, of in curves.items()),
            ),
        ),
        (f"Mean cosine to the word: alike {alike:.2f}, opposite {opposite:.2f}.", note),
    )


def _neighbours(space: Space) -> Table:
    lines = []
    for word in filter(space.has, lexicon.NEIGHBOURS_OF):
        near = space.nearest(space.vectors[word], 5, (word,))
        lines.append((word, ", ".join(f"{name} {score:.2f}" for name, score in near)))
    return Table("Nearest neighbours among all words, by cosine", ("word", "nearest"), tuple(lines))


def _royal(space: Space, by_chance: Places, note: str) -> Finding:
    places = solved(space)
    queen = {way: _asked(space, [lexicon.ROYAL], way)[0] for way in places}
    share = {way: within(found) for way, found in places.items()}
    curves = {**places, "random numbers, the three left out": by_chance[OUT]}
    chance = within(by_chance[OUT])
    of = space.vectors
    nearest = space.nearest(of["king"] - of["man"] + of["woman"], 8)
    shown = tuple((name, round(score, 3)) for name, score in nearest)
    count, asked = len(places[OUT]), len(lexicon.analogies())
    return Finding(
        NAMES[1],
        "meaning",
        CLAIMS[NAMES[1]],
        rules.royal(queen[IN], queen[OUT], share[IN], share[OUT], chance),
        f"queen is no. {queen[IN]}, or no. {queen[OUT]} once king, man and woman are left out; of {count} "
        f"analogies {rules.whole(share[IN].value)}, or {rules.whole(share[OUT].value)}",
        f"The nearest word is {nearest[0][0]}; over all analogies the first answer is right for "
        f"{rules.percent(share[IN])} with nothing left out, {rules.percent(share[OUT])} with the three words "
        f"left out, {rules.percent(share[ALONE])} with no arithmetic at all and {rules.percent(chance)} in a "
        "table of random numbers.",
        rules.ROYAL_RULE,
        (Table("Nearest to king − man + woman", ("word", "cosine"), shown), _kinds(curves)),
        (
            Plot(
                "Analogies solved",
                "the answer is among the first",
                "share of the analogies",
                tuple(_series(way, within, found, WITHIN) for way, found in curves.items()),
                log_x=True,
            ),
        ),
        (
            f"With no arithmetic at all queen is no. {queen[ALONE]} among the neighbours of king.",
            "man is to woman as king is to queen: a, b, c, d. An answer counts only if it is the first of "
            f"all {len(space.names):,} words.",
            f"{count} of {asked} analogies have all their words in the table. Every pair stands beside the "
            "next of its kind, so those of a kind lean on one another.",
            note,
        ),
    )


def _kinds(curves: Places) -> Table:
    lines: list[tuple[Cell, ...]] = []
    for kind in (*dict.fromkeys(kind for kind, _ in curves[OUT]), None):
        shares = (within([one for one in found if kind in (None, one[0])]) for found in curves.values())
        lines.append((kind or "all", *map(rules.percent, shares)))
    return Table("Right first answers (95 % interval)", ("kind", *curves), tuple(lines))


def _same(table: Floats, batch: int, outcomes: Sequence[real_rows.Outcome]) -> Finding:
    row_bytes = table.shape[1] * table.itemsize
    did = {what: sorted({o.backend for o in outcomes if o.what == what}) for what in ("same", *EXCEPTIONS)}
    odd = ", half of them off a 16-byte boundary," if row_bytes % 16 == 8 else ""
    exceptions = "".join(f"; {said} {', '.join(did[what])}" for what, said in EXCEPTIONS.items() if did[what])
    title = f"{batch:,} rows of a table of {len(table):,} × {table.shape[1]} float32"
    return Finding(
        NAMES[2],
        "meaning",
        CLAIMS[NAMES[2]],
        rules.same_rows([(o.backend, o.what) for o in outcomes]),
        f"{len(did['same'])} backends, {batch:,} rows in {len(real_rows.PLACES)} layouts",
        f"Rows of {row_bytes} bytes{odd} were compared bit for bit with the table's own{exceptions}.",
        rules.ROWS_RULE,
        (real_rows.told(title, outcomes),),
        (),
        ("One layout begins on a page; the other 4 bytes further on, as badly as a float32 may lie.",),
    )


def _series(name: str, share: Callable[[Of, int], Estimate], of: Of, counts: Iterable[int]) -> Series:
    at = ((count, share(of, count)) for count in counts)
    return Series(name, tuple(Point(count, one.value, one.low, one.high) for count, one in at))
