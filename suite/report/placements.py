"""Sentences on placements: what a file, small pages, the order of ids and cold pages cost, by how much."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from suite import stats
from suite.analysis import comparison
from suite.analysis.outcome import Outcome
from suite.cases.case import Case
from suite.stats import Estimate
from suite.units import bytes_of, count, digits, share

WAYS = {"numba_pread": "by reading", "uring_read": "by reading", "numba_willneed": "by asking ahead"}
"""How backends come by the rows of a file, which all others only map."""
MAPPING = "by mapping"
PREFILL = 4096
"""From so many ids on a lookup is of a prefill."""


def sentences(here: Sequence[Outcome], floor: float) -> list[str]:
    """What the outcomes of a place say of placements; nothing where all tables lie in memory."""
    if all(o.case.placement == "memory" for o in here):
        return []
    done = {(o.backend, o.environment, o.case): o for o in here if o.decides}

    def pairs(one: dict[str, str], other: dict[str, str]) -> Pairs:
        return Pairs(done, one, other)

    memory = {"placement": "memory"}
    cached = pairs({"placement": "file", "cache": "hot"}, {**memory, "cache": "cold"})
    uniform = pairs({"distribution": "uniform"}, {"distribution": "ngram"})
    return [
        *cached.words("a mapped file, cached", "memory"),
        *pairs({"placement": "small-pages"}, memory).words("small pages", "huge pages"),
        *pairs({"placement": "pinned"}, memory).words("pinned memory", "the GPU's own"),
        *pairs({"placement": "managed"}, memory).words("managed memory", "the GPU's own"),
        *_overstated(here),
        *uniform.words("uniform ids of a prefill, cold in a file", "n-grams", _is_cold_prefill),
        *_over_read(here),
        *_reading(here, floor),
    ]


class Pairs:
    """Outcomes of one backend in cases that differ in nothing but some axes.

    Args:
        done: outcomes by backend, environment and case. one, other: values of those axes.
    """

    def __init__(
        self,
        done: dict[tuple[str, str | None, Case], Outcome],
        one: dict[str, str],
        other: dict[str, str],
    ) -> None:
        self.found: dict[str, list[tuple[Outcome, Outcome]]] = defaultdict(list)
        for (backend, environment, case), outcome in done.items():
            if all(getattr(case, axis) == value for axis, value in one.items()):
                base = done.get((backend, environment, replace(case, **other)))  # type: ignore[arg-type]
                if base is not None:
                    self.found[outcome.name].append((outcome, base))

    def words(self, one: str, other: str, wanted: Callable[[Case], bool] = lambda case: True) -> list[str]:
        """How many times longer the first take than the others, of the fastest backend with the most pairs.

        Args:
            one, other: what the two are called. wanted: which of the first count.
        """
        pairs = {name: [p for p in of if wanted(p[0].case)] for name, of in self.found.items()}
        most = max(map(len, pairs.values()), default=0)
        if not most:
            return []
        named = {name: of for name, of in pairs.items() if len(of) == most}
        name = min(named, key=lambda name: _total(base for _, base in named[name]))
        ratios = [comparison.slowdown(*pair) for pair in named[name]]
        ratio = ratios[0] if most == 1 else stats.over_cases([one.value for one in ratios])
        within = f"{digits(ratio.low)}x to {digits(ratio.high)}x" if ratio.bounded else "no interval"
        average = " on average" if most > 1 else ""
        said = f"{one}: {name} takes {digits(ratio.value)}x as long as with {other} "
        said += f"({within}{average} over {count(most, 'case')})"
        return [said + _by_row(named[name], ratios)]


def _by_row(pairs: Sequence[tuple[Outcome, Outcome]], ratios: Sequence[Estimate]) -> str:
    """The same by the size of a row, where there are several."""
    rows: dict[int, list[float]] = defaultdict(list)
    for (outcome, _), ratio in zip(pairs, ratios, strict=True):
        rows[outcome.case.row_bytes].append(ratio.value)
    each = [f"{bytes_of(size)} {digits(stats.geometric_mean(of))}x" for size, of in sorted(rows.items())]
    return f"; by row: {', '.join(each)}" if len(rows) > 1 else ""


def _total(outcomes: Iterable[Outcome]) -> float:
    return stats.geometric_mean([comparison.median(o).value for o in outcomes])


def _is_cold_prefill(case: Case) -> bool:
    return case.evicted and case.batch >= PREFILL


def _overstated(here: Sequence[Outcome]) -> list[str]:
    """By how much uniform ids overstate the rows that n-grams of text look up, at the largest batch."""
    shares: dict[int, dict[str, dict[int, float]]] = defaultdict(lambda: defaultdict(dict))
    for outcome in here:
        case = outcome.case
        if outcome.traffic is not None and case.batch >= PREFILL:
            known = shares[case.batch][case.distribution]  # tables of as many rows have the same ids
            known[case.vocab] = max(known.get(case.vocab, 0.0), outcome.traffic.distinct / case.ids)
    batches = [batch for batch, of in shares.items() if set(of["uniform"]) & set(of["ngram"])]
    if not batches:
        return []
    batch = max(batches)
    uniform, ngram = shares[batch]["uniform"], shares[batch]["ngram"]
    ratio = stats.over_cases([uniform[vocab] / ngram[vocab] for vocab in sorted(set(uniform) & set(ngram))])
    line = f"uniform ids overstate the rows of a prefill {_figure(ratio)}: of {batch:,} ids "
    line += f"{_mean(uniform)} are distinct, of the text's n-grams {_mean(ngram)}"
    shuffled = shares[batch]["ngram-shuffled"]
    return [line + (f", of the shuffled text's {_mean(shuffled)}" if shuffled else "")]


def _mean(shares: dict[int, float]) -> str:
    return share(stats.geometric_mean(list(shares.values())))


def _figure(ratio: Estimate) -> str:
    """A ratio over cases and its interval; without one of a single case."""
    within = f" ({digits(ratio.low)}x to {digits(ratio.high)}x)" if ratio.bounded else ""
    return f"{digits(ratio.value)}x{within}"


def _way(outcome: Outcome) -> str:
    return WAYS.get(outcome.backend, MAPPING)


def _over_read(here: Sequence[Outcome]) -> list[str]:
    """How many times the bytes of its rows a cold lookup has read, by row and way to read, over cases."""
    read: dict[int, dict[str, dict[Case, list[float]]]] = defaultdict(lambda: defaultdict(dict))
    for outcome in here:
        amount = outcome.telemetry.get("file_over_read")
        if outcome.completed and outcome.case.evicted and isinstance(amount, float) and amount > 0:
            of_way = read[outcome.case.row_bytes][_way(outcome)]
            of_way.setdefault(outcome.case, []).append(amount)
    parts = []
    for size, ways in sorted(read.items()):
        found = {
            way: stats.over_cases([stats.geometric_mean(of) for of in ways[way].values()]) for way in ways
        }
        order = [way for way in dict.fromkeys([MAPPING, *WAYS.values()]) if way in found]
        each = ", ".join(f"{_figure(found[way])} {way}" for way in order)
        parts.append(f"{bytes_of(size)} rows {each}")
    return [f"cold, bytes read from the device over those of the rows: {'; '.join(parts)}"] if parts else []


def _reading(here: Sequence[Outcome], floor: float) -> list[str]:
    """By how much, and from which batch on, the other ways beat mapping where pages are cold, by row."""
    groups: dict[tuple[Case, str | None], dict[str, list[Outcome]]] = defaultdict(lambda: defaultdict(list))
    for outcome in here:
        if outcome.completed and outcome.case.evicted:
            groups[outcome.case, outcome.environment][_way(outcome)].append(outcome)
    verdicts: dict[tuple[int, str], dict[str, dict[int, str]]] = defaultdict(lambda: defaultdict(dict))
    ratios: dict[tuple[int, str], list[float]] = defaultdict(list)
    for (case, _), ways in groups.items():
        best = {way: min(of, key=lambda o: comparison.median(o).value) for way, of in ways.items()}
        for way in best.keys() - {MAPPING} if MAPPING in best else ():
            verdict = comparison.verdict(best[way], best[MAPPING], floor)
            verdicts[case.row_bytes, way][case.distribution][case.batch] = verdict
            ratios[case.row_bytes, way].append(comparison.slowdown(best[MAPPING], best[way]).value)
    alike: dict[tuple[str, str], list[int]] = defaultdict(list)
    for (size, way), of in sorted(verdicts.items()):
        alike[way, _sooner(of)].append(size)
    lines = []
    for (way, sooner), sizes in alike.items():
        longer = _figure(stats.over_cases([one for size in sizes for one in ratios[size, way]]))
        rows = " and ".join(", ".join(map(bytes_of, sizes)).rsplit(", ", 1))
        lines.append(
            f"cold, rows of {rows}: {MAPPING} they take {longer} as long as {way}; sooner {way}: {sooner}"
        )
    return lines


def _sooner(verdicts: dict[str, dict[int, str]]) -> str:
    """From which batch on, with the distributions of the ids where they differ."""
    said: dict[str, list[str]] = defaultdict(list)
    for name, batches in sorted(verdicts.items()):
        said[_from(batches)].append(name)
    if len(said) == 1:
        return next(iter(said))
    return ", ".join(f"{words} ({', '.join(names)})" for words, names in said.items())


def _from(verdicts: dict[int, str]) -> str:
    """The batch from which on all are faster, in words."""
    least = None
    for batch in sorted(verdicts, reverse=True):
        if verdicts[batch] != "FASTER":
            break
        least = batch
    if least is not None:
        return f"from {least:,} ids on" + (", at all batches" if least == min(verdicts) else "")
    return "not decided" if "UNCLEAR" in verdicts.values() else "at no batch"
