"""Numbers in words: times, bytes, shares and counts, written for people."""

from __future__ import annotations

import math

from suite.stats import Estimate

_TIMES = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"))
_SIZES = ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1.0, "B"))


def time_of(seconds: float) -> str:
    """3.2 ms."""
    unit, name = next((unit for unit in _TIMES if seconds >= 0.9995 * unit[0]), _TIMES[-1])
    return f"{digits(seconds / unit)} {name}"


def duration(seconds: float) -> str:
    """How long something takes, for people who wait: 40 s, 5 min, 4.2 h."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def size_of(size: float) -> str:
    """2.10 GB; GB = 1e9 bytes."""
    unit, name = next((unit for unit in _SIZES if size >= unit[0]), _SIZES[-1])
    return f"{digits(size / unit)} {name}" if unit > 1 else f"{size:.0f} B"


def share(value: float) -> str:
    """A share in per cent: two digits, however small, without an exponent."""
    if value >= 0.1:
        return f"{100 * value:.0f} %"
    text = f"{float(f'{100 * value:.2g}'):.12f}"
    return f"{text.rstrip('0').rstrip('.')} %"


def bounds(estimate: Estimate) -> tuple[float | None, float | None]:
    """The ends of an interval; both null where there were too few rounds for one."""
    return (estimate.low, estimate.high) if estimate.bounded else (None, None)


def spread(estimate: Estimate) -> str:
    """Half the interval in per cent of the value; ±? where there were too few rounds for one."""
    if not estimate.bounded:
        return "±?"
    return f"±{estimate.precision:.1%}" if estimate.precision < 1 else "over ±100%"


def ids(count: float) -> str:
    """1 id, 37 ids; rounded to two digits."""
    about = round(float(f"{count:.2g}"))
    return "1 id" if about == 1 else f"{about:,} ids"


def factor(ratio: float) -> str:
    """A factor to three digits, however large."""
    return digits(float(f"{ratio:.3g}"))


def gigabytes(size: float) -> str:
    """Bytes as text; a GB is 10^9."""
    return f"{size / 1e9:.1f} GB"


def bytes_of(value: float) -> str:
    """A number of bytes in a few characters."""
    step = 0
    while value >= 999.5 and step < 4:
        value, step = value / 1000, step + 1
    return f"{value:.3g} {('B', 'kB', 'MB', 'GB', 'TB')[step]}"


def count(number: int, noun: str) -> str:
    """A number of things in words: 1 case, 1,200 cases."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def digits(value: float) -> str:
    """Three significant digits, or all before the point; a comma at thousands, no exponent."""
    if not value or not math.isfinite(value):
        return f"{value:g}"
    exponent = math.floor(math.log10(abs(float(f"{value:.2e}"))))
    return f"{value:,.{max(0, 2 - exponent)}f}"
