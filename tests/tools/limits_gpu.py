"""How the GPU backends of this tree stand against their targets, a line a target.

    python -m tests.tools.limits_gpu measure FOLDER [SECONDS]   suite.run, three times, into FOLDER/*
    python -m tests.tools.limits_gpu commands FOLDER [SECONDS]  print those commands instead
    python -m tests.tools.limits_gpu read FOLDER/*              what runs came to

SECONDS (default 400) is for the cases of all three; with what comes before and after them it takes 10 minutes
at most. Measured on the first GPU. How targets are judged, judging.py says; what each case came to is last.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence

from suite import stats
from suite.analysis import comparison, outcomes
from suite.analysis.outcome import Outcome
from suite.analysis.outcomes import Results
from suite.cases.case import plan
from suite.cases.presets import PRESETS
from tests.tools import judging
from tests.tools.judging import Group, Judged, Target

OURS, COMMON = ("cupy_rawkernel", "numba_cuda", "triton_gather"), "torch_index_select"
LARGE_BYTES, DISTINCT = 64e6, 0.9
"""The payload from which a copy runs at full speed; the share of ids from which repeats hardly count."""
LONG_ROW_BYTES, SHORT_ROWS_BYTES = 512, (64, 256)
FEW = 16
DEFAULT = frozenset(plan(PRESETS["default"]))
PEAK = "theoretical_peak_bytes_per_s"

GRIDS = {
    "default": ("--preset", "default"),
    # Rows of 1.5 to 16 KB, by ones that decode and ones that prefill.
    "long": (
        *("--vocab", "128256", "--dim", "768,4096,8192", "--dtype", "bfloat16"),
        *("--batch", "1,2,4,8,16,4096,8192,24576"),
    ),
    # Rows of 64 B to 1 KB.
    "short": (
        *("--vocab", "4000000", "--dim", "16,32,64,128,256", "--dtype", "float32"),
        *("--batch", "131072,524288"),
    ),
}
CASES = {"default": len(DEFAULT), "long": 24, "short": 10}


def commands(folder: str, seconds: float) -> list[list[str]]:
    """The three runs; a case has as much time in each."""
    return [
        [
            *(sys.executable, "-m", "suite.run", "--gpu", "0", *grid, "--sustain", "0"),
            *("--time-budget", f"{seconds * CASES[name] / sum(CASES.values()):.0f}s"),
            *("--backend", *OURS, COMMON, "--out", f"{folder}/{name}"),
        ]
        for name, grid in GRIDS.items()
    ]


def _is_large(group: Group, least_row: float, most_row: float) -> bool:
    outcome = next(iter(group.values()))
    case, traffic = outcome.case, outcome.traffic
    distinct = traffic.distinct / case.batch if traffic else 0.0
    fits = least_row <= case.row_bytes <= most_row
    return fits and case.cache == "cold" and case.payload_bytes >= LARGE_BYTES and distinct >= DISTINCT


def _is_long(group: Group) -> bool:
    return _is_large(group, LONG_ROW_BYTES, float("inf"))


def _is_short(group: Group) -> bool:
    return _is_large(group, *SHORT_ROWS_BYTES)


def _by_default(group: Group) -> bool:
    return judging.case_of(group) in DEFAULT


def _of_few(group: Group) -> bool:
    return judging.case_of(group).batch <= FEW


def _against_copy(*names: str) -> Callable[[Group], Judged | None]:
    def judge(group: Group) -> Judged | None:
        best = judging.fastest(group, names)
        return judging.against_copy(best) if best else None

    return judge


def _against_common(*names: str) -> Callable[[Group], Judged | None]:
    def judge(group: Group) -> Judged | None:
        best = judging.fastest(group, names)
        return judging.against(group, best.backend, COMMON) if best else None

    return judge


def _against_peak(peaks: dict[str, float]) -> Callable[[Group], Judged | None]:
    def judge(group: Group) -> Judged | None:
        best = judging.fastest(group, OURS)
        if best is None or best.run not in peaks:
            return None
        least_s = best.case.payload_bytes / peaks[best.run]
        time = comparison.median(best)
        return Judged(best, stats.Estimate(least_s / time.value, least_s / time.high, least_s / time.low))

    return judge


def targets(peaks: dict[str, float]) -> Iterable[Target]:
    """All of them; ``peaks`` is what the memory of each run's GPU could move by its data sheet."""
    of_each = [(f"{name},", (name,)) for name in OURS]
    yield Target(0.97, "the ceiling, best of ours, long rows by the many", _is_long, _against_copy(*OURS))
    yield Target(0.9, "the peak, best of ours, long rows by the many", _is_long, _against_peak(peaks))
    yield Target(0.8, "the ceiling, best of ours, rows of 64 to 256 B", _is_short, _against_copy(*OURS))
    for who, names in (("best of ours,", OURS), *of_each):
        yield Target(0.97, f"{COMMON}, {who} default grid", _by_default, _against_common(*names))
    for who, names in (("best of ours,", OURS), *of_each):
        yield Target(1.5, f"{COMMON}, {who} batches to {FEW}", _of_few, _against_common(*names))


def read(folders: Sequence[str]) -> Iterable[str]:
    """The lines to print."""
    results = outcomes.read(folders)
    yield from results.notes
    yield from judging.failures(results)
    groups, peaks = judging.groups_of(results, "cuda"), _peaks(results)
    for target in targets(peaks):
        yield from judging.judged(target, groups)
    yield ""
    yield "of the ceiling, by case, and the ceiling:"
    for group in sorted(groups, key=judging.case_of):
        yield f"  {judging.case_of(group)}: {', '.join(map(_share, group.values()))}{_ceiling(group)}"


def _peaks(results: Results) -> dict[str, float]:
    known = {run: environment.gpu.get(PEAK) for run, environment in results.environments.items()}
    return {run: float(peak) for run, peak in known.items() if isinstance(peak, int | float) and peak > 0}


def _share(outcome: Outcome) -> str:
    share = comparison.fraction_of_ceiling(outcome)
    said = f"{outcome.backend} {comparison.median(outcome).value * 1e6:.1f} us"
    return f"{said} ({share.value:.3f})" if share else said


def _ceiling(group: Group) -> str:
    copy_per_s = comparison.ceiling_bytes_per_s(next(iter(group.values())))
    return f"; {copy_per_s / 1e9:.0f} GB/s" if copy_per_s else ""


if __name__ == "__main__":
    sys.exit(judging.script(sys.argv[1:], str(__doc__), 400, commands, read))
