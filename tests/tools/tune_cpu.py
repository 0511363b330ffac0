"""Why backends/numba_cpu.py is as it is: its choices measured, then compared with C, torch, NumPy, a copy.

    python -m tests.tools.tune_cpu [SECTION ...]

    sections: calls near distance chunks stream four threads pages spread ahead compare

writes what it measures into results/tuning/<processor>.md, a section each; other sections stay as they are.

Rows are cold: the ids of each call are new, the table is far larger than the caches, and outputs rotate.
Competitors take turns in shuffled order, each call is timed, and a figure is the median of all of them.
GB/s counts bytes read and written, 2 x batch x row.

Run it on an idle machine. Each thread has a processor of its own, as in the suite's turns; if something else
wants it, a thread waits for the scheduler and every parallel call of every library takes milliseconds.
"""

import ctypes
import mmap
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numba
import numpy as np
import torch

from backends.base import Lookup
from backends.compiled.instructions import LINE
from backends.compiled.job import last_level_cache_bytes
from backends.numba_cpu import NumbaCpu, _rows
from suite.engine import binding
from tests.tools.tuning import Section, report_of, write

Prepare = Callable[[np.ndarray, np.ndarray, np.ndarray], Lookup]
TABLE_BYTES = 2 << 30
ROTATE_BYTES = 64 << 20
NEVER = 1 << 60
SECONDS_PER_CASE = 1.0
random = np.random.default_rng(1)


def pages(nbytes: int, huge: bool = True) -> np.ndarray:
    """Touched memory of its own, of 2-MB pages if asked for and granted."""
    memory = mmap.mmap(-1, nbytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if huge:
        memory.madvise(mmap.MADV_HUGEPAGE)
    array = np.frombuffer(memory, np.int8)
    array[:] = 1
    return array


def variant(**choices: float) -> Prepare:
    """The backend with other choices than its own."""
    return type("Variant", (NumbaCpu,), choices)().prepare


def take_turns(
    prepares: dict[str, Prepare], memory: np.ndarray, size: int, batch: int, hot: bool = False
) -> Any:
    """Seconds of a call, by competitor."""
    table = memory[: len(memory) // size * size].reshape(-1, size).view(np.int32)
    calls = 2 if hot else max(3, min(256, ROTATE_BYTES // (batch * size)))
    ids = random.integers(0, len(table), (calls, batch))
    outs = pages(-(-calls * batch * size >> 21) << 21)[: calls * batch * size]
    outs = outs.view(np.int32).reshape(calls, batch, -1)
    lookups = {n: [p(table, i, o) for i, o in zip(ids, outs, strict=True)] for n, p in prepares.items()}
    seconds: dict[str, list[float]] = {name: [] for name in prepares}
    start, turn = time.perf_counter(), 0
    while turn < 5 or time.perf_counter() - start < SECONDS_PER_CASE:
        for name in random.permutation(list(prepares)):
            if not hot:
                ids[:] = random.integers(0, len(table), ids.shape)
            first, *rest = [lookups[name][0]] * 13 if hot else lookups[name]
            first()  # wakes the threads of this library
            for lookup in rest:
                before = time.perf_counter()
                lookup()
                seconds[name].append(time.perf_counter() - before)
        turn += 1
    return {name: float(np.median(s)) for name, s in seconds.items()}


def index_select(table: np.ndarray, ids: np.ndarray, out: np.ndarray) -> Lookup:
    rows, index, to = map(torch.from_numpy, (table, ids, out))
    return lambda: torch.index_select(rows, 0, index, out=to)


def take(table: np.ndarray, ids: np.ndarray, out: np.ndarray) -> Lookup:
    return lambda: np.take(table, ids, axis=0, out=out, mode="clip")


def torch_copy(table: np.ndarray, ids: np.ndarray, out: np.ndarray) -> Lookup:
    """As many bytes, contiguous, from a place as cold as the rows."""
    rows, to, batch = torch.from_numpy(table), torch.from_numpy(out), len(out)

    def copy() -> torch.Tensor:
        at = int(ids[0]) % (len(rows) - batch)
        return to.copy_(rows[at : at + batch])

    return copy


def numpy_copy(table: np.ndarray, ids: np.ndarray, out: np.ndarray) -> Lookup:
    batch = len(out)

    def copy() -> np.ndarray:
        at = int(ids[0]) % (len(table) - batch)
        np.copyto(out, table[at : at + batch])
        return out

    return copy


def c_kernel(folder: str) -> Prepare:
    """The kernel in C, with the same prefetch distance, the same choice to stream and to use threads."""
    library = Path(folder) / "gather.so"
    source = Path(__file__).parents[1] / "stand_ins" / "c_gather" / "gather.c"
    flags = ["-O3", "-march=native", "-fopenmp", "-shared", "-fPIC"]
    subprocess.run([os.environ.get("CC", "cc"), *flags, source, "-o", library], check=True)
    function = ctypes.PyDLL(str(library)).gather
    function.restype = None

    def prepare(table: np.ndarray, ids: np.ndarray, out: np.ndarray) -> Lookup:
        size, mine = table.shape[1] * table.itemsize, NumbaCpu
        ahead = mine.ahead_short_rows if size <= LINE else mine.ahead_rows
        four = size >= mine.four_bytes and size % LINE == 0
        ahead = max(4 if four else 1, min(ahead, mine.ahead_bytes // size))
        stream = mine().streams(size, out.nbytes, out.ctypes.data, cold=True)
        every = len(ids) * (size + mine.row_cost_bytes) >= mine.parallel_bytes
        address = [ctypes.c_void_p(a.ctypes.data) for a in (table, ids, out)]
        whole = [ctypes.c_int64(n) for n in (size, len(ids), ahead)]
        flags = map(ctypes.c_int, (stream, four, torch.get_num_threads() if every else 1))
        arguments = (*address, *whole, *flags)
        return lambda: function(*arguments)

    return prepare


def rates(size: int, batch: int, seconds: dict[str, float]) -> list[float]:
    return [2 * size * batch / s / 1e9 for s in seconds.values()]


def calls(memory: np.ndarray) -> Section:
    section = Section(
        "calls", "ns of a lookup of one row of 64 bytes, hot: what a call costs.", ["who", "ns"]
    )
    table, ids, out = memory[:8192].reshape(-1, 64), np.zeros(1, np.int64), np.zeros((1, 64), np.int8)
    for name, prepare in {"numba": variant(), "torch": index_select, "numpy": take}.items():
        lookup, samples = prepare(table, ids, out), []
        for _ in range(300):
            before = time.perf_counter()
            for _ in range(100):
                lookup()
            samples.append((time.perf_counter() - before) / 100)
        section.add(name, float(np.median(samples)) * 1e9)
    return section


def distance(memory: np.ndarray) -> Section:
    rows = (1, 2, 4, 8, 16, 32, 64, 128)
    about = (
        "GB/s by how many rows ahead are prefetched, on one thread: `ahead_short_rows` of rows within a line"
        ", else `ahead_rows`, or as many as `ahead_bytes` hold. Of rows of 2 KB and more the processor's own "
        "prefetching does as well."
    )
    section = Section("distance", about, ["row B", "batch", *map(str, rows), "chosen"])
    own = {"ahead_bytes": NEVER, "parallel_bytes": NEVER}
    tried = {str(r): variant(ahead_rows=r, ahead_short_rows=r, **own) for r in rows}
    tried["chosen"] = variant(parallel_bytes=NEVER)
    for size in (16, 32, 64, 128, 256, 512, 1024, 2048, 4096):
        batch = min(8192, (2 << 20) // size)
        section.add(str(size), str(batch), *rates(size, batch, take_turns(tried, memory, size, batch)))
    return section


def near(memory: np.ndarray) -> Section:
    about = (
        "GB/s by where rows are prefetched to (`prefetch_near`), on one thread: the first level waits "
        "for fewer lines at a time than the second."
    )
    section = Section("near", about, ["row B", "batch", "first level", "second", "third"])
    tried = {str(near): variant(prefetch_near=near, parallel_bytes=NEVER) for near in (3, 2, 1)}
    for size, batch in ((32, 8192), (64, 8192), (64, 128), (256, 8192), (1024, 2048), (4096, 512)):
        section.add(str(size), str(batch), *rates(size, batch, take_turns(tried, memory, size, batch)))
    return section


def chunks(memory: np.ndarray) -> Section:
    per_thread = (1, 2, 4, 8, 16, 32, 64)
    about = (
        "us on all threads by how many chunks a thread's share is cut into (`chunks_per_thread`), of any "
        "size or (chosen) of `chunk_bytes` at least. Of few, one that comes late holds up all; of "
        "many, each costs its count."
    )
    section = Section("chunks", about, ["row B", "batch", *map(str, per_thread), "chosen"])
    own = {"chunk_bytes": 1, "parallel_bytes": 0}
    tried = {str(n): variant(chunks_per_thread=n, **own) for n in per_thread} | {"chosen": variant()}
    for size, batch in (
        (64, 1024),
        (64, 8192),
        (64, 65536),
        (512, 1024),
        (512, 8192),
        (4096, 256),
        (4096, 4096),
    ):
        seconds = take_turns(tried, memory, size, batch)
        section.add(str(size), str(batch), *(s * 1e6 for s in seconds.values()))
    return section


def four(memory: np.ndarray) -> Section:
    tried = {"one": variant(four_bytes=NEVER), "four": variant(four_bytes=LINE), "chosen": variant()}
    tried["in order"] = in_order
    about = (
        "GB/s of long rows copied one after the other and four side by side, as from `four_bytes` on, and of "
        "rows that follow each other: a copy. Four places in memory are then waited for at once."
    )
    section = Section("four", about, ["row B", "batch", *tried, "four / one", "chosen / in order"])
    for size in (1024, 2048, 3072, 4096, 5120, 7168, 8192, 10240, 16384):
        for batch in (16, 512):
            s = take_turns(tried, memory, size, batch)
            ratios = s["one"] / s["four"], s["in order"] / s["chosen"]
            section.add(str(size), str(batch), *rates(size, batch, s), *ratios)
    return section


def then_read(prepare: Prepare) -> Prepare:
    """The lookup and a reader of its whole output after it."""

    def both(table: np.ndarray, ids: np.ndarray, out: np.ndarray) -> Lookup:
        lookup, rows = prepare(table, ids, out), torch.from_numpy(out)
        return lambda: (lookup(), rows.max())

    return both


def stream(memory: np.ndarray) -> Section:
    never = dict.fromkeys(("stream_cache_fraction", "stream_short_fraction", "stream_cold_fraction"), 1e9)
    least = {"stream_cache_fraction": 0, "stream_short_fraction": 0, "stream_ragged_row_bytes": LINE}
    tried = {"plain": variant(**never), "streamed": variant(**least)}
    tried["asked"] = variant(**never | {"stream_cold_fraction": 0, "stream_ragged_row_bytes": LINE})
    about = (
        "Times faster with streaming stores, and (asked) with them if the output is in no cache, by "
        "what comes before and after: cold rows; a reader of all the output after them; the same rows again. "
        "Rows of whole lines are streamed into an output of `stream_cache_fraction` of the last-level cache; "
        "from `stream_cold_fraction` on if it is cold; short ones (`stream_short_row_bytes`) from "
        "`stream_short_fraction` on; others if they are of `stream_ragged_row_bytes` at least."
    )
    columns = [
        "row B",
        "batch",
        "output KB",
        "plain us",
        "cold",
        "asked",
        "and read",
        "asked",
        "hot",
        "asked",
    ]
    section = Section("stream", about, [*columns, "chosen"])
    for size in (64, 128, 192, 260, 512, 1032, 4096):
        for out in (1 << 18, 1 << 20, 1 << 22, 1 << 24):
            batch = out // size
            cold = take_turns(tried, memory, size, batch)
            read = take_turns({n: then_read(p) for n, p in tried.items()}, memory, size, batch)
            gains = [s["plain"] / s[how] for s in (cold, read) for how in ("streamed", "asked")]
            for how in ("streamed", "asked"):  # apart, as one that streams leaves the next one a cold output
                pair = {name: tried[name] for name in ("plain", how)}
                hot = take_turns(pair, memory, size, batch, hot=True)
                gains.append(hot["plain"] / hot[how])
            streams = (NumbaCpu().streams(size, batch * size, 0, if_cold) for if_cold in (False, True))
            what = {0: "plain", 1: "if cold", 2: "streamed"}[sum(streams)]
            section.add(str(size), str(batch), str(out >> 10), cold["plain"] * 1e6, *gains, what)
    return section


def threads(memory: np.ndarray) -> Section:
    tried = {"one": variant(parallel_bytes=NEVER), "all": variant(parallel_bytes=0), "chosen": variant()}
    tried |= {"torch": index_select, "numpy": take}
    about = (
        "us on one thread and on all, by the cost of a batch, batch x (row + `row_cost_bytes`): all threads "
        "from `parallel_bytes` on, where they pay whatever the row."
    )
    section = Section("threads", about, ["row B", "batch", "cost KB", *tried])
    for size in (32, 64, 256, 1024, 4096):
        for cost in (16, 32, 64, 128):
            batch = max(1, (cost << 10) // (size + 256))
            seconds = take_turns(tried, memory, size, batch)
            section.add(str(size), str(batch), str(cost), *(s * 1e6 for s in seconds.values()))
    return section


def huge_pages(memory: np.ndarray) -> Section:
    names = ["numba", "torch", "numpy"]
    about = (
        "How many times faster from a table of huge pages than from one of 4-KB pages; the suite's are huge."
    )
    section = Section("pages", about, ["row B", "batch", *names])
    small = pages(len(memory), huge=False)
    for size, batch in ((64, 16384), (128, 16384), (512, 4096), (4096, 1024)):
        tried = dict(zip(names, (variant(), index_select, take), strict=True))
        slow, fast = (take_turns(tried, m, size, batch) for m in (small, memory))
        section.add(str(size), str(batch), *(slow[n] / fast[n] for n in names))
    return section


def in_order(table: np.ndarray, ids: np.ndarray, out: np.ndarray) -> Lookup:
    """The kernel on rows that follow each other: a copy, from another place for every output."""
    start = int(ids[0]) % (len(table) - len(ids))
    return variant()(table[start : start + len(ids)], np.arange(len(ids)), out)


def spread(memory: np.ndarray) -> Section:
    parts = {f"{mb} MB": memory[: mb << 20] for mb in (256, 512, 1024, 2048)}
    about = (
        "Times as fast as the same kernel on rows that follow each other, by how much of a table the rows "
        "are drawn from, and C on all of it. Bytes, stores and kernel are the same: what is lost is lost to "
        "memory that is touched far apart, and no prefetch distance wins it back (section ahead)."
    )
    section = Section("spread", about, ["row B", "batch", *parts, "C"])
    with tempfile.TemporaryDirectory() as folder:
        tried = {"in order": in_order, "rows": variant(), "C": c_kernel(folder)}
        for size in (4096, 8192, 16384):
            for batch in (16, 128, 1024, 8192):
                found = [take_turns(tried, part, size, batch) for part in parts.values()]
                ratios = [s["in order"] / s["rows"] for s in found]
                section.add(str(size), str(batch), *ratios, found[-1]["in order"] / found[-1]["C"])
    return section


def ahead(memory: np.ndarray) -> Section:
    tried = {f"{kb} KB": variant(ahead_bytes=kb << 10) for kb in (4, 8, 16, 32, 64)}
    about = "Long rows far apart: times as fast as rows that follow each other, by `ahead_bytes`."
    section = Section("ahead", about, ["row B", "batch", *tried])
    for size, batch in ((8192, 16), (8192, 128), (8192, 8192), (16384, 128), (16384, 8192)):
        found = take_turns({"in order": in_order, **tried}, memory, size, batch)
        section.add(str(size), str(batch), *(found["in order"] / found[name] for name in tried))
    return section


def compare(memory: np.ndarray) -> Section:
    missed = []
    with tempfile.TemporaryDirectory() as folder:
        tried = {"numba": variant(), "C": c_kernel(folder), "torch": index_select, "numpy": take}
        tried |= {"torchcopy": torch_copy, "numpycopy": numpy_copy}
        about = (
            "GB/s beside others; C is tests/stand_ins/c_gather/gather.c. Then how many times as fast as each."
        )
        columns = ["row B", "batch", *tried, "x best", "x torch", "of copy", "of C"]
        section = Section("compare", about, columns)
        for size in (32, 64, 128, 256, 512, 3072, 16384):
            for batch in (16, 128, 1024, 8192, 65536):
                if size * batch > 1 << 28:
                    continue
                s = take_turns(tried, memory, size, batch)
                best, copy = min(s["torch"], s["numpy"]), min(s["torchcopy"], s["numpycopy"])
                ratios = [x / s["numba"] for x in (best, s["torch"], copy, s["C"])]
                wanted = [1, 2 if size == 64 else 1.5 if size <= 512 else 1, 0.9 if size >= 4096 else 0, 0.9]
                section.add(str(size), str(batch), *rates(size, batch, s), *ratios)
                names = zip(("best", "torch", "copy", "C"), ratios, wanted, strict=True)
                missed += [f"{size} B x {batch}: {r:.2f} of {n}, wanted {w}" for n, r, w in names if r < w]
    section.say("Short of what is wanted: " + ("; ".join(missed) or "none") + ".")
    return section


def report_path() -> Path:
    """results/tuning/<processor>.md."""
    found = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    return report_of(found[1] if found else "cpu")


def _facts(load: float) -> str:
    cache = f"{last_level_cache_bytes() >> 20} MB of last-level cache"
    versions = f"numba {numba.__version__}, torch {torch.__version__}, NumPy {np.__version__}"
    machine = f"{torch.get_num_threads()} threads, {cache}, load {load:.1f}"
    return f"{datetime.now(UTC):%Y-%m-%d}, {machine}, {versions}"


SECTIONS: dict[str, Callable[[np.ndarray], Section]] = {
    "calls": calls,
    "near": near,
    "distance": distance,
    "chunks": chunks,
    "stream": stream,
    "four": four,
    "threads": threads,
    "pages": huge_pages,
    "spread": spread,
    "ahead": ahead,
    "compare": compare,
}


def main() -> None:
    wanted = sys.argv[1:] or list(SECTIONS)
    unknown = [name for name in wanted if name not in SECTIONS]
    if unknown:
        raise SystemExit(f"{unknown[0]}: no such section; give {', '.join(SECTIONS)}")
    start = time.perf_counter()
    _rows(NumbaCpu.prefetch_near)
    print(f"compiled in {time.perf_counter() - start:.2f} s")
    if os.getloadavg()[0] > 1:
        print("others are using this machine; figures of parallel calls below may be theirs")
    memory = pages(TABLE_BYTES)
    bound = binding.of_this_process()
    bound.pool()
    for name in wanted:
        load = os.getloadavg()[0]
        with bound.caller():
            section = SECTIONS[name](memory)
        write(report_path(), "python -m tests.tools.tune_cpu", section, _facts(load), list(SECTIONS))
    print(f"\n{time.perf_counter() - start:.0f} s; {report_path()}")


if __name__ == "__main__":
    main()
