"""Rules of the cost claims: figures in, ruling out. Each has its thresholds in words beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from suite.claims.cost import half_length
from suite.claims.finding import Ruling, Verdict
from suite.stats import Estimate
from suite.units import digits, factor, ids, share, size_of, time_of

SAME_BYTES = 0.01
NEAR_COPY = 1.25
HALF = 0.5
INSTANT_S = 1e-3
SMALL_SHARE = 0.01
IN_PROPORTION = 4.0
HALVED = 0.55

CALLED = "torch_embedding"
"""The backend that is what people call: claims of what people do are judged by it."""

SIZE = (
    f"TRUE if the memory that the table takes is within {SAME_BYTES:.0%} of vocab × dim × bytes of an "
    "element, and the whole table fits in the memory that is free here. FALSE if it takes more or less than "
    "that. IT DEPENDS if it does not fit here."
)
INDEX = (
    f"Judged by {CALLED}, which is what people call; beside it stands a kernel of this suite, as far as one "
    f"can get. TRUE if at every batch measured it takes at most {NEAR_COPY:g} times as long as a contiguous "
    "copy of the same rows that took turns with it: then no time is left for anything but moving bytes. "
    "FALSE if it takes longer at every batch. IT DEPENDS otherwise."
)
BANDWIDTH = (
    f"A batch is bound by bandwidth if the fastest lookup moves its bytes at {HALF:.0%} or more of the speed "
    "of a copy of the largest batch measured, which no cache holds; below, most of its time is the fixed "
    "cost of a call (R. W. Hockney's half-performance length is where the two are equal). TRUE if every "
    "batch measured is bound by bandwidth, FALSE if none is, IT DEPENDS otherwise; the figure is the batch "
    "from which on all are, on a straight line between the logarithms of the batches measured."
)
INSTANT = (
    f"TRUE if the lookup takes at most {time_of(INSTANT_S)} at every number of tokens measured, FALSE if it "
    "takes longer at every one, IT DEPENDS otherwise."
)
CHEAPEST = (
    f"Never a bottleneck: at every number of tokens the lookup takes at most {SMALL_SHARE:.0%} of a forward "
    "pass. The cheapest: at every number of tokens no other step of the pass takes less time for one call, "
    "intervals apart. TRUE if both hold, FALSE if neither does, IT DEPENDS if one does."
)
TRAINING = (
    f"In proportion: the gradient and the plain SGD update together take at most {IN_PROPORTION:g} "
    "times as long as the forward lookup; by bytes it is twice. TRUE if that holds at every batch for the "
    "dense gradient, which is the default; FALSE if it holds at no batch for the dense nor for the sparse "
    "one; IT DEPENDS otherwise."
)
INT8_ROWS = (
    f"Halved: the fastest lookup of int8 rows takes at most {HALVED:g} times as long as the fastest of rows "
    "stored in the type that both give. TRUE if that holds at every batch measured, FALSE if at none, "
    "IT DEPENDS otherwise."
)
OUT_OF_RANGE = (
    "TRUE if every backend installed raises an error for each of the ids -1, vocab and vocab + 5; FALSE if "
    "none ever does; IT DEPENDS otherwise."
)


@dataclass(frozen=True, slots=True)
class Part:
    """A step of a forward pass at one number of tokens.

    Attributes:
        time: of one call, in seconds. calls: number of calls in a pass.
        whole: false where only a part of the step was timed, so that the whole step takes longer.
    """

    name: str
    time: Estimate
    calls: int
    whole: bool = True


def size(formula_bytes: int, measured_formula_bytes: int, allocated_bytes: int, free_bytes: int) -> Ruling:
    """Judge the size of a table.

    Args:
        formula_bytes: of the model's whole table. measured_formula_bytes: of the table allocated here.
        allocated_bytes: what that table took. free_bytes: what was free before.
    """
    off = allocated_bytes / measured_formula_bytes - 1
    number = size_of(formula_bytes)
    if abs(off) > SAME_BYTES:
        why = (
            f"the formula gives {size_of(measured_formula_bytes)}, {size_of(allocated_bytes)} were allocated"
        )
        return Ruling("FALSE", number, why)
    exact = f"what is allocated differs from the formula by {share(abs(off))}"
    if formula_bytes > free_bytes:
        return Ruling(
            "IT DEPENDS", number, f"{exact}, but only {size_of(free_bytes)} are free on this device"
        )
    rest = f"it takes {share(formula_bytes / free_bytes)} of the {size_of(free_bytes)} free on this device"
    return Ruling("TRUE", number, f"{exact}, and {rest}")


def index(of: Mapping[str, Mapping[int, Estimate]]) -> Ruling:
    """Judge by how many times longer what people call takes than a copy of its rows.

    Args:
        of: for each backend, by batch; the others' figures stand beside it.
    """
    judged = CALLED if CALLED in of else next(iter(of))
    ratios = of[judged]
    far = sorted(batch for batch, ratio in ratios.items() if ratio.value > NEAR_COPY)
    best, worst = (pick(ratios, key=lambda b: ratios[b].value) for pick in (min, max))
    order = sorted(of, key=lambda name: name != judged)
    number = "; ".join(f"{name} {_span(of[name])} × a copy" for name in order)
    if not far:
        return Ruling(
            "TRUE", number, f"at every batch {judged} takes about as long as copying the same bytes"
        )
    ends = f"{digits(ratios[worst].value)} times at batch {worst:,}, {digits(ratios[best].value)} at {best:,}"
    if len(far) == len(ratios):
        return Ruling("FALSE", number, f"{judged} always takes longer than copying the same bytes: {ends}")
    where = ", ".join(f"{batch:,}" for batch in far)
    near = f"{len(ratios) - len(far)} of {len(ratios)} batches"
    why = f"{judged} takes about as long as a copy of the same bytes at {near}, but not at {where}: {ends}"
    return Ruling("IT DEPENDS", number, why)


def _span(ratios: Mapping[int, Estimate]) -> str:
    values = [ratio.value for ratio in ratios.values()]
    return f"{digits(min(values))} to {digits(max(values))}"


def bandwidth(speeds: Mapping[int, Estimate], copy_per_s: float, names: Sequence[str]) -> Ruling:
    """Judge by the bytes a second that the lookup moved at each batch, against the largest copy's.

    Args:
        names: the fastest backends, whose lookups these are.
    """
    by = " or ".join(names)
    begins = half_length.crossing(speeds, HALF * copy_per_s)
    shares = {batch: speed.value / copy_per_s for batch, speed in speeds.items()}
    if begins is None:
        why = f"no batch up to {max(speeds):,} reaches half of a copy's {digits(copy_per_s / 1e9)} GB/s"
        return Ruling("FALSE", f"{by}: {max(shares.values()):.0%} of a copy at best", why)
    if begins <= min(speeds):
        number = f"{by}: {min(shares.values()):.0%} of a copy at least"
        return Ruling("TRUE", number, "every batch measured is bound by bandwidth")
    smallest = min(speeds)
    why = (
        f"bound by bandwidth from about {ids(begins)} on; below, by the fixed cost of a call: batch "
        f"{smallest:,} moves its bytes at {share(shares[smallest])} of a copy's "
        f"{digits(copy_per_s / 1e9)} GB/s"
    )
    return Ruling("IT DEPENDS", f"{by}: from {ids(begins)} on", why)


def instant(times: Mapping[int, Estimate]) -> Ruling:
    """Judge by the lookup's time, for each number of tokens."""
    slow = sorted(n for n, time in times.items() if time.value > INSTANT_S)
    few, many = min(times), max(times)
    ends = (
        f"{CALLED}: {time_of(times[few].value)} for {few:,}, {time_of(times[many].value)} for {many:,} tokens"
    )
    if not slow:
        return Ruling("TRUE", ends, f"at most {time_of(INSTANT_S)} at every number of tokens")
    if len(slow) == len(times):
        return Ruling("FALSE", ends, f"longer than {time_of(INSTANT_S)} at every number of tokens")
    why = f"longer than {time_of(INSTANT_S)} for {_tokens(slow)}, not otherwise"
    return Ruling("IT DEPENDS", ends, why)


def pass_s(parts: Sequence[Part]) -> float:
    """Seconds of a forward pass: the sum over its steps of one call's median times its calls."""
    return sum(part.time.value * part.calls for part in parts)


def cheaper(lookup: Estimate, parts: Sequence[Part]) -> list[str]:
    """Names of the whole steps that take less time for a call than the lookup, intervals apart."""
    return [part.name for part in parts if part.whole and part.time.high < lookup.low]


def cheapest(passes: Mapping[int, tuple[Estimate, Sequence[Part]]]) -> Ruling:
    """Judge by the times of the lookup and of the other steps of a pass, for each number of tokens."""
    shares = {n: lookup.value / (lookup.value + pass_s(parts)) for n, (lookup, parts) in passes.items()}
    bound = {n for n, (_, parts) in passes.items() if not all(part.whole for part in parts)}
    large = [n for n in shares if shares[n] > SMALL_SHARE]
    never: bool | None = not large
    if large and all(n in bound for n in large):
        never = None  # only a part of the pass was timed, so the lookup's share may be smaller
    less = {n: cheaper(lookup, parts) for n, (lookup, parts) in passes.items()}
    least = not any(less.values())
    most = max(shares, key=lambda n: shares[n])
    number = f"{'at most ' if most in bound else ''}{share(shares[most])} of a forward pass ({CALLED})"
    rank = "no other step is cheaper" if least else f"cheaper for one call: {_cheaper_words(less)}"
    verdict: Verdict = (
        "TRUE" if never and least else "FALSE" if never is False and not least else "IT DEPENDS"
    )
    words = {True: "never a bottleneck", False: "a bottleneck", None: "possibly a bottleneck"}[never]
    return Ruling(verdict, number, f"{words} ({number} at {_tokens([most])}); {rank}")


def _cheaper_words(less: Mapping[int, Sequence[str]]) -> str:
    names = dict.fromkeys(name for steps in less.values() for name in steps)
    return ", ".join(f"{name} (at {_tokens([n for n in sorted(less) if name in less[n]])})" for name in names)


def training(dense: Mapping[int, float], sparse: Mapping[int, float]) -> Ruling:
    """Judge by (gradient + update) / forward for each batch, with the dense and with the sparse gradient."""
    most = max(dense, key=lambda n: dense[n])
    number = f"{CALLED}: up to {factor(dense[most])} × the forward (dense)"
    ends = f"dense {_ends(dense)}, sparse {_ends(sparse)}"
    if all(ratio <= IN_PROPORTION for ratio in dense.values()):
        return Ruling("TRUE", number, f"gradient and update stay in proportion to the lookup: {ends}")
    if all(ratio > IN_PROPORTION for ratio in [*dense.values(), *sparse.values()]):
        return Ruling("FALSE", number, f"gradient and update cost far more than the lookup: {ends}")
    why = f"the dense gradient costs the whole table whatever the batch, the sparse one its rows: {ends}"
    return Ruling("IT DEPENDS", number, why)


def _ends(ratios: Mapping[int, float]) -> str:
    few, many = min(ratios), max(ratios)
    ends = f"{factor(ratios[few])} × at batch {few:,}"
    return ends if few == many else f"{ends} and {factor(ratios[many])} × at {many:,}"


def int8_rows(ratios: Mapping[int, float]) -> Ruling:
    """Judge by the time of int8 rows over that of plain ones, for each batch."""
    least, most = min(ratios.values()), max(ratios.values())
    number = f"{' to '.join(dict.fromkeys((factor(least), factor(most))))} × the plain lookup"
    halved = [batch for batch, ratio in sorted(ratios.items()) if ratio <= HALVED]
    if len(halved) == len(ratios):
        return Ruling("TRUE", number, "int8 rows take half the time at every batch")
    if not halved:
        return Ruling(
            "FALSE", number, "the result is written in full, so fewer bytes read save less than half"
        )
    return Ruling("IT DEPENDS", number, f"half the time at batch {_some(halved)}, more at others")


def out_of_range(behaviours: Mapping[tuple[str, str], str]) -> Ruling:
    """Judge by what each (backend, id) did; the first word is ``raises`` where the id was refused."""
    total = len(behaviours)
    raised = [key for key, what in behaviours.items() if what.startswith("raises")]
    number = f"{len(raised)} of {total} raise"
    if len(raised) == total:
        return Ruling("TRUE", number, "every backend refuses an id that is not in the table")
    others = sorted({what.partition(":")[0] for what in behaviours.values() if not what.startswith("raises")})
    if not raised:
        return Ruling("FALSE", number, f"no backend refuses such an id; what they do: {', '.join(others)}")
    names = ", ".join(sorted({backend for backend, _ in raised}))
    why = f"an error comes from {names}; what else happens: {', '.join(others)}"
    return Ruling("IT DEPENDS", number, why)


def _tokens(numbers: Sequence[int]) -> str:
    return f"{_some(numbers)} {'token' if list(numbers) == [1] else 'tokens'}"


def _some(numbers: Sequence[int]) -> str:
    """Up to three numbers as a list, 1, 4, 16; of more, the first and the last."""
    if len(numbers) > 3:
        return f"{numbers[0]:,} to {numbers[-1]:,}"
    return ", ".join(f"{number:,}" for number in numbers)
