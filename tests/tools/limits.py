"""How numba_cpu stands against its targets on cold tables far larger than the caches, a line a target.

    python -m tests.tools.limits measure FOLDER [SECONDS]   suite.run, five times, into FOLDER/dim-*
    python -m tests.tools.limits commands FOLDER [SECONDS]  print those commands instead
    python -m tests.tools.limits read FOLDER/dim-*          what runs came to

SECONDS (default 850) is for all five. How targets are judged, judging.py says.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence

from suite.analysis import outcomes
from suite.cases.case import Case
from tests.tools import judging
from tests.tools.judging import Group, Judged, Target

OURS, COMMON = "numba_cpu", "torch_index_select"
VOCABS = {16: 16_000_000, 64: 4_000_000, 128: 2_000_000, 768: 400_000, 4096: 128_256}
"""By dim, so that a table is 0.5 to 2.1 GB, in float32 and in bfloat16."""
BACKENDS = (OURS, COMMON, "numpy_take", "onnxruntime_gather")
OTHERS = ("torch_embedding", "torch_index", "pyarrow_take", "jax_take", "warp_gather", "fbgemm_index_select")
"""Not on the longest rows, where 1 GB of output that comes to be page by page, or one thread, takes too long.
And not torch_compile, which compiles anew for each of the hundred shapes."""
SHORT = (32, 128, 256, 512)


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


def _against_best(group: Group) -> Judged | None:
    best = judging.fastest(group, group.keys() - {OURS})
    return judging.against(group, OURS, best.backend) if best else None


def _against_common(group: Group) -> Judged | None:
    return judging.against(group, OURS, COMMON)


def _against_copy(group: Group) -> Judged | None:
    return judging.against_copy(group[OURS]) if OURS in group else None


def _where(holds: Callable[[Case], bool]) -> Callable[[Group], bool]:
    return lambda group: holds(judging.case_of(group))


TARGETS = (
    Target(1.0, "the best other", lambda group: True, _against_best),
    Target(2.0, f"{COMMON}, rows of 64 B", _where(lambda case: case.row_bytes == 64), _against_common),
    Target(
        1.5, f"{COMMON}, other rows to 512 B", _where(lambda case: case.row_bytes in SHORT), _against_common
    ),
    Target(
        0.9, "the ceiling, rows of 4 KB and more", _where(lambda case: case.row_bytes >= 4096), _against_copy
    ),
)


def read(folders: Sequence[str]) -> Iterable[str]:
    """The lines to print."""
    results = outcomes.read(folders)
    yield from results.notes
    yield from judging.failures(results)
    for target in TARGETS:
        yield from judging.judged(target, judging.groups_of(results, "cpu"))


if __name__ == "__main__":
    sys.exit(judging.script(sys.argv[1:], str(__doc__), 850, commands, read))
