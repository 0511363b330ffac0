"""How numba_cpu stands against its targets on cold tables far larger than the caches, a line a target.

    python tests/figures/limits.py measure FOLDER [SECONDS]   suite.run, five times, into FOLDER/dim-*
    python tests/figures/limits.py commands FOLDER [SECONDS]  print those commands instead
    python tests/figures/limits.py read FOLDER/dim-*          what runs came to

SECONDS (default 850) is for all five. Ratios come from within the rounds of a case. A target is met by a
value, and missed where the whole interval lies below it; between the two a case is undecided. Cases in which
the median of either side is not known to 5 % are counted apart, by their whole interval. Those below a target
by value are listed.
"""

from __future__ import annotations

import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from suite import outcomes  # noqa: E402
from suite.case import Case  # noqa: E402
from suite.outcomes import Outcome  # noqa: E402
from suite.stats import Estimate  # noqa: E402

OURS, COMMON = "numba_cpu", "torch_index_select"
VOCABS = {16: 16_000_000, 64: 4_000_000, 128: 2_000_000, 768: 400_000, 4096: 128_256}
"""By dim, so that a table is 0.5 to 2.1 GB, in float32 and in bfloat16."""
BACKENDS = (OURS, COMMON, "numpy_take", "onnxruntime_gather")
OTHERS = ("torch_embedding", "torch_index", "pyarrow_take", "jax_take", "warp_gather", "fbgemm_index_select")
"""Not on the longest rows, where 1 GB of output that comes to be page by page, or one thread, takes too long.
And not torch_compile, which compiles anew for each of the hundred shapes."""

Group = dict[str, Outcome]
Judged = tuple[Estimate, Outcome | None]
Judge = Callable[[Group], Judged | None]


def commands(folder: str, seconds: float) -> list[list[str]]:
    """The five runs."""
    return [
        [
            *(sys.executable, "-m", "suite.run", "--vocab", str(vocab), "--dim", str(dim)),
            *("--dtype", "float32,bfloat16", "--batch", "16,128,1024,8192,65536"),
            *("--distribution", "uniform,text", "--sustain", "0"),
            *("--time-budget", f"{seconds / len(VOCABS):.0f}s"),
            *("--backend", *BACKENDS, *(OTHERS if dim < max(VOCABS) else ())),
            *("--out", f"{folder}/dim-{dim}"),
        ]
        for dim, vocab in VOCABS.items()
    ]


def against_best(group: Group) -> Judged | None:
    """How many times as fast as the fastest of the others."""
    peers = [o for name, o in group.items() if name != OURS]
    if not peers:
        return None
    best = min(peers, key=lambda o: outcomes.median(o).value)
    return outcomes.slowdown(best, group[OURS]), best


def against_common(group: Group) -> Judged | None:
    """How many times as fast as torch's index_select."""
    other = group.get(COMMON)
    return (outcomes.slowdown(other, group[OURS]), other) if other else None


def against_copy(group: Group) -> Judged | None:
    """The fraction of the ceiling."""
    share = outcomes.fraction_of_ceiling(group[OURS])
    return (share, None) if share else None


SHORT = (32, 128, 256, 512)
KNOWN = 0.05
TARGETS: tuple[tuple[str, float, Callable[[Case], bool], Judge], ...] = (
    ("the best other", 1.0, lambda case: True, against_best),
    (f"{COMMON}, rows of 64 B", 2.0, lambda case: case.row_bytes == 64, against_common),
    (f"{COMMON}, other rows to 512 B", 1.5, lambda case: case.row_bytes in SHORT, against_common),
    ("the ceiling, rows of 4 KB and more", 0.9, lambda case: case.row_bytes >= 4096, against_copy),
)


def read(folders: Sequence[str]) -> Iterable[str]:
    """The lines to print."""
    results = outcomes.read(folders)
    yield from results.notes
    groups: dict[tuple[str, Case], Group] = defaultdict(dict)
    for outcome in results.outcomes:
        if outcome.record.samples is not None:
            groups[outcome.run, outcome.record.case][outcome.record.backend] = outcome
    failed = {o.record.backend: o.record for o in results.outcomes if o.record.samples is None}
    yield from (f"{name}: {one.status}, {one.reason}" for name, one in sorted(failed.items()))
    for what, wanted, concerns, judge in TARGETS:
        mine = [group for (_, case), group in groups.items() if concerns(case)]
        yield from _judged(what, wanted, mine, judge)


def _judged(what: str, wanted: float, groups: Sequence[Group], judge: Judge) -> Iterable[str]:
    found = [(group[OURS], *pair) for group in groups if OURS in group and (pair := judge(group))]
    sure = [one for one in found if _known(one[0]) and (one[2] is None or _known(one[2]))]
    unsure = [one[1] for one in found if one not in sure]
    below = sorted((one for one in found if one[1].value < wanted), key=lambda one: one[1].value)
    short = [one for one in below if one in sure]
    missed = sum(one[1].high < wanted for one in short)
    apart = [sum(ratio.low >= wanted for ratio in unsure), sum(ratio.high < wanted for ratio in unsure)]
    yield ""
    yield (
        f"{wanted:g} x {what}: {len(groups)} cases, {len(groups) - len(below)} at or above it by value; "
        f"{len(sure)} known to {KNOWN:.0%}, {len(sure) - len(short)} meet it, "
        f"{missed} miss it, {len(short) - missed} undecided; of {len(unsure)} others {apart[0]} meet it, "
        f"{apart[1]} miss it"
    )
    for mine, ratio, other in below:
        sign = "missed" if ratio.high < wanted else "undecided"
        who = other.record.backend if other else "the copy"
        spread = f"{ratio.value:.2f} [{ratio.low:.2f} {ratio.high:.2f}]"
        yield f"  {spread}  {sign}  {mine.record.case}  against {who}"


def _known(outcome: Outcome) -> bool:
    return outcomes.median(outcome).precision <= KNOWN


def main(argv: Sequence[str]) -> int:
    """The command; returns its exit code."""
    if len(argv) < 2 or argv[0] not in ("measure", "commands", "read"):
        print(__doc__, file=sys.stderr)
        return 2
    if argv[0] == "read":
        print(*read(argv[1:]), sep="\n")
        return 0
    planned = commands(argv[1], float(argv[2]) if len(argv) > 2 else 850)
    for command in planned:
        print(" ".join(["python", *command[1:]]), flush=True)
        if argv[0] == "measure":
            subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    if argv[0] == "measure":
        print(*read([f"{argv[1]}/dim-{dim}" for dim in VOCABS]), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
