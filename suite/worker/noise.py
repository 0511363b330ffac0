"""A/A test: one backend against itself; the noise floor is by how much their intervals miss 1."""

from __future__ import annotations

import math
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import backends
from backends import Choice
from suite import stats
from suite.cases.case import Case, Sweep
from suite.engine.measure import Settings
from suite.records.device import Device
from suite.stats import Estimate
from suite.worker.messages import Job
from suite.worker.supervisor import Supervisor

MIN_CASES = 4
"""With fewer comparisons the floor is unknown."""

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
    usable = [r for r in ratios if r.bounded and r.low <= r.value <= r.high]
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


SUBJECT = {"cpu": "numpy_take", "cuda": "torch_index_select"}
"""The backend that is measured against itself, by kind of device."""
LIMIT_S = 1.4
CASES: tuple[Case, ...] = (
    *Sweep((50257,), (64,), ("float32",), (512,), cache=("cold", "hot")),
    *Sweep((50257,), (64,), ("float32",), (8192,), cache=("cold",)),
    *Sweep((50257,), (768,), ("float32",), (17, 512), cache=("cold",)),
    *Sweep((50257,), (768,), ("float32",), (512,), cache=("hot",)),
)


def measured_floor(device: Device, supervisor: Supervisor, cache_bytes: int) -> float | None:
    """The noise floor of a device, from a few seconds of measuring; see ``floor_of``.

    Args:
        cache_bytes: what has to be emptied for a lookup to be cold.
    """
    return floor_of(ratios(device, supervisor, cache_bytes))


def ratios(device: Device, supervisor: Supervisor, cache_bytes: int) -> list[Estimate]:
    """How many times longer a backend takes than itself, under two names; one ratio a case."""
    source = Path(backends.__file__).with_name(f"{SUBJECT[device.kind]}.py")
    settings = Settings(limit_s=LIMIT_S, cache_bytes=cache_bytes)
    estimates = []
    with tempfile.TemporaryDirectory() as folder:
        pair = tuple(Choice(f"same_{letter}", str(Path(folder) / f"same_{letter}.py")) for letter in "ab")
        for choice in pair:
            shutil.copy(source, choice.source)
        for case in CASES:
            records = supervisor.measure(Job(case, device, pair, "noise", settings))
            a, b = (next((r.rounds for r in records if r.backend == choice.name), ()) for choice in pair)
            if a and b:
                estimates.append(stats.ratio(a, b))
    return estimates
