"""Words of an answer: its bars, its verdict in two lines, and what it rests on."""

from __future__ import annotations

import textwrap
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from suite.analysis.comparison import LOWER_SPEED_FLOOR
from suite.best.answer import LIBRARY, Answer, Bar
from suite.best.model import CONFIDENCE
from suite.best.question import command
from suite.cases.case import Case
from suite.cases.presets import models_of
from suite.stats import CONFIDENCE as MEASURED_CONFIDENCE
from suite.stats import Estimate
from suite.text import plain
from suite.units import count, digits, time_of

KERNEL = "kernel of this suite"
HEADS = ("", "backend", "time", "x best", "interval", "whose", "")
LONGEST = 8.0
"""Bars of backends that take longer than so many times the fastest end in a mark."""
WIDTH = 8


def lines(answer: Answer, width: int | None = None) -> list[str]:
    """An answer for a terminal, the verdict last.

    Args:
        width: columns that sentences are wrapped to; the table has 80.
    """
    said = _wrapped([_title(answer), _basis(answer)], width)
    for number, bars in enumerate(answer.by_clock):
        if number:
            said.append(f"by the host's {bars[0].clock} time, not ranked with those above:")
        said += ["", *_table(bars), ""]
    return said + _wrapped([*_missing(answer.missing), *verdict(answer), *_support(answer)], width)


def _wrapped(sentences: Iterable[str], width: int | None) -> list[str]:
    if width is None:
        return list(sentences)
    return [line for one in sentences for line in textwrap.wrap(one, width, break_on_hyphens=False)]


def refusal(answer: Answer) -> str:
    """Why nothing is said of a case, and what would tell."""
    settle = command(answer.case, answer.device)
    return plain(f"{answer.case} on {answer.device}: {answer.why}; measure it: {settle}")


def table_name(case: Case) -> str:
    """A table in words, with the models whose it is."""
    return " · ".join((case.table_text, *models_of(case)))


def _title(answer: Answer) -> str:
    case = answer.case
    return plain(f"{table_name(case)}, batch {case.batch:,}, {case.ids_text}, on {answer.device}")


def _basis(answer: Answer) -> str:
    cpu, gpu = answer.where.cpu.get("model"), answer.where.gpu.get("name")
    machine = cpu if answer.device == "cpu" else gpu
    runs = answer.runs[0] if len(answer.runs) == 1 else f"{len(answer.runs)} runs, {answer.runs[-1]} the last"
    how = answer.basis if answer.basis == "measured" else f"predicted from {count(answer.cases, 'case')}"
    return plain(f"{how} in {runs}" + (f", on {machine}" if machine else ""))


def _missing(why: Mapping[str, str]) -> Iterator[str]:
    """Who has no time and why; those of one reason together."""
    names: dict[str, list[str]] = defaultdict(list)
    for name, reason in sorted(why.items()):
        names["not available" if reason.startswith("unavailable") else f"no time, {reason}"].append(name)
    for reason, some in sorted(names.items()):
        yield plain(f"{', '.join(some)}: {reason}")


def _table(bars: Sequence[Bar]) -> list[str]:
    scale = min(LONGEST, max(bar.ratio.value for bar in bars))
    rows = [HEADS, *(_row(bar, scale) for bar in bars)]
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    return [_spaced(row, widths) for row in rows]


def _spaced(row: Sequence[str], widths: Sequence[int]) -> str:
    right = (2, 3)
    cells = (
        c.rjust(w) if k in right else c.ljust(w) for k, (c, w) in enumerate(zip(row, widths, strict=True))
    )
    return "  ".join(cells).rstrip()


def _row(bar: Bar, scale: float) -> tuple[str, ...]:
    ratio = bar.ratio.value
    drawn = "█" * max(1, round(WIDTH * min(ratio, scale) / scale)) + ("›" if ratio > scale else "")
    mark, whose = "*" if bar.best else "", bar.whose.replace(KERNEL, "this suite")
    return (
        mark,
        plain(bar.backend),
        time_of(bar.time.value),
        f"{digits(ratio)}x",
        _span(bar.time),
        whose,
        drawn,
    )


def _span(time: Estimate) -> str:
    return f"{time_of(time.low)} to {time_of(time.high)}" if time.bounded else "too few rounds"


def verdict(answer: Answer) -> list[str]:
    """The fastest of all, and the fastest call of a library; of the bars that are ranked first."""
    bars = answer.by_clock[0] if answer.bars else []
    libraries = [bar for bar in bars if bar.whose == LIBRARY]
    same = "tied with" if answer.basis == "measured" else "not told from"
    said = [f"fastest of all: {_lead(bars, same)}"] if bars else []
    if libraries and len(libraries) < len(bars):
        first, best = libraries[0], bars[0]
        longer = "" if first is best else f", {_times(first.ratio)} as long as {best.backend}"
        said.append(f"fastest call of a library: {_lead(libraries, same)}{longer}")
    return [plain(line) for line in said]


def _lead(bars: Sequence[Bar], same: str) -> str:
    first = bars[0]
    tied = [bar.backend for bar in bars[1:] if bar.best and first.best]
    beside = f", {same} {', '.join(tied)}" if tied else ""
    whose = "" if first.whose == LIBRARY else f" ({first.whose})"
    return f"{first.backend}{whose}, {time_of(first.time.value)}{beside}"


def _times(ratio: Estimate) -> str:
    within = f" ({digits(ratio.low)}x to {digits(ratio.high)}x)" if ratio.bounded else ""
    return f"{digits(ratio.value)}x{within}"


def use(answer: Answer) -> str | None:
    """Where it is said how to call the fastest outside the suite, if it is a kernel of it."""
    first = answer.by_clock[0][0]
    if first.whose != KERNEL:
        return None
    return plain(f"{first.backend} outside the suite: six lines in backends/README.md, Use one")


def slow(answer: Answer) -> str | None:
    """Which of the backends were not measured at full speed, so that no more is likely than said."""
    if not answer.slow:
        return None
    names = "all of them" if len(answer.slow) == len(answer.bars) else ", ".join(answer.slow)
    likely = f"{1 + LOWER_SPEED_FLOOR:g}x apart and more is likely"
    return plain(f"not measured at full speed: {names}; nothing is decided by them, {likely}")


def _support(answer: Answer) -> Iterator[str]:
    """What the figures rest on, what would settle them, and how the fastest is used."""
    yield from filter(None, (slow(answer), use(answer)))
    if answer.basis == "measured":
        yield (
            f"* fastest, or tied with it; interval: {MEASURED_CONFIDENCE:.0%} of the measurement; "
            "x best: from rounds at full speed of both, so not the quotient of two times"
        )
        return
    yield (
        f"* fastest, or not told from it; interval: {CONFIDENCE:.0%}, from how far predictions of the "
        "nearest cases are off when each is left out"
    )
    yield plain(f"nearest measured: {'; '.join(map(str, answer.nearest))}")
    yield plain(f"settle it: {command(answer.case, answer.device)}")
