"""One backend under two names, in turns: what a machine makes of equal things."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import backends
from suite import stats
from suite.case import Case, Sweep
from suite.doctor_noise import floor_of
from suite.measure import Settings
from suite.record import Record
from suite.stats import Estimate
from suite.supervisor import Supervisor
from suite.worker import Job

TWINS = {"cpu": "numpy_take", "cuda": "torch_index_select"}
LIMIT_S = 1.4
CASES: tuple[Case, ...] = (
    *Sweep((50257,), (64,), ("float32",), (512,), cache=("cold", "hot")),
    *Sweep((50257,), (64,), ("float32",), (8192,), cache=("cold",)),
    *Sweep((50257,), (768,), ("float32",), (17, 512), cache=("cold",)),
    *Sweep((50257,), (768,), ("float32",), (512,), cache=("hot",)),
)


def measured_floor(device: str, supervisor: Supervisor, cache_bytes: int) -> float | None:
    """The noise floor of a device, from a few seconds of measuring; see ``doctor_noise.floor_of``.

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
