"""The claims that lookup is instantaneous and the cheapest step, beside the other steps of a forward pass."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from suite import stats
from suite.claims.cost import rules
from suite.claims.cost.rules import Part
from suite.claims.finding import Cell, Finding, Mark, Plot, Point, Series, Table, finding, point
from suite.claims.target import Model, Place, Unmeasured
from suite.claims.task import ask
from suite.stats import Estimate
from suite.units import share, spread, time_of

SECONDS = 60.0
SPARE_S = 60.0
"""Beyond its time: building the weights of a large model."""
DECODE = 32
"""Up to so many tokens at once, each is the next token of a sequence of its own."""

Measured = dict[str, Estimate]


@dataclass(frozen=True, slots=True)
class Steps:
    """What was timed: by the number of tokens, each step's call, and 1/cut of which was timed.

    Attributes:
        lost: why not all of it is there; empty if it is.
    """

    times: Mapping[int, Measured]
    cuts: Mapping[tuple[int, str], int]
    lost: str


def findings(place: Place, seconds: float) -> list[Finding]:
    """Both findings, from the same steps.

    Raises:
        Unmeasured: no number of tokens was timed in full.
    """
    steps = read(place, seconds)
    return [_instant(place, steps), _cheapest(place, steps)]


def read(place: Place, seconds: float) -> Steps:
    """Have the steps timed in a process of its own; numbers of tokens it did not get through are lost."""
    answer = ask("steps", place.spec(seconds=seconds), 2 * seconds + SPARE_S, place.threads)
    times: dict[int, Measured] = {}
    cuts: dict[tuple[int, str], int] = {}
    for line in answer.lines:
        if "step" in line:
            time = stats.median([[one] for one in line["rounds"]])
            times.setdefault(line["tokens"], {})[line["step"]] = time
            cuts[line["tokens"], line["step"]] = line["cut"]
    begun = [line["tokens"] for line in answer.lines if "begun" in line]
    lost = ""
    if answer.death:
        at = f"at {begun[-1]:,} tokens" if begun else "while the weights were made"
        lost = f"the process that timed the steps was lost {at}: {answer.death}"
        if begun and set(times.get(begun[-1], {})) != set(times.get(begun[0], {})):
            times.pop(begun[-1], None)
    if not times:
        raise Unmeasured(f"{lost or 'no step was timed'}; free memory, or ask for a smaller --model")
    return Steps(times, cuts, lost)


def parts_of(model: Model, tokens: int, steps: Steps) -> list[Part]:
    """The steps of a forward pass but the lookup, with the calls a pass makes of each."""
    times, layers = steps.times[tokens], model.layers
    calls = {
        "RMSNorm": 2 * layers + 1,
        "residual add": 2 * layers,
        "RoPE": layers,
        "KV-cache write": layers,
        "matrix products": layers,
    }
    parts = [Part(n, times[n], calls[n], steps.cuts[tokens, n] == 1) for n in calls]
    # Of a prompt only the last token's logits are needed.
    last = tokens if tokens <= DECODE or 1 not in steps.times else 1
    return [*parts, Part("LM head", steps.times[last]["LM head"], 1, steps.cuts[last, "LM head"] == 1)]


def _instant(place: Place, steps: Steps) -> Finding:
    times = {n: of["lookup"] for n, of in steps.times.items()}
    judged = rules.instant(times)
    rows = []
    for n, time in times.items():
        pass_s = time.value + rules.pass_s(parts_of(place.model, n, steps))
        bytes_moved = n * (8 + 2 * place.row_bytes)
        rows.append((n, time.value * 1e6, spread(time), bytes_moved / time.value / 1e9, pass_s * 1e3))
    headings = ("tokens", "lookup (µs)", "±", "GB/s", "a forward pass takes at least (ms)")
    series = Series("lookup", tuple(point(n, time, 1e6) for n, time in times.items()))
    mark = Mark(f"the rule: {time_of(rules.INSTANT_S)}", "y", rules.INSTANT_S * 1e6)
    plot = Plot(
        "Time of a lookup, by tokens",
        "tokens looked up at once",
        "time of one lookup (µs)",
        (series,),
        (mark,),
        True,
        True,
    )
    table = Table("The lookup as a model calls it", headings, tuple(rows))
    notes = ("Rows are cold, the result is allocated by the library, as in a model.", *_lost(steps))
    return finding("instant", judged, rules.INSTANT, (table,), (plot,), place.notes + notes)


def _cheapest(place: Place, steps: Steps) -> Finding:
    model = place.model
    passes = {n: (of["lookup"], parts_of(model, n, steps)) for n, of in steps.times.items()}
    judged = rules.cheapest(passes)
    names = list(next(iter(steps.times.values())))
    lines = [
        Series(
            name if name != "lookup" else "embedding lookup",
            tuple(point(n, of[name], 1e6) for n, of in steps.times.items() if steps.cuts[n, name] == 1),
        )
        for name in names
    ]
    plot = Plot(
        "One call of each step, by tokens",
        "tokens in the step",
        "time of one call (µs)",
        tuple(s for s in lines if s.points),
        (),
        True,
        True,
    )
    tables = (_shares(model, passes), _calls(steps, names))
    notes = (*place.notes, *_notes(model), *_cut_notes(steps), *_lost(steps))
    return finding("cheapest", judged, rules.CHEAPEST, tables, (plot, _share_plot(passes)), notes)


def _shares(model: Model, passes: Mapping[int, tuple[Estimate, Sequence[Part]]]) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for n, (lookup, parts) in passes.items():
        rest = rules.pass_s(parts)
        whole = all(part.whole for part in parts)
        least, most = ("", "") if whole else ("at least ", "at most ")
        kind = "decode" if n <= DECODE else "prefill"
        rows.append(
            (
                kind,
                n,
                lookup.value * 1e6,
                f"{least}{time_of(lookup.value + rest)}",
                f"{most}{share(lookup.value / (lookup.value + rest))}",
                ", ".join(rules.cheaper(lookup, parts)) or "none",
            )
        )
    headings = (
        "",
        "tokens",
        "lookup (µs)",
        f"forward pass of {model.layers} layers",
        "the lookup's share",
        "steps that take less for one call",
    )
    return Table("The lookup's share of a forward pass", headings, tuple(rows))


def _calls(steps: Steps, names: Sequence[str]) -> Table:
    tokens = list(steps.times)
    rows = []
    for name in names:
        cells: list[Cell] = []
        for n in tokens:
            cut = steps.cuts[n, name]
            time = steps.times[n][name]
            part = f" (1/{cut} of the columns)" if cut > 1 else ""
            cells.append(f"{time_of(time.value)} {spread(time)}{part}")
        rows.append((name, *cells))
    headings = ("step, one call", *(f"{n:,} {'token' if n == 1 else 'tokens'}" for n in tokens))
    return Table("Time of one call of each step", headings, tuple(rows))


def _share_plot(passes: Mapping[int, tuple[Estimate, Sequence[Part]]]) -> Plot:
    points = []
    for n, (lookup, parts) in passes.items():
        points.append(Point(n, 100 * lookup.value / (lookup.value + rules.pass_s(parts))))
    mark = Mark(f"the rule: {rules.SMALL_SHARE:.0%}", "y", 100 * rules.SMALL_SHARE)
    series = (Series("lookup, at most", tuple(points)),)
    label = "share of a forward pass (%)"
    title = "The lookup's share of a forward pass"
    return Plot(title, "tokens in the pass", label, series, (mark,), True, True)


def _notes(model: Model) -> Iterator[str]:
    yield (
        f"A forward pass is: 1 lookup, {2 * model.layers + 1} RMSNorms, {2 * model.layers} residual adds, "
        f"and {model.layers} times RoPE, KV-cache write and one layer's matrix products, each timed once and "
        "multiplied, and the LM head (of a prompt: for its last token). Attention over the context and the "
        "activation function are left out, so a pass takes longer and the lookup's share is smaller."
    )
    yield (
        "Every step is plain torch as a model calls it, and allocates its result; inputs are as the step "
        "before leaves them, in a cache if they fit; rows and weights are cold. The steps of one column took "
        "turns."
    )
    yield "The copy is no step of a pass: it is what moving the lookup's rows costs."


def _cut_notes(steps: Steps) -> Iterator[str]:
    cut = sorted({name for (_, name), cut in steps.cuts.items() if cut > 1})
    if cut:
        yield (
            f"Timed in part, for want of time or memory: {', '.join(cut)}, over the first columns only, as "
            "the table marks. Such a time counts as it is, so that a pass with it takes at least, and the "
            "lookup's share is at most, what is said. The plot leaves such times out."
        )


def _lost(steps: Steps) -> Iterator[str]:
    if steps.lost:
        yield steps.lost
