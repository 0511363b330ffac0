"""How our Numba kernels of each operation stand against their targets on cold tables, a line a target.

    python -m tests.tools.operations measure FOLDER [SECONDS]   suite.run, a few times, into FOLDER/*
    python -m tests.tools.operations commands FOLDER [SECONDS]  print those commands instead
    python -m tests.tools.operations read FOLDER/*              what runs came to
    python -m tests.tools.operations beside [SECONDS]           against what is no backend of the operation

SECONDS (default 900, of beside 60) is for all. Tables are 0.1 to 1 GB. How targets are judged, judging.py
says. What is no backend of the operation takes turns with ours in one process, each call on cold rows:
beside dequantised rows a lookup of rows that are stored as they come out, and beside bags a loop on all
threads that reads the same rows, and does nothing with them.
"""

from __future__ import annotations

import itertools
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cache, partial
from typing import Any

import numpy as np

from backends import load
from backends.compiled.instructions import LINE, memory, prefetcher
from backends.compiled.job import AHEAD, IDS, KERNEL_TYPE, OUT, ROW_BYTES, TABLE, made, runner
from suite.analysis import comparison, outcomes
from suite.cases import ids
from suite.cases.case import Case
from suite.engine import binding
from suite.engine.arrays import HostArrays
from suite.engine.operands import Operands, build_table, lay_out
from suite.units import time_of
from tests.tools import judging
from tests.tools.judging import Group, Judged, Target

Lookups = Sequence[Callable[[], Any]]
OURS = {name: f"numba_{name}" for name in ("dequantised", "bag", "gradient", "update")}
VOCABS = {
    "dequantised": {128: 2_000_000, 1024: 500_000, 4096: 128_256},
    "bag": {16: 4_000_000, 128: 1_000_000},
}
"""Tables by dim; of gradients and updates as of bags, but for a dense gradient, which is as large as they."""
SWEEPS = {
    "dequantised": ("int8-end,int8-apart,int4-apart,fp8-apart", "float32,bfloat16", "128,8192"),
    "bag": ("sum-20,weighted-20,mean-16,ragged-20", "float32,bfloat16", "32,2048"),
    "gradient": ("sparse", "float32", "1024,16384"),
    "update": ("sgd,adagrad", "float32", "1024,16384"),
}
"""Variants, dtypes and batches."""
WHOLE_TABLE = ("torchao_dequantised", "torch_update_dense")
"""Left out: they go over all of the table in each call, which takes longer than all others together."""
ALIKE, BAND = 0.8, 0.8
SLOT_BYTES = 1 << 27
"""Rows that rotate: several times any cache."""


ANSWERS = {
    "padding": (
        *("--operation", "bag", "--variant", "sum-8,sum-16,sum-64", "--vocab", "10,120,1000,2300"),
        *("--dim", "64", "--batch", "1", "--cache", "hot"),
        *("--backend", "torch_bag", "torch_bag_padding", "numba_bag", "numpy_bag"),
    ),
    "torchao": (
        *("--operation", "dequantised", "--variant", "int8-signed", "--vocab", "128256", "--dim", "4096"),
        *(
            "--batch",
            "1,512",
            "--backend",
            "torchao_dequantised",
            "torch_index_dequantised",
            OURS["dequantised"],
        ),
    ),
}
"""Two questions: whether torch's bag of a few ids on a CPU is 70 to 130 times slower with a padding index or
without (pytorch#189281), and what torchao's lookup in an int8 table costs, which dequantises all of it."""


def commands(folder: str, seconds: float) -> list[list[str]]:
    """A run for each operation and table, and one for each question."""
    tables = [
        (operation, dim, vocab)
        for operation in SWEEPS
        for dim, vocab in VOCABS.get(operation, VOCABS["bag"]).items()
    ]
    asked = {
        f"{operation}-{dim}": (
            *("--operation", operation, "--vocab", str(vocab), "--dim", str(dim), "--cache", "cold"),
            *("--variant", SWEEPS[operation][0], "--dtype", SWEEPS[operation][1]),
            *("--batch", SWEEPS[operation][2], "--backend", *_backends(operation)),
        )
        for operation, dim, vocab in tables
    }
    common = ("--sustain", "0", "--time-budget", f"{seconds / (len(asked) + len(ANSWERS)):.0f}s")
    return [
        [sys.executable, "-m", "suite.run", *common, *words, "--out", f"{folder}/{name}"]
        for name, words in {**asked, **ANSWERS}.items()
    ]


def _backends(operation: str) -> Iterator[str]:
    from backends import describe, missing_packages, names

    for name in names():
        about = describe(name)
        here = "cpu" in about.devices and not missing_packages(about.packages)
        if about.operation == operation and here and name not in WHOLE_TABLE:
            yield name


def _against_best(group: Group) -> Judged | None:
    ours = OURS[judging.case_of(group).operation]
    best = judging.fastest(group, group.keys() - {ours})
    return judging.against(group, ours, best.backend) if best else None


def _of(operation: str, short: bool) -> Callable[[Group], bool]:
    def concerns(group: Group) -> bool:
        case = judging.case_of(group)
        return case.operation == operation and (case.row_bytes <= 512 or not short)

    return concerns


TARGETS = tuple(
    Target(
        wanted,
        f"the best other, {operation}{', rows to 512 B' if short else ''}",
        _of(operation, short),
        _against_best,
    )
    for operation in OURS
    for wanted, short in ((1.0, False), (1.5, True))
)


def read(folders: Sequence[str]) -> Iterable[str]:
    """The lines to print."""
    results = outcomes.read(folders)
    yield from results.notes
    yield from judging.failures(results)
    groups = judging.groups_of(results, "cpu")
    for target in TARGETS:
        yield from judging.judged(target, [group for group in groups if not _asked(group)])
    yield ""
    for group in filter(_asked, groups):
        times = sorted((comparison.median(o).value, name) for name, o in group.items())
        said = (f"{name} {time_of(seconds)} ({seconds / times[0][0]:.1f}x)" for seconds, name in times)
        yield f"{judging.case_of(group)}: {', '.join(said)}"


def _asked(group: Group) -> bool:
    """Whether a case is of a question."""
    case = judging.case_of(group)
    return (case.operation, case.cache) == ("bag", "hot") or case.variant == "int8-signed"


@cache
def _reader() -> Any:
    """A kernel that reads the rows of a job's ids and adds their first words of each line up."""
    from numba import cfunc

    (_, load8, store8, _), prefetch = memory(), prefetcher(2)

    def read_rows(job: int, first: int, last: int, end: int, warm: int) -> None:
        table, rows, size = load8(job + 8 * TABLE), load8(job + 8 * IDS), load8(job + 8 * ROW_BYTES)
        ahead, total = load8(job + 8 * AHEAD), 0
        for i in range(first - (0 if warm else ahead), last):
            later = table + size * load8(rows + 8 * min(i + ahead, end - 1))
            for done in range(0, size, LINE):
                prefetch(later + done)
            if i >= first:
                row = table + size * load8(rows + 8 * i)
                for done in range(0, size, LINE):
                    total += load8(row + done)
        store8(job + 8 * OUT, total)

    return cfunc(KERNEL_TYPE)(read_rows)


def reads(operands: Operands) -> Lookups:
    """For each slot a call that reads its rows."""
    found = []
    for slot in operands.slots:
        table, rows = operands.table, slot.indices
        size = table.shape[1] * table.itemsize
        fields = {TABLE: table.ctypes.data, IDS: rows.ctypes.data, ROW_BYTES: size, AHEAD: 16}
        job = made(_reader(), len(rows), fields, least=16)
        found.append(partial(_call, runner(job, True), job, operands))
    return found


def _call(run: Callable[[int], None], job: Any, _held: Operands) -> None:
    run(job.ctypes.data)


def laid_out(case: Case) -> Operands:
    """A table, and as many batches as are several times the caches."""
    arrays, rows = HostArrays(), max(1, case.kind.ids(case))
    turns = max(3, -(-SLOT_BYTES // (rows * case.row_bytes)))
    return lay_out(case, arrays, build_table(arrays, case), ids.draw_apart(case, turns, 0))


def lookups(which: str, operands: Operands) -> Lookups:
    """For each slot a call of a backend."""
    backend = load(which)()
    return [operands.prepared(backend, slot) for slot in operands.slots]


def in_turns(seconds: float, **each: Lookups) -> dict[str, float]:
    """The median time of a call of each, in seconds."""
    found: dict[str, list[float]] = {name: [] for name in each}
    rng, end, bound = np.random.default_rng(0), time.perf_counter() + seconds, binding.of_this_process()
    bound.pool()
    while time.perf_counter() < end or not all(found.values()):
        for name in rng.permutation(list(each)):
            with bound.caller():
                each[name][0]()  # wakes the threads
                for call in each[name][1:]:
                    began = time.perf_counter()
                    call()
                    found[name].append(time.perf_counter() - began)
    return {name: statistics.median(times) for name, times in found.items()}


def beside(seconds: float) -> Iterator[str]:
    """Lines on both comparisons."""
    dequantised = list(
        itertools.product(("int8-end", "int8-apart"), ("float32", "bfloat16"), (1024, 4096), (128, 8192))
    )
    bags = [(dim, batch) for dim in (128,) for batch in (128, 2048)]
    each = seconds / (len(dequantised) + len(bags))
    for variant, dtype, dim, batch in dequantised:
        plain_case = Case(VOCABS["dequantised"][dim], dim, dtype, batch)
        case = replace(plain_case, operation="dequantised", variant=variant)
        mine, plain = laid_out(case), laid_out(plain_case)
        took = in_turns(each, mine=lookups(OURS["dequantised"], mine), plain=lookups("numba_cpu", plain))
        share, rate = took["plain"] / took["mine"], case.kind.result_bytes(case) / took["mine"] / 1e9
        what = f"{variant} to {dtype} {case.vocab}x{dim} batch {batch}"
        yield f"{what}: {rate:.1f} GB/s of output, {share:.2f} of a lookup's (target {ALIKE})"
    for dim, batch in bags:
        case = Case(VOCABS["bag"][dim], dim, "float32", batch, operation="bag", variant="sum-20")
        operands = laid_out(case)
        took = in_turns(each, mine=lookups(OURS["bag"], operands), plain=reads(operands))
        share, rate = took["plain"] / took["mine"], 20 * 4 * dim * batch / took["mine"] / 1e9
        what = f"sum-20 {case.vocab}x{dim} batch {batch}"
        yield f"{what}: {rate:.1f} GB/s of rows, {share:.2f} of reading them (target {BAND})"


def main(argv: Sequence[str]) -> int:
    if argv[:1] == ["beside"]:
        for line in beside(float(argv[1]) if len(argv) > 1 else 60):
            print(line, flush=True)
        return 0
    return judging.script(argv, str(__doc__), 900, commands, read)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
