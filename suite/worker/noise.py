"""The noise floor: by how much a backend differs from itself on this machine though its interval says not."""

from __future__ import annotations

import math
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import backends
from suite import stats
from suite.cases.case import Case, Sweep
from suite.engine.measure import Settings
from suite.records.record import Record
from suite.stats import Estimate
from suite.worker.messages import Job
from suite.worker.supervisor import Supervisor

MIN_CASES = 4
"""With fewer comparisons nothing is said."""

LEAST = 0.01
"""No machine is trusted with less. tests/tools/verdicts.py on a shared virtual machine: intervals alone
called 4 of 25 pairs of equal backends different, with a floor of 0.5 % 2, with 1 % none."""


def floor_of(ratios: Sequence[Estimate]) -> float | None:
    """The bound that a whole interval must be beyond before a difference is called.

    An interval knows how samples scatter, not that equal things may be unequal: memory placed otherwise,
    drift between turns. So it is the most by which the interval of a backend against itself missed 1, and at
    least LEAST. How wide the intervals are does not enter: a verdict looks at its own.

    Args:
        ratios: a backend's time over its own, one for each case; unbounded intervals are left out.

    Returns:
        The floor, e.g. 0.013 for 1.3 %; None with fewer than MIN_CASES usable ratios.
    """
    usable = [r for r in ratios if 0 < r.low <= r.value <= r.high and math.isfinite(r.high)]
    if len(usable) < MIN_CASES:
        return None
    missed = max(max(math.log(r.low), -math.log(r.high)) for r in usable)
    return max(LEAST, math.expm1(missed))


def in_words(floor: float | None) -> str:
    """The noise floor as a sentence."""
    if floor is None:
        return "noise floor: not measured"
    # Rounded up: what is promised holds for the figure that is read.
    shown = math.ceil(floor * 1000 - 1e-9) / 10
    return f"noise floor: {shown:.1f} %; a difference is called only if its whole interval is beyond that"


TWINS = {"cpu": "numpy_take", "cuda": "torch_index_select"}
LIMIT_S = 1.4
CASES: tuple[Case, ...] = (
    *Sweep((50257,), (64,), ("float32",), (512,), cache=("cold", "hot")),
    *Sweep((50257,), (64,), ("float32",), (8192,), cache=("cold",)),
    *Sweep((50257,), (768,), ("float32",), (17, 512), cache=("cold",)),
    *Sweep((50257,), (768,), ("float32",), (512,), cache=("hot",)),
)


def measured_floor(device: str, supervisor: Supervisor, cache_bytes: int) -> float | None:
    """The noise floor of a device, from a few seconds of measuring; see ``floor_of``.

    Args:
        device: ``cpu`` or ``cuda:N``.
        cache_bytes: what has to be emptied for a lookup to be cold.
    """
    return floor_of(ratios(device, supervisor, cache_bytes))


def ratios(device: str, supervisor: Supervisor, cache_bytes: int) -> list[Estimate]:
    """How many times longer a backend takes than itself; one ratio a case."""
    package = Path(backends.__file__).parent
    found = []
    with tempfile.TemporaryDirectory() as folder:
        twins = tuple(str(Path(folder) / f"twin_{letter}.py") for letter in "ab")
        for twin in twins:
            shutil.copy(package / f"{TWINS[device.partition(':')[0]]}.py", twin)
        for case in CASES:
            settings = Settings(limit_s=LIMIT_S, cache_bytes=cache_bytes)
            records = supervisor.measure(Job(case, device, twins, "noise", settings))
            found += _ratio(records)
    return found


def _ratio(records: Sequence[Record]) -> list[Estimate]:
    one, other = (
        next((r.samples for r in records if r.backend == f"twin_{letter}"), None) for letter in "ab"
    )
    if one is None or other is None:
        return []
    return [stats.ratio(one.kernel_s or one.call_s, other.kernel_s or other.call_s)]
