"""Claims ``instant`` and ``cheapest``: the lookup beside the other steps of a forward pass."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from suite import stats
from suite.claims.cost import rules
from suite.claims.cost.rules import Part
from suite.claims.finding import Cell, Finding, Mark, Plot, Point, Series, Table, finding, point
from suite.claims.target import Model, Target, Unmeasured
from suite.claims.task import ask
from suite.stats import Estimate
from suite.units import share, spread, time_of

SECONDS = 45.0
SPARE_S = 60.0
"""Time beyond its own, for building the weights of a large model."""
DECODE = 32
"""Up to so many tokens are a decoding step: each is the next token of its own sequence."""

Measured = dict[str, Estimate]


@dataclass(frozen=True, slots=True)
class Steps:
    """Times of the steps.

    Attributes:
        times: by the number of tokens, one call of each step.
        cuts: by (tokens, step), the step's columns over those that were timed.
        lost: why some are missing; empty if none is.
    """

    times: Mapping[int, Measured]
    cuts: Mapping[tuple[int, str], int]
    lost: str


def findings(target: Target, seconds: float) -> list[Finding]:
    """Both findings, from the same steps.

    Raises:
        Unmeasured: no number of tokens was timed in full.
    """
    steps = measure(target, seconds)
    return [_instant(target, steps), _cheapest(target, steps)]


def measure(target: Target, seconds: float) -> Steps:
    """Time the steps in a process of their own; a number of tokens that it did not finish is lost."""
    answer = ask("steps", target.spec(seconds=seconds), 2 * seconds + SPARE_S, target.threads)
    times: dict[int, Measured] = {}
    cuts: dict[tuple[int, str], int] = {}
    for line in answer.lines:
        if "step" in line:
            time = stats.order_statistics(line["rounds"])
            times.setdefault(line["tokens"], {})[line["step"]] = time
            cuts[line["tokens"], line["step"]] = line["cut"]
    begun = [line["tokens"] for line in answer.lines if "begun" in line]
    lost = ""
    if answer.death:
        at = f"at {begun[-1]:,} tokens" if begun else "while it built the weights"
        lost = f"the process that timed the steps ended {at}: {answer.death}"
        if begun and set(times.get(begun[-1], {})) != set(times.get(begun[0], {})):
            times.pop(begun[-1], None)
    if not times:
        raise Unmeasured(f"{lost or 'no step was timed'}; free memory, or choose a smaller --model")
    return Steps(times, cuts, lost)


def parts_of(model: Model, tokens: int, steps: Steps) -> list[Part]:
    """The steps of a forward pass without the lookup, with the number of calls of each in a pass."""
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


def _instant(target: Target, steps: Steps) -> Finding:
    times = {n: of["lookup"] for n, of in steps.times.items()}
    rows = []
    for n, time in times.items():
        pass_s = time.value + rules.pass_s(parts_of(target.model, n, steps))
        bytes_moved = n * (8 + 2 * target.row_bytes)
        rows.append((n, time.value * 1e6, spread(time), bytes_moved / time.value / 1e9, pass_s * 1e3))
    headings = ("tokens", "lookup (µs)", "±", "GB/s", "a forward pass takes at least (ms)")
    series = Series("lookup", tuple(point(n, time, 1e6) for n, time in times.items()))
    mark = Mark(f"the rule: {time_of(rules.INSTANT_S)}", "y", rules.INSTANT_S * 1e6)
    plot = Plot(
        title="Time of a lookup, by tokens",
        x_label="tokens looked up at once",
        y_label="time of one lookup (µs)",
        series=(series,),
        marks=(mark,),
        log_x=True,
        log_y=True,
    )
    table = Table("The lookup as a model calls it", headings, tuple(rows))
    cold = "Rows are cold, and the library allocates the result, as in a model."
    return finding(
        "instant",
        rules.instant(times),
        rule=rules.INSTANT,
        tables=(table,),
        plots=(plot,),
        notes=(*target.notes, cold, *_lost(steps)),
    )


def _cheapest(target: Target, steps: Steps) -> Finding:
    model = target.model
    passes = {n: (of["lookup"], parts_of(model, n, steps)) for n, of in steps.times.items()}
    names = list(next(iter(steps.times.values())))
    lines = [
        Series(
            name if name != "lookup" else "embedding lookup",
            tuple(point(n, of[name], 1e6) for n, of in steps.times.items() if steps.cuts[n, name] == 1),
        )
        for name in names
    ]
    plot = Plot(
        title="One call of each step, by tokens",
        x_label="tokens in the step",
        y_label="time of one call (µs)",
        series=tuple(s for s in lines if s.points),
        log_x=True,
        log_y=True,
    )
    return finding(
        "cheapest",
        rules.cheapest(passes),
        rule=rules.CHEAPEST,
        tables=(_shares(model, passes), _calls(steps, names)),
        plots=(plot, _share_plot(passes)),
        notes=(*target.notes, *_notes(model), *_cut_notes(steps), *_lost(steps)),
    )


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
    return Plot(
        title="The lookup's share of a forward pass",
        x_label="tokens in the pass",
        y_label="share of a forward pass (%)",
        series=(Series("lookup, at most", tuple(points)),),
        marks=(mark,),
        log_x=True,
        log_y=True,
    )


def _notes(model: Model) -> Iterator[str]:
    yield (
        f"A forward pass is 1 lookup, {2 * model.layers + 1} RMSNorms, {2 * model.layers} residual adds, "
        f"{model.layers} times RoPE, KV-cache write and one layer's matrix products, and the LM head (of a "
        "prompt, for its last token). One call of each was timed and multiplied. Attention over the context "
        "and the activation function are left out, so a pass takes longer and the lookup's share is smaller."
    )
    yield (
        "Every step is plain torch as a model calls it, and allocates its result. Its inputs are as the step "
        "before leaves them, in a cache if they fit; rows and weights are cold. The steps of one column were "
        "timed in turns."
    )
    yield "The copy is not a step of a pass: it is what moving the lookup's rows costs."


def _cut_notes(steps: Steps) -> Iterator[str]:
    cut = sorted({name for (_, name), cut in steps.cuts.items() if cut > 1})
    if cut:
        yield (
            f"Timed in part, for lack of time or memory: {', '.join(cut)}, over the first columns only, as "
            "marked in the table. Such a time is a lower bound: the pass takes at least, and the lookup's "
            "share is at most, the figure shown. The plot leaves such times out."
        )


def _lost(steps: Steps) -> Iterator[str]:
    if steps.lost:
        yield steps.lost
