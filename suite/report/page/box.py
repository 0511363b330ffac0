"""Box of the page: the answers of suite.best to what the runs measured, and to published tables between."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterator

from suite.analysis.outcome import Outcome
from suite.analysis.outcomes import Results
from suite.best import words
from suite.best.answer import Answer, Bar, Place, answer, places
from suite.best.model import NEAREST
from suite.best.question import command
from suite.cases.case import Case
from suite.cases.presets import MODELS
from suite.text import cut

MOST_CASES = 1000
"""Of all places; of more the box has the first of each, the command answers all."""
MOST_TRIED = 400
"""So many cases in between are tried, of places with no more measured ones."""
DIGITS = 4
MOST_TEXT = 400


def box(results: Results) -> list[dict[str, object]]:
    """For each operation on each device of each run that ranks, its answers.

    Returns:
        ``run``, ``device``, ``operation``; ``backends``: name and whose, of the bars;
        ``texts``: those that occur more than once; ``answers``: ``table`` and ``ids`` (places in ``texts``),
        ``batch``, ``basis``, ``bars`` (place in ``backends``, µs, low, high, ratio, whether it is best,
        whether by another clock than the first), ``verdict``, ``use`` of a kernel of this suite, and of a
        prediction the ``nearest`` cases (places in ``texts``) and the ``command``.
    """
    by_run: dict[str, list[Outcome]] = defaultdict(list)
    for one in results.outcomes:
        by_run[one.run].append(one)
    each = [Results({run: results.environments[run]}, tuple(of), ()) for run, of in by_run.items()]
    found = [place for own in each for place in places(own) if place.outcomes]
    return [_of(place, len(found)) for place in found]


def _of(place: Place, places: int) -> dict[str, object]:
    answers = [answer(place, case) for case in place.cases[: MOST_CASES // places]]
    told = (answer(place, case) for case in itertools.islice(_between(place), MOST_TRIED // places))
    answers += (one for one in told if one.basis == "predicted")
    bars = {(bar.backend, bar.whose): None for one in answers for bar in one.bars}
    known = {key: k for k, key in enumerate(bars)}
    texts = _Texts()
    return {
        "run": cut(place.runs[-1], MOST_TEXT),
        "device": cut(place.device, MOST_TEXT),
        "operation": cut(place.operation, MOST_TEXT),
        "backends": [[cut(text, MOST_TEXT) for text in key] for key in known],
        "answers": [_answer(one, known, texts) for one in answers],
        "texts": list(texts),
    }


class _Texts(dict[str, int]):
    """Texts in the order in which they were first asked for, each with its place."""

    def __missing__(self, text: str) -> int:
        self[text] = len(self)
        return self[text]


def _between(place: Place) -> Iterator[Case]:
    """The cases that published tables have at the batches, ids, caches and variants of those measured."""
    if not NEAREST <= len(place.cases) <= MOST_TRIED:
        return
    batches = sorted({case.batch for case in place.cases})
    kinds = dict.fromkeys(
        (c.index_dtype, c.distribution, c.cache, 0, "memory", place.operation, c.variant)
        for c in place.cases
        if not c.offset
    )
    tables = dict.fromkeys(MODELS.values())
    for of, (vocab, dim, dtype), batch in itertools.product(kinds, tables, batches):
        try:
            case = Case(vocab, dim, dtype, batch, *of)
        except ValueError:  # as of too many rows for int32 ids
            continue
        if not place.measured(case):
            yield case


def _answer(one: Answer, known: dict[tuple[str, str], int], texts: _Texts) -> dict[str, object]:
    clock = one.by_clock[0][0].clock
    told: dict[str, object] = {
        "table": texts[with_times(words.table_name(one.case), one.case)],
        "batch": one.case.batch,
        "ids": texts[cut(one.case.ids_text, MOST_TEXT)],
        "basis": one.basis,
        "bars": [[known[bar.backend, bar.whose], *_figures(bar), bar.clock != clock] for bar in one.bars],
        "verdict": [cut(line, MOST_TEXT) for line in words.verdict(one)],
    }
    told["beside"] = [cut(line, MOST_TEXT) for line in (words.slow(one), words.use(one)) if line]
    if one.basis == "predicted":
        told["nearest"] = [texts[cut(str(near), MOST_TEXT)] for near in one.nearest]
        told["command"] = command(one.case, one.device)
    return told


def with_times(table: str, case: Case) -> str:
    """A table in words, with a multiplication sign."""
    return table.replace(f"{case.vocab}x{case.dim} ", f"{case.vocab}×{case.dim} ", 1)


def _figures(bar: Bar) -> list[object]:
    times = (bar.time.value, bar.time.low, bar.time.high) if bar.time.bounded else (bar.time.value,) * 3
    return [*(_short(1e6 * seconds) for seconds in times), _short(bar.ratio.value), int(bar.best)]


def _short(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")
